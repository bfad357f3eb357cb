"""Whose word on the client's address counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.api.people import Person, allow
from tests.api.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.server import RunningServer


def test_a_trusted_proxy_tells_who_the_client_is(
    new_server: Callable[..., RunningServer],
) -> None:
    stage = Stage.build(new_server(trusted_proxies="127.0.0.1/32"))
    person = Person.invite(stage.server)
    person.may(allow("ecr:*", Condition={"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}))

    def status(*forwarded_for: str) -> int:
        headers = [("X-Forwarded-For", each) for each in forwarded_for]
        return person.oci("GET", f"/v2/{stage.name}/tags/list", headers).status

    assert status() == 403
    assert status("198.51.100.7") == 200
    assert status("198.51.100.7, 192.0.2.1") == 403
    assert status("192.0.2.1", "198.51.100.7") == 200
