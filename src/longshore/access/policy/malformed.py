"""What is said of a policy that can't be accepted."""

from __future__ import annotations


class MalformedPolicy(ValueError):
    """The document is no policy of its kind; its text says where and why, to a person."""
