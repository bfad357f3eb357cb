"""Statements of policies for property tests, with conditions on all that may have a say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import SearchStrategy


def conditions(agent: str) -> list[dict[str, Any]]:
    """Return no condition, and one on each: the time, the address, the agent and the resource."""
    return [
        {},
        {"DateLessThan": {"aws:CurrentTime": "2023-11-15T00:00:00Z"}},
        {"IpAddress": {"aws:SourceIp": "192.0.2.1"}},
        {"StringEquals": {"aws:UserAgent": agent}},
        {"StringEquals": {"aws:ResourceTag/team": "a"}},
    ]


def statements(
    actions: list[str], conditions: Sequence[dict[str, Any]]
) -> SearchStrategy[dict[str, Any]]:
    """Draw statements on `actions`; two of three allow."""
    return st.builds(
        lambda effect, condition: {
            "Effect": effect,
            "Action": actions,
            **({"Condition": condition} if condition else {}),
        },
        st.sampled_from(["Allow", "Allow", "Deny"]),
        st.sampled_from(conditions),
    )
