from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.api.hosts import Hosts
from longshore.names import Registry

DEFAULT = Registry("000000000000", "us-east-1")
HOSTS = Hosts(domain="registry.example.org:8443", scheme="https", default=DEFAULT)
OTHER = Registry("111122223333", "eu-west-1")

ACCOUNTS = st.from_regex(r"[0-9]{12}", fullmatch=True)
REGIONS = st.from_regex(r"[a-z]{2,4}-[a-z]{4,9}-[0-9]", fullmatch=True)


@pytest.mark.parametrize(
    ("host", "registry"),
    [
        ("111122223333.dkr.ecr.eu-west-1.registry.example.org", OTHER),
        ("111122223333.dkr.ecr.eu-west-1.registry.example.org:8443", OTHER),
        ("111122223333.dkr.ecr.eu-west-1.registry.example.org:1", OTHER),
        ("111122223333.DKR.ECR.EU-WEST-1.Registry.Example.ORG", OTHER),
        ("111122223333.dkr-ecr.eu-west-1.registry.example.org", OTHER),
        ("111122223333.dkr.ecr-fips.eu-west-1.registry.example.org", OTHER),
        ("registry.example.org", DEFAULT),
        ("localhost:5000", DEFAULT),
        ("[::1]:5000", DEFAULT),
        ("", DEFAULT),
        # The dots of the domain are dots.
        ("111122223333.dkr.ecr.eu-west-1.registryxexample.org", DEFAULT),
        ("111122223333.dkr.ecr.eu-west-1.registry.example.org.evil.test", DEFAULT),
        ("1111222233334.dkr.ecr.eu-west-1.registry.example.org", DEFAULT),
        ("evil.111122223333.dkr.ecr.eu-west-1.registry.example.org", DEFAULT),
        ("111122223333.dkr.ecr.eu.west.registry.example.org", DEFAULT),
        ("111122223333.dkr.ecr..registry.example.org", DEFAULT),
        ("111122223333.dkr.ecr.eu-west-1.registry.example.org\n", DEFAULT),
    ],
)
def test_a_host_names_a_registry_or_the_default(host: str, registry: Registry) -> None:
    assert HOSTS.registry_of(host) == registry


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("api.ecr.eu-west-1.registry.example.org", "eu-west-1"),
        ("ecr.eu-west-1.registry.example.org:8443", "eu-west-1"),
        ("API.ECR-FIPS.eu-west-1.registry.example.org", "eu-west-1"),
        ("sts.eu-west-1.registry.example.org", "eu-west-1"),
        ("iam.registry.example.org", None),
        ("registry.example.org", None),
        ("localhost:5000", None),
        ("111122223333.dkr.ecr.eu-west-1.registry.example.org", None),
        ("xapi.ecr.eu-west-1.registry.example.org", None),
    ],
)
def test_an_endpoint_names_a_region_or_none(host: str, region: str | None) -> None:
    assert HOSTS.region_of_endpoint(host) == region


@given(account=ACCOUNTS, region=REGIONS)
def test_the_host_of_a_registry_names_it(account: str, region: str) -> None:
    registry = Registry(account, region)

    assert HOSTS.registry_of(HOSTS.registry_host(registry)) == registry


def test_what_others_are_told() -> None:
    host = "111122223333.dkr.ecr.eu-west-1.registry.example.org:8443"

    assert HOSTS.registry_host(OTHER) == host
    assert HOSTS.repository_uri(OTHER, "demo/app") == f"{host}/demo/app"
    assert HOSTS.proxy_endpoint(OTHER) == f"https://{host}"
