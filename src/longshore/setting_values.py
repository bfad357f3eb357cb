"""The values that settings have, and what they can't be.

Each function takes a value and returns it, or raises ValueError with what to write instead.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from longshore.events.webhooks import read_secret
from longshore.names import is_account, is_host, is_region
from longshore.outbound import Url

HOUR = 3600.0
_LARGEST_PORT = 65_535


def checked_listen(text: str) -> str:
    """Take HOST:PORT."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LARGEST_PORT:
        raise ValueError("write HOST:PORT, such as 127.0.0.1:5000 or [::]:5000")
    return text


def checked_account(text: str) -> str:
    """Take the id of an account."""
    if not is_account(text):
        raise ValueError("an account id has twelve digits")
    return text


def checked_region(text: str) -> str:
    """Take the name of a region."""
    if not is_region(text):
        raise ValueError("write a region such as eu-west-1")
    return text


def checked_domain(text: str | None) -> str | None:
    """Take a host name, with the port that clients use or without."""
    if text is None:
        return None
    host, colon, port = text.partition(":")
    if not is_host(host) or (colon and re.fullmatch("[0-9]{1,5}", port) is None):
        raise ValueError(
            "write a host name such as registry.example or registry.example:5000, "
            "without http:// and without a path"
        )
    if colon and not 0 < int(port) <= _LARGEST_PORT:
        raise ValueError(f"a port is a number from 1 to {_LARGEST_PORT}")
    return text


def joined(value: object) -> object:
    """Take a list, which is what a file has, for the text that options and variables have."""
    return ",".join(map(str, value)) if isinstance(value, list) else value


def checked_networks(text: str | None) -> str | None:
    """Take addresses and blocks, with commas between them."""
    for block in split(text):
        try:
            ip_network(block)
        except ValueError as error:
            raise ValueError(
                f"{error}; write addresses or blocks such as 10.0.0.0/8, with commas between them"
            ) from error
    return text


def split(text: str | None) -> list[str]:
    """Return what stands between the commas."""
    return [block.strip() for block in (text or "").split(",") if block.strip()]


def checked_workers(value: object) -> int | Literal["auto"]:
    """Take a number of processes, or `auto`."""
    if value == "auto":
        return "auto"
    text = str(value)
    if isinstance(value, bool) or not (text.isdecimal() and int(text) > 0):
        raise ValueError("write a number of processes, or auto")
    return int(text)


def checked_url(text: str) -> str:
    """Take a URL that requests can be sent to."""
    Url.parse(text)
    return text


def checked_secret(text: SecretStr) -> SecretStr:
    """Take a webhook's secret."""
    read_secret(text.get_secret_value())
    return text


ReceiverName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
Positive = Annotated[int, Field(gt=0)]
NonNegativeInteger = Annotated[int, Field(ge=0)]
Number = Annotated[float, Field(allow_inf_nan=False)]
PositiveNumber = Annotated[Number, Field(gt=0)]
NonNegativeNumber = Annotated[Number, Field(ge=0)]
Networks = Annotated[str | None, BeforeValidator(joined), AfterValidator(checked_networks)]
