"""What the documentation names, and what it has to name."""

from __future__ import annotations

import re
import tomllib

import click
import pytest

from longshore.cli.commands import app
from longshore.setting_tables import TABLES, EventSettings, LimitSettings
from longshore.settings import Settings, load
from tests.docs import pages

PAGES = pages.page_names()


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    directory = (pages.REPOSITORY / page).parent
    for link in pages.links(pages.read(page)):
        if re.match(r"https://", link):
            continue
        path, _, anchor = link.partition("#")
        target = directory / path if path else pages.REPOSITORY / page
        assert target.exists(), link
        if anchor:
            assert anchor in pages.anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_is_there(page: str) -> None:
    named = (re.match(r"(?:src|tests|docs|\.ci)/[\w./-]+", text) for text in _code(page))
    missing = [match[0] for match in named if match and not (pages.REPOSITORY / match[0]).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_target_of_make_that_is_named_is_there(page: str) -> None:
    makefile = (pages.REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z]+):.*##", makefile, flags=re.MULTILINE)
    named = {word for text in _code(page) if (word := _word_after("make", text))}
    assert named <= set(targets)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_is_named_is_there(page: str) -> None:
    named = {word for text in _code(page) if (word := _word_after("longshore", text))}
    assert named <= app.commands.keys()


@pytest.mark.parametrize("name", app.commands)
def test_every_command_is_documented_with_its_own_options(name: str) -> None:
    text = pages.section(pages.read("docs/commands.md"), f"longshore {name}")
    for option in app.commands[name].params:
        if isinstance(option, click.Option) and option.name not in Settings.model_fields:
            assert any(flag in pages.read("docs/commands.md") for flag in option.opts), option.name
        if isinstance(option, click.Argument) and isinstance(option.type, click.Choice):
            assert all(f"`{choice}`" in text for choice in option.type.choices), option.name


def test_every_setting_and_every_limit_is_documented() -> None:
    text = pages.read("docs/settings.md")
    settings = [name for name in Settings.model_fields if name not in TABLES]
    names = [
        *settings,
        *(f"limits.{name}" for name in LimitSettings.model_fields),
        *(f"events.{name}" for name in EventSettings.model_fields),
    ]
    assert [name for name in names if f"\n| `{name}` |" not in text] == []


def test_the_file_of_settings_that_is_shown_can_be_used(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    [shown] = pages.blocks(pages.read("docs/settings.md"), "toml")
    file = tmp_path_factory.mktemp("settings") / "longshore.toml"
    file.write_text(shown)
    settings = load({}, file).model_dump(mode="json", exclude_unset=True)
    for key, value in tomllib.loads(shown).items():
        assert settings[key] == value or value.items() <= settings[key].items()


def _code(page: str) -> list[str]:
    return pages.code(pages.read(page))


def _word_after(program: str, text: str) -> str | None:
    found = re.search(rf"(?:^|[ /(]){program} ([a-z]+)\b", text)
    return found[1] if found else None
