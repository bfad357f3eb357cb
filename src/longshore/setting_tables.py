"""The tables of settings: for the file and the environment, and no options."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path  # noqa: TC003 - pydantic looks at it
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from longshore.outbound import AddressRefused, Reach, Url
from longshore.registry.limits import MIB, Limits
from longshore.setting_values import (
    HOUR,
    Networks,
    Positive,
    PositiveNumber,
    ReceiverName,
    checked_secret,
    checked_url,
    split,
)

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

    url: Annotated[str, AfterValidator(checked_url)] = Field(
        description="Where events are sent to, one at a time."
    )
    secret: Annotated[SecretStr, AfterValidator(checked_secret)] = Field(
        description="What they are signed with: whsec_ and the base64 of 24 to 64 random bytes."
    )


class EventSettings(BaseModel):
    """Who is told what happens, as the table `[events]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    webhooks: dict[ReceiverName, WebhookSettings] = Field(
        default_factory=dict, description="URLs that events are sent to, by name; see below."
    )
    allowed_networks: Networks = Field(
        None,
        description="Networks that aren't public and that events may be sent to all the same: "
        "addresses and blocks such as 10.0.0.0/8, with commas between them.",
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
        return tuple(ip_network(block) for block in split(self.allowed_networks))

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
"""Their names among the settings."""
