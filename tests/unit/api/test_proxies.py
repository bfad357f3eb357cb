from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.api.proxies import Proxies

PROXIES = Proxies((ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")))

# What is true, who holds the connection, what the headers say, and whom that makes the client.
CASES = [
    ("a stranger's word counts nothing", "192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
    ("a proxy's word counts", "10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
    ("a proxy may say nothing", "10.0.0.1", [], "10.0.0.1"),
    (
        "only the last stranger is known",
        "10.0.0.1",
        ["127.0.0.1, 198.51.100.7"],
        "198.51.100.7",
    ),
    (
        "a proxy may stand behind a proxy",
        "10.0.0.1",
        ["127.0.0.1, 198.51.100.7, 10.0.0.2"],
        "198.51.100.7",
    ),
    ("headers are one list", "10.0.0.1", ["127.0.0.1", "198.51.100.7", "10.0.0.2"], "198.51.100.7"),
    ("a proxy may be the client", "10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
    ("who can't be read is whoever was asked by them", "10.0.0.1", ["x, 10.0.0.2"], "10.0.0.2"),
    ("unknown is no address", "10.0.0.1", ["198.51.100.7, unknown"], "10.0.0.1"),
    ("nothing is no address", "10.0.0.1", ["198.51.100.7,"], "10.0.0.1"),
    ("a port may stand beside an address", "10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
    ("brackets may", "2001:db8::1", ["[2001:4860::8]:4711"], "2001:4860::8"),
    ("brackets need no port", "2001:db8::1", ["[2001:4860::8]"], "2001:4860::8"),
    ("IPv6 needs no brackets", "2001:db8::1", ["2001:4860::8"], "2001:4860::8"),
    ("a socket of both families knows IPv4", "::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
    ("and tells it so", "::ffff:192.0.2.1", [], "192.0.2.1"),
    ("a proxy may write it so", "10.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7"),
    ("addresses have one form", "2001:4860:0::8", [], "2001:4860::8"),
    ("a socket of the file system has no address", "", ["198.51.100.7"], ""),
]


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_the_client_of_a_request(peer: str, forwarded_for: list[str], client: str) -> None:
    assert PROXIES.client_of(peer, forwarded_for) == client


def test_nobody_is_trusted_unasked() -> None:
    assert Proxies().client_of("127.0.0.1", ["198.51.100.7"]) == "127.0.0.1"


strangers = st.ip_addresses(network="192.0.2.0/24") | st.ip_addresses(network="2001:4860::/32")
proxies = st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="2001:db8::/32")


@given(
    invented=st.lists(st.text(max_size=20).filter(lambda text: "," not in text), max_size=3),
    client=strangers,
    chain=st.lists(proxies, min_size=1, max_size=4),
)
def test_whatever_a_client_invents_it_is_known(invented, client, chain) -> None:
    forwarded = ", ".join([*invented, *map(str, [client, *chain[:-1]])])

    assert ip_address(PROXIES.client_of(str(chain[-1]), [forwarded])) == client
