"""A registry to manage identities in, on the command line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from longshore import server
from longshore.settings import Settings
from tests.unit.cli.test_commands import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from longshore.registry.context import Context

ACCOUNT = "000000000000"


@dataclass(frozen=True)
class Registry:
    """A registry and the directory of files to name on the command line."""

    context: Context
    data: Path
    directory: Path

    def file(self, name: str, content: str) -> str:
        file = self.directory / name
        file.write_text(content)
        return str(file)

    def iam(self, *words: str) -> str:
        """Run a command that works; return what it prints."""
        result = run("iam", *words, "--data", self.data)
        assert (result.exit_code, result.exception) == (0, None), result.output
        return result.stdout

    def told(self, *words: str) -> Any:
        """Run a command; return what it tells programs."""
        return json.loads(self.iam(*words, "--output", "json"))

    def refused(self, *words: str) -> str:
        """Run a command that can't work; return what it says."""
        result = run("iam", *words, "--data", self.data)
        assert (result.exit_code, result.stdout) == (2, ""), result.output
        return result.stderr


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    settings = Settings(data=tmp_path / "data")
    server.prepare(settings)
    context = server.open_context(settings)
    yield Registry(context, settings.data, tmp_path)
    context.database.close()
