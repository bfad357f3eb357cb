"""What the tests of the rules stand on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from longshore.registry.dialect import OCI
from tests.support.interruptions import InterruptedBlobStore
from tests.support.pushing import create_repository

if TYPE_CHECKING:
    from pathlib import Path

    from longshore.registry.context import Context
    from longshore.registry.repositories import Repository


@pytest.fixture
def repository(context: Context) -> Repository:
    """A repository with nothing in it, `REPOSITORY` of `REGISTRY`."""
    return create_repository(context)


@pytest.fixture
def oci(context: Context) -> Context:
    """The same store in the dialect of the OCI distribution-spec."""
    return replace(context, dialect=OCI)


@pytest.fixture
def blobs(tmp_path: Path) -> InterruptedBlobStore:
    """The blob store of `context`, into which a test can come between."""
    return InterruptedBlobStore(tmp_path / "data")


@pytest.fixture
def interrupted(context: Context, blobs: InterruptedBlobStore) -> Context:
    """The same store, over `blobs`."""
    return replace(context, blobs=blobs)
