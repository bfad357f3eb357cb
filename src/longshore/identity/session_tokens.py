"""Session tokens: what the temporary credentials of STS carry, sealed.

Nothing of a session is stored. Its token says who it is for and what it was narrowed to; what its
holder may do is looked up at each request.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from longshore.access.sealing import BrokenSeal
from longshore.errors import UnrecognizedClient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.clock import Millis
    from longshore.registry.context import Context

_PURPOSE = "session token"
_LONGEST = 16_384


@dataclass(frozen=True, slots=True)
class Session:
    """A session of a role, or one that somebody's long-term key was exchanged for.

    Attributes:
        holder: the id of the role (AROA…) or of the long-term key (AKIA…).
        name: the role session's; "" for the other kind.
        issued_at: when it was made.
        expires_at: when its credentials stop working.
        policies: the texts of its session policies.
        policy_arns: the managed policies among them.
        tags: its session tags.
        transitive: the keys of those that go with it into roles that it assumes.
        source_identity: who is behind it, as whoever made it said.
        provider: the ARN of the OpenID Connect provider that vouched for its holder.
    """

    holder: str
    name: str
    issued_at: Millis
    expires_at: Millis
    policies: tuple[str, ...] = ()
    policy_arns: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: tuple[str, ...] = ()
    source_identity: str = ""
    provider: str = ""

    @property
    def is_of_role(self) -> bool:
        """Whether it is the session of a role."""
        return self.name != ""

    @property
    def is_narrowed(self) -> bool:
        """Whether session policies say what it may do at most."""
        return bool(self.policies or self.policy_arns)

    def claims(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    @classmethod
    def of(cls, claims: Mapping[str, Any]) -> Session:
        """Read what `claims` gave."""
        # JSON knows no tuples.
        lists = {name: tuple(claims[name]) for name in ("policies", "policy_arns", "transitive")}
        return cls(**{**claims, **lists})


def write(context: Context, session: Session, key_id: str, secret: str) -> str:
    """Return the token of a session; it is good together with this key alone."""
    content = json.dumps({"session": session.claims(), "secret": secret}, ensure_ascii=False)
    return context.server_key.seal_for(_PURPOSE).close_text(content.encode(), key_id.encode())


def read(context: Context, token: str, key_id: str) -> tuple[Session, str]:
    """Return a session and the secret of its key. Whether its time is over isn't looked at.

    Raises:
        UnrecognizedClient: the token isn't this server's, or is another key's.
    """
    if len(token) > _LONGEST:
        raise UnrecognizedClient
    try:
        content = context.server_key.seal_for(_PURPOSE).open_text(token, key_id.encode())
    except (BrokenSeal, UnicodeEncodeError):
        raise UnrecognizedClient from None
    claims = json.loads(content)
    return Session.of(claims["session"]), claims["secret"]
