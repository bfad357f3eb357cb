"""Host names: which registry a client means by the host it asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from longshore.names import Registry

_REMEMBERED_HOSTS = 64


@dataclass(frozen=True, slots=True)
class Hosts:
    """The names under which the server is known.

    Attributes:
        domain: what follows `<account>.dkr.ecr.<region>.` in the host of a registry, the port
            included where clients need one.
        scheme: `https` where clients reach the server by TLS, else `http`.
        default: the registry that every other host stands for.
    """

    domain: str
    scheme: str
    default: Registry

    def registry_of(self, host: str) -> Registry:
        """Return the registry that a host of the registry face names."""
        return _registry_named(host, self.domain) or self.default

    def region_of_endpoint(self, host: str) -> str | None:
        """Return the region that a host of ECR's or STS's API names, or None if it names none."""
        return _region_named(host, self.domain)

    def registry_host(self, registry: Registry) -> str:
        """Return the host, with its port, that names `registry`."""
        return f"{registry.account}.dkr.ecr.{registry.region}.{self.domain}"

    def repository_uri(self, registry: Registry, repository: str) -> str:
        """Return what docker calls the repository."""
        return f"{self.registry_host(registry)}/{repository}"

    def proxy_endpoint(self, registry: Registry) -> str:
        """Return the URL that docker logs in to."""
        return f"{self.scheme}://{self.registry_host(registry)}"


# Clients ask for the same few hosts again and again.
@lru_cache(_REMEMBERED_HOSTS)
def _registry_named(host: str, domain: str) -> Registry | None:
    match = re.fullmatch(
        r"([0-9]{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\." + re.escape(_without_port(domain)),
        _without_port(host),
    )
    return None if match is None else Registry(match[1], match[2])


@lru_cache(_REMEMBERED_HOSTS)
def _region_named(host: str, domain: str) -> str | None:
    match = re.fullmatch(
        r"(?:(?:api\.)?ecr|sts)(?:-fips)?\.([a-z0-9-]+)\." + re.escape(_without_port(domain)),
        _without_port(host),
    )
    return None if match is None else match[1]


def _without_port(host: str) -> str:
    return re.sub(r":[0-9]+$", "", host.lower())
