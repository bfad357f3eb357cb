"""`longshore iam apply`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from longshore.cli.commands import fail, opened_context, setting_options
from longshore.cli.iam.group import iam
from longshore.cli.output import as_json, output_option, write_json

if TYPE_CHECKING:
    from longshore.settings import Settings


@iam.command()
@setting_options("data", "database_url")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@click.option("--dry-run", is_flag=True, help="Tell what would change, and change nothing.")
@output_option
def apply(settings: Settings, *, file: Path, dry_run: bool, output: str) -> None:
    """Bring a YAML file of identities into force, and tell what that changes.

    What such a file has made before and this one doesn't name is deleted; what was made otherwise
    is left alone.
    """
    from longshore.identity.declared.applying import apply as bring_into_force  # noqa: PLC0415
    from longshore.identity.declared.declaration import read_declaration  # noqa: PLC0415
    from longshore.identity.declared.yaml_reader import InvalidFile  # noqa: PLC0415

    with opened_context(settings) as context:
        try:
            changes = bring_into_force(context, read_declaration(file), dry_run=dry_run)
        except OSError as error:
            fail(f"{file} can't be read: {error.strerror}.")
        except InvalidFile as error:
            fail(f"{file}: {error}.")
    if output == as_json:
        write_json([asdict(change) for change in changes])
        return
    for change in changes:
        click.echo(f"{change.verb}  {change.account}  {change.what}")
        for detail in change.details:
            click.echo(f"          {detail}")
    would = "would be " if dry_run else ""
    click.echo(
        f"{len(changes)} things {would}changed" if changes else "Nothing to change", err=True
    )
