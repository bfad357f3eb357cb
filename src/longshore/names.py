"""The names of the field: registries, repositories, tags, digests and ARNs.

Grammars come from the ECR service model and from the OCI distribution specification
("Pulling manifests"); everything that reaches a path, a query or a URL passes through here.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Self

REPOSITORY_NAME_MAX_LENGTH = 256

_REPOSITORY_NAME = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]*")
_DIGEST = re.compile(r"(sha256):([a-f0-9]{64})|(sha512):([a-f0-9]{128})")
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)+")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_HOST_MAX_LENGTH = 253
_ARN = re.compile(r"arn:[^:]+:[^:]+:[^:]*:[^:]*:.+")
_REPOSITORY_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):ecr:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12})"
    r":repository/(?P<name>.+)"
)


def is_repository_name(text: str) -> bool:
    """Tell whether `text` is a repository name as ECR accepts it."""
    return (
        2 <= len(text) <= REPOSITORY_NAME_MAX_LENGTH
        and _REPOSITORY_NAME.fullmatch(text) is not None
    )


def is_tag(text: str, max_length: int) -> bool:
    """Tell whether `text` is a tag of at most `max_length` characters."""
    return len(text) <= max_length and _TAG.fullmatch(text) is not None


def is_account(text: str) -> bool:
    """Tell whether `text` is an account id: twelve digits."""
    return _ACCOUNT.fullmatch(text) is not None


def is_region(text: str) -> bool:
    """Tell whether `text` has the form of a region, such as `eu-west-1`."""
    return len(text) <= 32 and _REGION.fullmatch(text) is not None


def is_arn(text: str) -> bool:
    """Tell whether `text` has the six parts of an ARN, of which region and account may be empty."""
    return _ARN.fullmatch(text) is not None


def is_host(text: str) -> bool:
    """Tell whether `text` is a host name as in DNS (RFC 1123, section 2.1); an address is none."""
    labels = text.split(".")
    return (
        len(text) <= _HOST_MAX_LENGTH
        and all(_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdecimal()
    )


@dataclass(frozen=True, slots=True)
class Digest:
    """The content address of a blob or a manifest: an algorithm and its lower-case hex value."""

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `sha256:<64 hex>` or `sha512:<128 hex>`.

        Raises:
            ValueError: `text` is anything else, upper-case hex included (OCI image-spec,
                "Registered algorithms").
        """
        match = _DIGEST.fullmatch(text)
        if match is None:
            raise ValueError(f"not a digest: {text[:140]!r}")
        return cls(*(group for group in match.groups() if group is not None))

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> Self:
        """Compute the digest of `content`."""
        return cls(algorithm, hashlib.new(algorithm, content).hexdigest())

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


@dataclass(frozen=True, slots=True)
class Registry:
    """One registry: an account in a region. A server holds many."""

    account: str
    region: str

    @property
    def partition(self) -> str:
        """The AWS partition that the region's name belongs to."""
        if self.region.startswith("cn-"):
            return "aws-cn"
        if self.region.startswith("us-gov-"):
            return "aws-us-gov"
        return "aws"

    def repository_arn(self, name: str) -> str:
        """Return the ARN of the repository `name` in this registry."""
        return f"arn:{self.partition}:ecr:{self.region}:{self.account}:repository/{name}"


def parse_repository_arn(arn: str) -> tuple[Registry, str]:
    """Split a repository's ARN into its registry and the repository's name.

    Raises:
        ValueError: `arn` isn't the ARN of an ECR repository.
    """
    match = _REPOSITORY_ARN.fullmatch(arn)
    if match is None or not is_repository_name(match["name"]):
        raise ValueError(f"not the ARN of a repository: {arn[:300]!r}")
    registry = Registry(match["account"], match["region"])
    if registry.partition != match["partition"]:
        raise ValueError(f"not the partition of {registry.region}: {arn[:300]!r}")
    return registry, match["name"]
