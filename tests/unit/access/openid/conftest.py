"""Keys, which take time to make, and a site that publishes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import write_certificate
from tests.support.identity_provider import SigningKey, running_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.identity_provider import Site


@pytest.fixture(scope="session")
def rsa_key() -> SigningKey:
    return SigningKey.make("rsa")


@pytest.fixture(scope="session")
def ec_key() -> SigningKey:
    return SigningKey.make("ec", "ES256")


@pytest.fixture(scope="session")
def stranger() -> SigningKey:
    """A key that nobody publishes, under a name that somebody else has."""
    return SigningKey.make("ec", "ES256")


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(write_certificate(tmp_path_factory.mktemp("site"))) as site:
        yield site
