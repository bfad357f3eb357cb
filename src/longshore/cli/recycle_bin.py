"""Commands about the recycle bin: what is in it, bringing it back, and throwing it away."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from longshore.cli.commands import app, fail, opened_context, setting_options
from longshore.cli.output import output_option, write_rows, write_thing
from longshore.cli.values import moment, read_duration
from longshore.errors import (
    ImageNotInRecycleBin,
    LifecyclePolicyNotFound,
    ReferencedImagesNotFound,
    RegistryError,
    RepositoryNotFound,
)
from longshore.names import Digest, Registry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from longshore.clock import Millis
    from longshore.registry.bin_restoration import Restored
    from longshore.registry.context import Context
    from longshore.registry.recycle_bin import BinnedImage
    from longshore.settings import Settings

_REGISTRY = ("data", "database_url", "account", "region")
_AUDIT = ("audit", "audit_file", "audit_file_size", "audit_files_kept")
_LISTED = ("repository", "digest", "tags", "size", "media_type", "deleted", "by", "until")
_RESTORED = ("digest", "tags", "outcome")
_PAGE = 5_000


def _read_digest(ctx: click.Context, param: click.Parameter, value: str) -> Digest:
    try:
        return Digest.parse(value)
    except ValueError as error:
        message = f"{error}; write it as longshore bin list does: sha256:<64 digits>"
        raise click.BadParameter(message, ctx, param) from error


def _read_digests(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[Digest, ...]:
    return tuple(_read_digest(ctx, param, value) for value in values)


_repository = click.option(
    "--repository", "name", required=True, help="The repository that the images were in."
)
_some_digests = click.argument("digests", metavar="DIGEST...", nargs=-1, callback=_read_digests)
_since = click.option(
    "--since",
    "period",
    callback=read_duration,
    metavar="DURATION",
    help="Only what was deleted in the last, such as 12h or 7d.",
)


@app.group("bin")
def bin_() -> None:
    """Look into the recycle bin, restore images that were deleted, or throw them away.

    There is one where the setting recycle_bin_days says so.
    """


@bin_.command("list")
@setting_options(*_REGISTRY)
@click.option("--repository", "name", help="Only images of this repository.")
@_since
@output_option
def list_(settings: Settings, *, name: str | None, period: Millis | None, output: str) -> None:
    """List the images that can be restored, the one deleted last first."""
    with _opened(settings) as context:
        entries = list(_entries(context, _registry(settings), name, period))
    write_rows(map(_members, entries), _LISTED, output)
    if not settings.recycle_bin_days:
        click.echo(f"longshore: {_OFF}", err=True)


@bin_.command()
@setting_options(*_REGISTRY)
@_repository
@click.argument("digest", metavar="DIGEST", callback=_read_digest)
@output_option
def show(settings: Settings, *, name: str, digest: Digest, output: str) -> None:
    """Show all that is known of an image that can be restored."""
    from longshore.registry import recycle_bin  # noqa: PLC0415

    with _opened(settings) as context, context.database.read() as tx:
        image = recycle_bin.find(tx, _registry(settings), name, digest, now=context.clock())
    write_thing(_members(image), output)


@bin_.command()
@setting_options(*_REGISTRY, *_AUDIT)
@_repository
@_some_digests
@click.option("--all", "everything", is_flag=True, help="All images of the repository.")
@_since
@click.option("--tag", help="What is to stand for the image, in place of the tags it had.")
@click.option("--create", is_flag=True, help="Create the repository if it is gone.")
@output_option
def restore(
    settings: Settings,
    *,
    name: str,
    digests: tuple[Digest, ...],
    everything: bool,
    period: Millis | None,
    tag: str | None,
    create: bool,
    output: str,
) -> None:
    """Restore images as they were when they were deleted, with the tags that are free.

    What refers to them, and what they list as an index, comes with them if it is in the bin.
    """
    from longshore.housekeeping import audit_trail  # noqa: PLC0415
    from longshore.work import recycle_bin as working  # noqa: PLC0415

    if everything == bool(digests):
        raise click.UsageError("Name images by their digests, or all of them with --all.")
    if period is not None and not everything:
        raise click.UsageError("--since goes with --all.")
    if tag is not None and len(digests) != 1:
        raise click.UsageError("--tag goes with one digest.")
    registry, trail = _registry(settings), audit_trail(settings)
    restored: dict[str, Restored] = {}
    refused: list[str] = []
    with _opened(settings) as context:
        chosen: Iterable[Digest] = digests
        if everything:
            entries = _entries(context, registry, name, period)
            chosen = (Digest.parse(entry.digest) for entry in entries)
        try:
            for digest in chosen:
                # Else it came with another one.
                if str(digest) not in restored:
                    with _going_on_without(digest, refused):
                        came = working.restore(
                            *(context, trail, registry, name, digest), tag=tag, creates=create
                        )
                        restored |= {each.image.digest: each for each in came}
        except RegistryError:
            # Whatever went wrong, what was done is told.
            if restored:
                _tell(restored.values(), output)
            raise
        _tell(restored.values(), output)
        _warn_of_lifecycle(context, registry, name, restored.keys())
    if refused:
        fail("\n".join(refused))


@bin_.command()
@setting_options(*_REGISTRY, *_AUDIT)
@_repository
@_some_digests
@click.option("--all", "everything", is_flag=True, help="All images of the repository.")
def purge(settings: Settings, *, name: str, digests: tuple[Digest, ...], everything: bool) -> None:
    """Take images out of the bin for good, before their time is over."""
    from longshore.housekeeping import audit_trail  # noqa: PLC0415
    from longshore.work import recycle_bin as working  # noqa: PLC0415

    if everything == bool(digests):
        raise click.UsageError("Name images by their digests, or all of them with --all.")
    of_repository = (_registry(settings), name)
    count = 0
    with _opened(settings) as context:
        store = (context, audit_trail(settings))
        purged = (
            working.purge_all(*store, *of_repository)
            if everything
            else (working.purge(*store, *of_repository, digest) for digest in digests)
        )
        for image in purged:
            click.echo(f"{image.digest} is out of the bin")
            count += 1
    if count:
        click.echo("Bytes that nothing else needs go with the next longshore gc.", err=True)


_OFF = "The recycle bin is off (recycle_bin_days): what is deleted now can't be restored."


@contextmanager
def _opened(settings: Settings) -> Iterator[Context]:
    """Open the store, and say what can be done where there is nothing to restore, or no place."""
    with opened_context(settings) as context:
        try:
            yield context
        except ImageNotInRecycleBin as error:
            fail(f"{error.message} {'' if settings.recycle_bin_days else _OFF}".rstrip())
        except RepositoryNotFound as error:
            fail(f"{error.message}. Create it, or have it created with --create.")


def _registry(settings: Settings) -> Registry:
    return Registry(settings.account, settings.region)


def _entries(
    context: Context, registry: Registry, name: str | None, period: Millis | None
) -> Iterator[BinnedImage]:
    """Yield the images that can be restored; those that go meanwhile may be missing."""
    from longshore.registry import recycle_bin  # noqa: PLC0415

    now = context.clock()
    since = None if period is None else now - period
    after = None
    while True:
        with context.database.read() as tx:
            page = recycle_bin.list_some(
                tx, registry, now, repository=name, since=since, after=after, limit=_PAGE
            )
        yield from page.items
        after = page.next
        if after is None:
            return


def _members(image: BinnedImage) -> dict[str, object]:
    deletion = image.deletion
    rule = deletion.rule_priority
    return {
        "repository": image.repository,
        "digest": image.digest,
        "tags": list(image.tags),
        "size": image.size,
        "media_type": image.media_type,
        "artifact_type": image.artifact_type,
        "subject": image.subject,
        "storage_class": image.storage_class,
        "pushed": moment(image.pushed_at),
        "deleted": moment(image.deleted_at),
        "by": deletion.by if rule is None else f"lifecycle rule {rule}",
        "rule": rule,
        "until": moment(image.expires_at),
    }


def _outcome(restored: Restored) -> dict[str, object]:
    return {
        "digest": restored.image.digest,
        "tags": list(restored.tags),
        "outcome": "was pushed again" if restored.was_there else "restored",
        "taken": dict(restored.taken),
    }


@contextmanager
def _going_on_without(digest: Digest, refused: list[str]) -> Iterator[None]:
    """Note down that an index can't come back without its images; others can."""
    try:
        yield
    except ReferencedImagesNotFound as error:
        refused.append(f"{digest} stays in the recycle bin. {error.message}")


def _tell(restored: Collection[Restored], output: str) -> None:
    write_rows(map(_outcome, restored), _RESTORED, output)
    for each in restored:
        for tag, digest in each.taken.items():
            click.echo(
                f"longshore: {each.image.digest} doesn't get its tag {tag}, which stands for "
                f"{digest} now",
                err=True,
            )


def _warn_of_lifecycle(
    context: Context, registry: Registry, name: str, digests: Iterable[str]
) -> None:
    """Say so if the repository's lifecycle policy is about to take them again."""
    from longshore.registry import lifecycle_runs  # noqa: PLC0415
    from longshore.registry.lifecycle_rules import Action  # noqa: PLC0415

    restored = set(digests)
    if not restored:
        return
    try:
        doomed = {
            outcome.digest: outcome.rule_priority
            for outcome in lifecycle_runs.foresee(context, registry, name)
            if outcome.action is Action.EXPIRE and outcome.failure is None
        }
    except LifecyclePolicyNotFound:
        return
    for digest in sorted(restored & doomed.keys()):
        click.echo(
            f"longshore: rule {doomed[digest]} of the repository's lifecycle policy will take "
            f"{digest} at its next run. Change the policy before.",
            err=True,
        )
