"""The settings: what the operator chooses, on the command line, in the environment or in a file.

Each is an option of `longshore serve`, a variable `LONGSHORE_<NAME>` and a key of the TOML file
that `--config` or `LONGSHORE_CONFIG` names; the first of the three that gives it counts.
`docs/settings.md` is made from this module and from `longshore.setting_tables`.
"""

from __future__ import annotations

import os
import re
import tomllib
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from longshore import cores
from longshore.registry.limits import MIB
from longshore.setting_tables import EventSettings, LimitSettings
from longshore.setting_values import (
    HOUR,
    Networks,
    NonNegativeInteger,
    NonNegativeNumber,
    Positive,
    PositiveNumber,
    checked_account,
    checked_domain,
    checked_listen,
    checked_region,
    checked_workers,
    joined,
    split,
)
from longshore.supervision import METHOD

if TYPE_CHECKING:
    from collections.abc import Mapping

ENVIRONMENT_PREFIX = "LONGSHORE_"
# What Kubernetes puts into the environment beside a Service called longshore.
_FROM_KUBERNETES = re.compile(r"LONGSHORE_(?:SERVICE_(?:HOST|PORT)|PORT).*")
CONFIG_VARIABLE = "LONGSHORE_CONFIG"

# More are for those who ask for them: each has memory of its own, and a share of the connections.
_MOST_PROCESSES = 4


class InvalidSettings(ValueError):
    """A setting can't be what it was set to; the message names it and says what it can be."""


def default_data_directory() -> Path:
    """Return where data lies unless told otherwise (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "longshore"


class Settings(BaseSettings):
    """Everything an operator can choose."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
    )

    listen: Annotated[str, AfterValidator(checked_listen)] = Field(
        "127.0.0.1:5000",
        description="Where the server listens, as HOST:PORT; port 0 takes a free one.",
    )
    data: Path = Field(
        default_factory=default_data_directory,
        description="The directory of all data: blobs, keys, and the SQLite database.",
    )
    archive_directory: Path | None = Field(
        None,
        description="A directory, such as one on a large and slow disk, that the layers of "
        "archived images are moved to; without it, they stay in data.",
    )
    database_url: str | None = Field(
        None,
        repr=False,  # there may be a password in it
        description="The metadata's database, postgresql+psycopg://USER:PASSWORD@HOST/NAME; "
        "without it, SQLite in the data directory.",
    )
    compatibility: Literal["ecr", "oci"] = Field(
        "ecr",
        description="How strict the registry is: as ECR, or true to the OCI specification.",
    )
    account: Annotated[str, AfterValidator(checked_account)] = Field(
        "000000000000", description="The account of the default registry: twelve digits."
    )
    region: Annotated[str, AfterValidator(checked_region)] = Field(
        "us-east-1", description="The region of the default registry."
    )
    domain: Annotated[str | None, AfterValidator(checked_domain)] = Field(
        None,
        description="What follows <account>.dkr.ecr.<region>. in the host names of registries, "
        "with the port that clients use; without it, localhost and the port of the server.",
    )
    tls_certificate: Path | None = Field(
        None, description="The server's certificate chain, PEM; with it, the server speaks TLS."
    )
    tls_key: Path | None = Field(None, description="The certificate's private key, PEM.")
    behind_tls: bool = Field(
        default=False,
        description="Whether clients reach the server through a proxy that speaks TLS for it.",
    )
    trusted_proxies: Networks = Field(
        None,
        description="The proxies whose X-Forwarded-For tells who the client is (aws:SourceIp): "
        "addresses and blocks such as 10.0.0.0/8, with commas between them.",
    )
    workers: Annotated[int | Literal["auto"], PlainValidator(checked_workers)] = Field(
        "auto",
        description="Server processes that share the port and the data, as a number; or auto for "
        "one for each core that there is for them, four at most.",
    )
    idle_timeout: PositiveNumber = Field(
        60.0, description="How many seconds a client may pause in the middle of a body."
    )
    # Longer than clients and proxies keep a connection that they don't use: nginx and the load
    # balancers of AWS 60 seconds, Go's clients 90, Caddy 120.
    keep_alive: PositiveNumber = Field(
        150.0,
        description="How many seconds a connection stays open on which nothing is asked; more than "
        "a proxy in front keeps it.",
    )
    layer_grace: NonNegativeNumber = Field(
        24 * HOUR,
        description="How many seconds a layer is kept that no image refers to.",
    )
    upload_lifetime: NonNegativeNumber = Field(
        24 * HOUR, description="How many seconds an unfinished upload is kept after its last byte."
    )
    collect_interval: NonNegativeNumber = Field(
        HOUR, description="How many seconds lie between two garbage collections; 0 for none."
    )
    lifecycle_interval: NonNegativeNumber = Field(
        6 * HOUR,
        description="How many seconds lie between two runs of all lifecycle policies; 0 for none.",
    )
    recycle_bin_days: Annotated[int, Field(ge=0, le=3650)] = Field(
        0,
        description="For how many days an image that was deleted can be restored from the recycle "
        "bin; 0 for no recycle bin.",
    )
    jobs: bool = Field(
        default=True,
        description="Whether the server does the work that is queued, too; without, `longshore "
        "worker` has to.",
    )
    create_on_push: bool = Field(
        default=False,
        description="Whether a push to a repository that doesn't exist creates it, with default "
        "settings, where no repository creation template says so.",
    )
    pulls_interval: PositiveNumber = Field(
        60.0,
        description="How many seconds pulls and uses of access keys are remembered before they "
        "are written into the database.",
    )
    audit: bool = Field(
        default=True, description="Whether each request leaves a record in the audit trail."
    )
    audit_file: Path | None = Field(
        None, description="The file of the audit trail; without it, audit.json in data."
    )
    audit_file_size: Positive = Field(
        64 * MIB, description="At how many bytes the file of the audit trail is full."
    )
    audit_files_kept: NonNegativeInteger = Field(
        10, description="How many full files of the audit trail are kept."
    )
    audit_to_stdout: bool = Field(
        default=False, description="Whether audit records are printed on standard output too."
    )
    failed_attempts: NonNegativeInteger = Field(
        20,
        description="How many requests with wrong credentials an address may send at once to a "
        "server process before it has to wait; 0 for any number.",
    )
    failed_attempts_per_minute: PositiveNumber = Field(
        10.0, description="How many more it may send each minute after that."
    )
    openid_key_hosts: Annotated[str | None, BeforeValidator(joined)] = Field(
        None,
        description="Hosts where OpenID Connect providers may keep their keys, beside their own, "
        "with commas between them, such as www.googleapis.com.",
    )
    outgoing_private_addresses: bool = Field(
        default=False,
        description="Whether the server may fetch keys of OpenID Connect providers from addresses "
        "that aren't public.",
    )
    identities_file: Path | None = Field(
        None,
        description="A YAML file of users, groups, roles, policies and providers, which each start "
        "brings into force.",
    )
    log_format: Literal["text", "json"] = Field("text", description="How lines of the log look.")
    access_log: bool = Field(default=False, description="Whether each request is logged.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least severe messages that are logged."
    )
    metrics: Literal["off", "loopback", "everybody"] = Field(
        "loopback",
        description="Who may read the metrics at /metrics: nobody, who asks from this machine, or "
        "everybody.",
    )
    traces: bool = Field(
        default=False,
        description="Whether traces are sent to the OpenTelemetry collector that the variable "
        "OTEL_EXPORTER_OTLP_ENDPOINT names; needs the extra `opentelemetry`.",
    )
    limits: LimitSettings = Field(LimitSettings(), description="The quotas; see below.")
    events: EventSettings = Field(
        EventSettings(), description="Who is told what happens; see below."
    )

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together: give both or none")
        return self

    @property
    def host(self) -> str:
        """The host of `listen`, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port of `listen`."""
        return int(self.listen.rpartition(":")[2])

    @property
    def processes(self) -> int:
        """How many server processes there are to be, which the machine has a say in."""
        if self.workers != "auto":
            return self.workers
        # Those that aren't forked share no memory, and begin one import of everything later.
        return min(cores.usable(), _MOST_PROCESSES) if METHOD == "fork" else 1

    @property
    def database(self) -> str | Path:
        """The metadata's database: its URL, or a file of SQLite."""
        return self.database_url or self.data.absolute() / "metadata.sqlite"

    @property
    def proxy_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The addresses of the trusted proxies."""
        return tuple(ip_network(block) for block in split(self.trusted_proxies))

    @property
    def key_hosts(self) -> frozenset[str]:
        """The hosts of `openid_key_hosts`."""
        return frozenset(host.lower() for host in split(self.openid_key_hosts))

    @property
    def scheme(self) -> str:
        """How clients reach the server."""
        return "https" if self.behind_tls or self.tls_certificate else "http"

    @property
    def address(self) -> str:
        """The URL at which a client on this machine reaches the server."""
        everywhere = self.host in {"0.0.0.0", "::", "127.0.0.1", "::1"}  # noqa: S104 - compared
        host = "localhost" if everywhere else self.host
        scheme = "https" if self.tls_certificate else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings' signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Say which source counts before which."""
        file = settings_cls.model_config.get("toml_file")
        toml = [TomlConfigSettingsSource(settings_cls)] if file else []
        return (init_settings, env_settings, *toml)


def load(options: Mapping[str, object], config: Path | None) -> Settings:
    """Gather the settings from every source.

    Args:
        options: the command line's; those that are None weren't given.
        config: the TOML file, if any.

    Raises:
        InvalidSettings: one of them can't be used.
    """
    given = {name: value for name, value in options.items() if value is not None}
    _refuse_unknown_variables()
    if config is not None and not config.is_file():
        raise InvalidSettings(f"There is no configuration file {config}")

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=config)

    try:
        chosen = FromFile(**given)  # type: ignore[arg-type] # checked by the model
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, SettingsError) as error:
        raise InvalidSettings(f"{config or 'The environment'} can't be read: {error}") from error
    except ValidationError as error:
        raise InvalidSettings("\n".join(_sentences(error))) from error
    values = {name: getattr(chosen, name) for name in Settings.model_fields}
    return Settings.model_construct(**values)


_REASONS = {"extra_forbidden": "there is no such setting"}


def _sentences(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(map(str, each['loc'])) or 'settings'}: "
        f"{_REASONS.get(each['type'], each['msg']).removeprefix('Value error, ')}"
        for each in error.errors()
    ]


def _refuse_unknown_variables() -> None:
    """Refuse a variable that is nearly a setting: a typing error that nobody would notice."""
    known = {f"{ENVIRONMENT_PREFIX}{name}".upper() for name in Settings.model_fields}
    known.add(CONFIG_VARIABLE)
    for variable in os.environ:
        name = variable.upper()
        if _FROM_KUBERNETES.fullmatch(name):
            continue
        if name.startswith(ENVIRONMENT_PREFIX) and name.partition("__")[0] not in known:
            raise InvalidSettings(
                f"{variable} is no setting of Longshore. Those there are: "
                + ", ".join(sorted(known))
            )
