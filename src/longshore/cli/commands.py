"""The commands. What they do is done elsewhere; here is what people type and read."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from contextlib import contextmanager
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, NoReturn, get_args

import click
from click.shell_completion import get_completion_class

from longshore import settings as settings_module
from longshore.errors import RegistryError
from longshore.setting_tables import TABLES
from longshore.settings import InvalidSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from longshore.registry.context import Context

_OPTIONS_OF_ENV = ("listen", "data", "region", "tls_certificate", "tls_key")
_SERVICES = ("ECR", "IAM", "STS")
OPTIONS = [name for name in Settings.model_fields if name not in TABLES]
"""Every setting that is an option of `serve`."""


def setting_options(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each of these settings, and hand it the settings."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_settings(config: Path | None, **options: Any) -> None:  # noqa: ANN401 - click's
            given = {name: options.pop(name) for name in names}
            try:
                settings = settings_module.load(given, config)
            except InvalidSettings as error:
                fail(str(error))
            command(settings, **options)

        decorated: Callable[..., None] = with_settings
        for name in reversed(names):
            decorated = _option(name)(decorated)
        return click.option(
            "--config",
            envvar=settings_module.CONFIG_VARIABLE,
            type=click.Path(path_type=Path, dir_okay=False),
            help="A TOML file of settings.",
        )(decorated)

    return decorate


def _option(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    field = Settings.model_fields[name]
    default = "none" if _default(name) is None else str(_default(name))
    if field.annotation is bool:
        flag = f"{_flag(name)}/--no-{_flag(name)[2:]}"
        return click.option(flag, name, default=None, show_default=default, help=field.description)
    kind = _type_of(field.annotation)
    return click.option(_flag(name), name, type=kind, show_default=default, help=field.description)


def _default(name: str) -> object:
    return Settings.model_fields[name].get_default(call_default_factory=True)


def _type_of(annotation: Any) -> Any:  # noqa: ANN401 - a type of typing's, and one of click's
    arguments = [each for each in get_args(annotation) if each is not NoneType]
    if len(arguments) > 1 and int in arguments:
        # A number, or a word in its place.
        return str
    if arguments and all(isinstance(each, str) for each in arguments):
        return click.Choice(arguments)
    plain = arguments[0] if arguments else annotation
    # Whether it can be read is found out where it is: the same for every source of the setting.
    return click.Path(path_type=Path, readable=False) if plain is Path else plain


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("longshore"), prog_name="longshore", message="%(prog)s %(version)s")
def app() -> None:
    """A self-hosted container registry that speaks Amazon ECR."""


@app.command()
@setting_options(*OPTIONS)
def serve(settings: Settings) -> None:
    """Run the registry.

    Every option is also a variable LONGSHORE_<NAME> and a key of the --config file.
    """
    # Not at the top: the other commands are quick because they don't load the server.
    from longshore import server, serving  # noqa: PLC0415

    server.configure_logging(settings)
    # What the registry keeps is nobody else's to read, whatever directory it is put in.
    os.umask(0o077)
    try:
        taken, settings = serving.listen(settings)
        with taken:
            _welcome(settings, server.prepare(settings))
            serving.run(settings, taken)
    except server.CannotStart as error:
        fail(str(error))


@app.command()
@setting_options(*_OPTIONS_OF_ENV)
def env(settings: Settings) -> None:
    """Print the variables that point AWS tools at this registry, for eval "$(longshore env)"."""
    from longshore import server  # noqa: PLC0415

    try:
        key = server.read_administrator(settings)
        if key is None:
            server.check_started(settings)
    except server.CannotStart as error:
        fail(str(error))
    if key is None:
        fail(
            f"There is no {server.credentials_file(settings)}, which the first start made. Take it "
            "from the backup, or make another key (longshore iam key create --user administrator) "
            "and set the variables that this prints."
        )
    variables = {
        "AWS_ACCESS_KEY_ID": key.id,
        "AWS_SECRET_ACCESS_KEY": key.secret,
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        **{f"AWS_ENDPOINT_URL_{service}": settings.address for service in _SERVICES},
    }
    for name, value in variables.items():
        click.echo(f"export {name}={shlex.quote(value)}")
    # A session token of other credentials would spoil these.
    click.echo("unset AWS_SESSION_TOKEN AWS_PROFILE")


@app.command()
@setting_options("data", "archive_directory", "database_url", "layer_grace", "upload_lifetime")
@click.option("--dry-run", is_flag=True, help="Tell what would go, and leave it.")
def gc(settings: Settings, *, dry_run: bool) -> None:
    """Free what nobody needs any more.

    The server may go on running: it does the same by itself, every now and then.
    """
    from longshore.registry import bin_contents  # noqa: PLC0415
    from longshore.work.collector import Collector  # noqa: PLC0415

    count = freed = 0
    with opened_store(settings) as context:
        for garbage in Collector(context, dry_run=dry_run).run():
            count, freed = count + 1, freed + garbage.size
            click.echo(f"{garbage.kind}\t{garbage.size}\t{garbage.name}\t{garbage.reason}")
        with context.database.read() as tx:
            kept = bin_contents.take_stock(tx)
    verb = "would free" if dry_run else "freed"
    click.echo(f"{verb} {freed} bytes, {count} things", err=True)
    if kept.images:
        click.echo(f"the recycle bin keeps {kept.size} bytes, {kept.images} images", err=True)


@app.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell, for eval "$(longshore completion bash)"."""
    completer = get_completion_class(shell)
    if completer is None:
        fail(f"There is no completion for {shell}")
    click.echo(completer(app, {}, "longshore", "_LONGSHORE_COMPLETE").source())


@contextmanager
def opened_context(settings: Settings) -> Iterator[Context]:
    """Open the store for a command, and say in one line why it can't go on where it can't."""
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    from longshore import server  # noqa: PLC0415
    from longshore.metadata.migrate import OtherSchema, check_schema  # noqa: PLC0415

    try:
        server.check_started(settings)
        context = server.open_context(settings)
    except server.CannotStart as error:
        fail(str(error))
    except (OSError, ValueError) as error:
        fail(f"The registry in {settings.data} can't be opened: {error}")
    try:
        check_schema(context.database)
        server.check_identity(context, settings)
        yield context
    except (RegistryError, server.CannotStart, OtherSchema) as error:
        fail(str(error))
    except DBAPIError as error:
        fail(f"The database can't be used: {error.orig}")
    finally:
        context.database.close()


@contextmanager
def opened_store(settings: Settings) -> Iterator[Context]:
    """Open the store, as `opened_context`, for a command that handles bytes of the archive."""
    from longshore import server  # noqa: PLC0415
    from longshore.blobs.archive import ArchiveUnavailable  # noqa: PLC0415

    with opened_context(settings) as context:
        server.check_archive(context)
        try:
            yield context
        except ArchiveUnavailable as error:
            fail(str(error))


def _welcome(settings: Settings, start: Any) -> None:  # noqa: ANN401 - the server isn't loaded yet
    from longshore.server import credentials_file  # noqa: PLC0415

    command = "longshore" if shutil.which("longshore") else shlex.quote(sys.argv[0])
    options = shlex.join(
        word
        for name in _OPTIONS_OF_ENV
        if (value := getattr(settings, name)) != _default(name)
        for word in (_flag(name), str(value))
    )
    environment = f"{command} env {options}".rstrip()
    click.echo(f"Longshore {version('longshore')} is listening on {settings.address}")
    click.echo(f"  data        {settings.data}")
    click.echo(f"  registry    account {settings.account}, region {settings.region}")
    if start.is_first:
        click.echo(f"  new access key of the administrator: {start.administrator.id}")
        if sys.stdout.isatty():
            click.echo(f"  its secret, shown this once:         {start.administrator.secret}")
        else:
            # What isn't a terminal is a log, sooner or later.
            click.echo(f"  its secret is in {credentials_file(settings)}")
    click.echo("In another shell:")
    click.echo(f'  eval "$({environment})"')
    click.echo("  aws ecr create-repository --repository-name demo/app")
    registry = settings.address.partition("//")[2]
    if settings.behind_tls:
        # Not even a login here would be of use: what it is for is asked for by TLS.
        registry = f"{settings.account}.dkr.ecr.{settings.region}.{settings.domain or '<domain>'}"
    click.echo(
        f"  aws ecr get-login-password | docker login --username AWS --password-stdin {registry}"
    )
    if settings.behind_tls and settings.domain is None:
        click.echo("  (the proxy's name is told with --domain)")
    sys.stdout.flush()


def fail(message: str) -> NoReturn:
    """Say why a command can't do what it is asked for, and end."""
    click.echo(f"longshore: {message}", err=True)
    raise SystemExit(2)
