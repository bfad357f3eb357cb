"""What the tests of the command line stand on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.process import unchanged_process

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variable of the machine's has a say, and no command leaves a trace in this process."""
    for variable in [name for name in os.environ if name.startswith(("LONGSHORE_", "AWS_"))]:
        monkeypatch.delenv(variable)
    with unchanged_process():
        yield
