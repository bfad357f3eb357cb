"""The settings: what the operator chooses, on the command line, in the environment or in a file.

Each is an option of `longshore serve`, a variable `LONGSHORE_<NAME>` and a key of the TOML file
that `--config` or `LONGSHORE_CONFIG` names; the first of the three that gives it counts.
`docs/settings.md` is made from this module.
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
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
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
from longshore.events.webhooks import read_secret
from longshore.names import is_account, is_region
from longshore.outbound import AddressRefused, Reach, Url
from longshore.registry.limits import MIB, Limits
from longshore.supervision import METHOD

if TYPE_CHECKING:
    from collections.abc import Mapping

ENVIRONMENT_PREFIX = "LONGSHORE_"
# What Kubernetes puts into the environment beside a Service called longshore.
_FROM_KUBERNETES = re.compile(r"LONGSHORE_(?:SERVICE_(?:HOST|PORT)|PORT).*")
CONFIG_VARIABLE = "LONGSHORE_CONFIG"

HOUR = 3600.0
# More are for those who ask for them: each has memory of its own, and a share of the connections.
_MOST_PROCESSES = 4


class InvalidSettings(ValueError):
    """A setting can't be what it was set to; the message names it and says what it can be."""


def default_data_directory() -> Path:
    """Return where data lies unless told otherwise (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "longshore"


def _listen_address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError("write HOST:PORT, such as 127.0.0.1:5000 or [::]:5000")
    return text


def _account(text: str) -> str:
    if not is_account(text):
        raise ValueError("an account id has twelve digits")
    return text


def _region(text: str) -> str:
    if not is_region(text):
        raise ValueError("write a region such as eu-west-1")
    return text


def _joined(value: object) -> object:
    """Take a list, which is what a file has, for the text that options and variables have."""
    return ",".join(map(str, value)) if isinstance(value, list) else value


def _networks(text: str | None) -> str | None:
    for block in _blocks(text):
        try:
            ip_network(block)
        except ValueError as error:
            raise ValueError(
                f"{error}; write addresses or blocks such as 10.0.0.0/8, with commas between them"
            ) from error
    return text


def _blocks(text: str | None) -> list[str]:
    return [block.strip() for block in (text or "").split(",") if block.strip()]


def _workers(value: object) -> int | Literal["auto"]:
    if value == "auto":
        return "auto"
    text = str(value)
    if isinstance(value, bool) or not (text.isdecimal() and int(text) > 0):
        raise ValueError("write a number of processes, or auto")
    return int(text)


def _url(text: str) -> str:
    Url.parse(text)
    return text


def _secret(text: SecretStr) -> SecretStr:
    read_secret(text.get_secret_value())
    return text


ReceiverName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
Positive = Annotated[int, Field(gt=0)]
NonNegativeInteger = Annotated[int, Field(ge=0)]
Number = Annotated[float, Field(allow_inf_nan=False)]
PositiveNumber = Annotated[Number, Field(gt=0)]
NonNegativeNumber = Annotated[Number, Field(ge=0)]


_ECRS = Limits()


class LimitSettings(BaseModel):
    """The quotas of ECR, as the table `[limits]`; sizes are bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repositories_per_registry: Positive = Field(
        _ECRS.repositories_per_registry, description="Repositories of a registry."
    )
    images_per_repository: Positive = Field(
        _ECRS.images_per_repository, description="Images of a repository."
    )
    tags_per_image: Positive = Field(_ECRS.tags_per_image, description="Tags of an image.")
    resource_tags_per_repository: Positive = Field(
        _ECRS.resource_tags_per_repository,
        description="Resource tags (keys and values) of a repository.",
    )
    creation_templates_per_registry: Positive = Field(
        _ECRS.creation_templates_per_registry,
        description="Repository creation templates of a registry.",
    )
    pull_time_exclusions_per_registry: Positive = Field(
        _ECRS.pull_time_exclusions_per_registry,
        description="Principals of a registry whose pulls leave no pull time.",
    )
    layer_size: Positive = Field(_ECRS.layer_size, description="The largest layer.")
    layer_parts: Positive = Field(
        _ECRS.layer_parts, description="Parts of one UploadLayerPart upload."
    )
    layer_part_smallest: Positive = Field(
        _ECRS.layer_part_smallest,
        description="The smallest part of UploadLayerPart but for the last.",
    )
    layer_part_largest: Positive = Field(_ECRS.layer_part_largest, description="The largest part.")
    manifest_size: Positive = Field(_ECRS.manifest_size, description="The largest manifest.")
    rates: dict[str, PositiveNumber] = Field(
        default_factory=dict,
        description="Requests a second for an operation, such as PutImage = 10, for each "
        "registry and server process; an operation that isn't named has no limit.",
    )


class WebhookSettings(BaseModel):
    """A receiver of events, as a table `[events.webhooks.NAME]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(_url)] = Field(
        description="Where events are sent to, one at a time."
    )
    secret: Annotated[SecretStr, AfterValidator(_secret)] = Field(
        description="What they are signed with: whsec_ and the base64 of 24 to 64 random bytes."
    )


class EventSettings(BaseModel):
    """Who is told what happens, as the table `[events]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    webhooks: dict[ReceiverName, WebhookSettings] = Field(
        default_factory=dict, description="URLs that events are sent to, by name; see below."
    )
    allowed_networks: Annotated[str | None, BeforeValidator(_joined), AfterValidator(_networks)] = (
        Field(
            None,
            description="Networks that aren't public and that events may be sent to all the same: "
            "addresses and blocks such as 10.0.0.0/8, with commas between them.",
        )
    )
    timeout: PositiveNumber = Field(
        10.0, description="How many seconds a webhook or a bus may take to answer."
    )
    file: Path | None = Field(
        None, description="A file that events are appended to, a line of JSON each."
    )
    file_size: Positive = Field(
        100 * MIB,
        description="The size in bytes at which the file is full: then it gets the suffix .1, "
        "the one that had that gets .2, and so on.",
    )
    files_kept: Annotated[int, Field(ge=0)] = Field(5, description="How many full files are kept.")
    stdout: bool = Field(
        default=False, description="Whether events are printed on standard output, a line each."
    )
    eventbridge_bus: str | None = Field(
        None,
        description="The name or ARN of an Amazon EventBridge bus that events are put on, with the "
        "AWS credentials of the process; needs the extra `eventbridge`.",
    )
    eventbridge_region: str | None = Field(
        None, description="The region of that bus; without it, the setting `region`."
    )
    eventbridge_endpoint: str | None = Field(
        None, description="The URL of an EventBridge that isn't Amazon's."
    )
    eventbridge_source: str = Field(
        "longshore.ecr",
        description="The source of events on the bus; Amazon's takes none that begins with aws.",
    )
    kept: Positive = Field(
        100_000,
        description="How many events are kept at most for receivers that are behind and streams "
        "that come back; older ones are dropped.",
    )
    kept_for: PositiveNumber = Field(
        72 * HOUR, description="For how many seconds they are kept at most."
    )

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks that events may be sent to although they aren't public."""
        return tuple(ip_network(block) for block in _blocks(self.allowed_networks))

    @model_validator(mode="after")
    def _check_addresses(self) -> Self:
        """Refuse at the start what would be refused at each delivery."""
        reach = Reach(self.networks)
        for name, webhook in self.webhooks.items():
            try:
                reach.check_literal(Url.parse(webhook.url).host)
            except AddressRefused as error:
                raise ValueError(f"webhooks.{name}: {error} (events.allowed_networks)") from error
        return self


TABLES = ("limits", "events")
"""Groups of settings: for the file and the environment, and no options."""


class Settings(BaseSettings):
    """Everything an operator can choose."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
    )

    listen: Annotated[str, AfterValidator(_listen_address)] = Field(
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
    account: Annotated[str, AfterValidator(_account)] = Field(
        "000000000000", description="The account of the default registry: twelve digits."
    )
    region: Annotated[str, AfterValidator(_region)] = Field(
        "us-east-1", description="The region of the default registry."
    )
    domain: str | None = Field(
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
    trusted_proxies: Annotated[str | None, BeforeValidator(_joined), AfterValidator(_networks)] = (
        Field(
            None,
            description="The proxies whose X-Forwarded-For tells who the client is (aws:SourceIp): "
            "addresses and blocks such as 10.0.0.0/8, with commas between them.",
        )
    )
    workers: Annotated[int | Literal["auto"], PlainValidator(_workers)] = Field(
        "auto",
        description="Server processes that share the port and the data, as a number; or auto for "
        "one for each core that there is for them, four at most.",
    )
    idle_timeout: PositiveNumber = Field(
        60.0, description="How many seconds a client may pause in the middle of a body."
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
    openid_key_hosts: Annotated[str | None, BeforeValidator(_joined)] = Field(
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
        return tuple(ip_network(block) for block in _blocks(self.trusted_proxies))

    @property
    def key_hosts(self) -> frozenset[str]:
        """The hosts of `openid_key_hosts`."""
        return frozenset(host.lower() for host in _blocks(self.openid_key_hosts))

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
