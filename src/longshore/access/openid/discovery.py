"""Keys that identity providers publish (OpenID Connect Discovery 1.0), fetched and kept a while."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from longshore.access.fetching import CannotFetch
from longshore.access.openid.key_sets import KeySet, MalformedKeySet
from longshore.access.openid.keys import unreachable
from longshore.clock import HOUR, MINUTE, SECOND, Clock, Millis

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.access.openid.key_sets import Key

_WELL_KNOWN = "/.well-known/openid-configuration"
_MOST_PROVIDERS = 1_000
# A provider that failed may be well again soon, and jobs are waiting for it.
_PAUSE_AFTER_FAILURE = 5 * SECOND

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Known:
    """What is known of one provider; its lock lets one thread at a time ask the provider."""

    key_set: KeySet | None = None
    expires_at: Millis = 0
    next_fetch_at: Millis = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Discovery:
    """The published keys of providers.

    Args:
        fetch: returns the document at a URL of HTTPS, or raises `CannotFetch`.
        clock: tells how old what is known is.
        key_hosts: hosts that a provider may keep its keys at, beside its own.
        lifetime: how long keys are kept without asking again.
        pause: how long a provider is left alone after it answered, whatever keys tokens name.
    """

    def __init__(
        self,
        fetch: Callable[[str], bytes],
        clock: Clock,
        key_hosts: frozenset[str] = frozenset(),
        lifetime: Millis = 1 * HOUR,
        pause: Millis = 1 * MINUTE,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._key_hosts = key_hosts
        self._lifetime = lifetime
        self._pause = pause
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()

    def find(self, issuer: str, key_id: str | None, algorithm: str) -> tuple[Key, ...]:
        """Return the keys that a token of the issuer may be signed with.

        A key that isn't known may be new: the provider is asked again, but not at every token.

        Raises:
            ProviderUnreachable: they can't be had.
        """
        known = self._known_of(issuer)
        with known.lock:
            now = self._clock()
            if known.key_set is not None and now < known.expires_at:
                found = known.key_set.find(key_id, algorithm)
                if found or now < known.next_fetch_at:
                    return found
            elif now < known.next_fetch_at:
                raise unreachable(issuer)
            return self._refresh(issuer, known, now).find(key_id, algorithm)

    def _known_of(self, issuer: str) -> _Known:
        with self._lock:
            if issuer not in self._known and len(self._known) >= _MOST_PROVIDERS:
                self._known.clear()
            return self._known.setdefault(issuer, _Known())

    def _refresh(self, issuer: str, known: _Known, now: Millis) -> KeySet:
        try:
            key_set = self._fetch_keys(issuer)
        except (CannotFetch, MalformedKeySet) as error:
            _log.warning("the keys of the identity provider %s can't be had: %s", issuer, error)
            known.next_fetch_at = now + _PAUSE_AFTER_FAILURE
            raise unreachable(issuer) from error
        known.key_set, known.expires_at = key_set, now + self._lifetime
        known.next_fetch_at = now + self._pause
        return key_set

    def _fetch_keys(self, issuer: str) -> KeySet:
        configuration_url = issuer.removesuffix("/") + _WELL_KNOWN
        try:
            configuration = json.loads(self._fetch(configuration_url))
        except (ValueError, RecursionError):
            raise CannotFetch(f"{configuration_url} isn't JSON") from None
        if not isinstance(configuration, dict) or configuration.get("issuer") != issuer:
            raise CannotFetch(f"{configuration_url} isn't the configuration of {issuer}")
        keys_url = configuration.get("jwks_uri")
        if not isinstance(keys_url, str):
            raise CannotFetch(f"{configuration_url} names no jwks_uri")
        self._check_host(issuer, keys_url)
        return KeySet.parse(self._fetch(keys_url))

    def _check_host(self, issuer: str, keys_url: str) -> None:
        try:
            own, host = urlsplit(issuer), urlsplit(keys_url)
        except ValueError:
            raise CannotFetch(f"the jwks_uri of {issuer} is no URL") from None
        if host.netloc.lower() != own.netloc.lower() and host.hostname not in self._key_hosts:
            raise CannotFetch(
                f"its keys are at {host.hostname}, which isn't its own host. If that is right, "
                "list it (openid_key_hosts)"
            )
