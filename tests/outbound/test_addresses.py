"""No spelling of an address, and no trick with names, gets a connection out of the door that was not meant."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwconnect.outbound import (
    NOTIFICATION_LIMITS,
    AddressNotAllowed,
    AddressPolicy,
    InvalidUrl,
    NameNotFound,
    OutboundClient,
)
from tests.support.raw_servers import RawServer, always, answer

PUBLIC = "93.184.216.34"

_SPELLINGS = """
127.0.0.1 127.0.0.2 127.255.255.254 127.1 127.0.1 0x7f.0.0.1 0x7f.1 0x7f000001 0X7F000001 2130706433 017700000001
0177.0.0.1 0177.0.0.01 00000177.1 0 0.0.0.0 0x0 0.1.2.3 localhost LOCALHOST
10.0.0.1 10.255.255.255 0x0a000001 167772161 012.0.0.1 100.64.0.1 100.127.255.255 100.100.100.200
169.254.1.1 169.254.169.254 2852039166 0xA9FEA9FE 0251.0376.0251.0376 168.63.129.16
172.16.0.1 172.31.255.255 192.168.0.1 192.168.1 3232235521 192.0.0.8 192.0.0.192 192.0.2.1 192.88.99.1 192.31.196.1
192.52.193.1 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1
224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 0xffffffff 4294967295
[::] [::1] [0:0:0:0:0:0:0:1] [0000::0001] [::127.0.0.1] [::7f00:1] [::8.8.8.8] [::ffff:127.0.0.1] [::ffff:7f00:1]
[0:0:0:0:0:ffff:7f00:0001] [::ffff:10.0.0.1] [::ffff:169.254.169.254] [::ffff:8.8.8.8] [::ffff:0:127.0.0.1]
[64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b::8.8.8.8] [64:ff9b:1::127.0.0.1] [64:ff9b:1:7f00:0:100::]
[2002:7f00:1::] [2002:7f00:0001::1] [2002:a00:1::1] [2002:808:808::1]
[2001::1] [2001:0:7f00:1::] [2001:0:808:808:0:0:80ff:fffe] [2001:10::1] [2001:20::1] [2001:2::1] [2001:db8::1] [3fff::1]
[100::1] [200::1] [5f00::1] [fc00::1] [fd00:ec2::254] [fdff::1] [fe80::1] [febf::1] [fec0::1] [ff02::1]
[ff0e::1] [2a00:1450:4001:81b:0:5efe:7f00:1] [2a00:1450:4001:81b:200:5efe:a00:1] [4000::1] [e000::1]
"""
SPELLINGS = _SPELLINGS.split()

_DISGUISES = """
%31%32%37.0.0.1 127.0.0.1%2f 127.0.0.1%00 127.0.0.1%00.example.com [::1 ::1 [::1]] [127.0.0.1] [::ffff:127.0.0.1%00]
127.0.0.1. 127.0.0.1.. localhost. 0x7f.0x0.0x0.0x1. 256.256.256.256 0x100000000 [fe80::1%25lo] [::1%25lo]
①②⑦.⓪.⓪.① 127。0。0。1 １２７.0.0.1 ⓛocalhost
public.example@127.0.0.1 127.0.0.1\\@public.example
"""
DISGUISES = [*_DISGUISES.split(), "127.0.0.1\t", "127.0.0.1\r\nHost:x", "127.0.0.1 "]


@pytest.fixture
def servers() -> Iterator[tuple[RawServer, RawServer]]:
    """Listen on one port of both loopback addresses; nothing in this module may ever connect to them unasked."""
    with RawServer(always(answer(b"leaked"))) as four, _listen_on_ipv6(four.port) as six:
        yield four, six


def _listen_on_ipv6(port: int) -> RawServer:
    try:
        return RawServer(always(answer(b"leaked")), "::1", port)
    except OSError:  # a machine without IPv6
        return RawServer(always(answer(b"leaked")))


@pytest.fixture
def outbound_client() -> Iterator[OutboundClient]:
    outbound_client = OutboundClient()
    yield outbound_client
    outbound_client.close()


@pytest.fixture(scope="module")
def any_client() -> OutboundClient:
    """Share one door that is never sent through: hypothesis calls a test many times."""
    return OutboundClient()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """Map a name to the lists of addresses that it resolves to, one list after the other; the last one stays."""
    table: dict[str, list[list[str]]] = {}
    true_getaddrinfo = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        answers = table.get(host)
        if not answers:
            return true_getaddrinfo(host, port, *args, **kwargs)
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [info for address in addresses for info in true_getaddrinfo(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return table


def get(outbound_client: OutboundClient, url: str) -> bytes:
    return outbound_client.request("GET", url, headers={}, limits=NOTIFICATION_LIMITS).body


def test_the_table_is_long_enough() -> None:
    assert len(set(SPELLINGS)) >= 60


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_address_that_is_not_public_is_refused_in_any_spelling(
    outbound_client: OutboundClient, servers: tuple[RawServer, RawServer], spelling: str
) -> None:
    with pytest.raises(AddressNotAllowed):
        get(outbound_client, f"http://{spelling}:{servers[0].port}/")

    assert not servers[0].connections
    assert not servers[1].connections


@pytest.mark.parametrize("spelling", DISGUISES)
def test_a_malformed_or_disguised_host_gets_nowhere(
    outbound_client: OutboundClient, servers: tuple[RawServer, RawServer], spelling: str
) -> None:
    with pytest.raises((AddressNotAllowed, InvalidUrl, NameNotFound)):
        get(outbound_client, f"http://{spelling}:{servers[0].port}/")

    assert not servers[0].connections
    assert not servers[1].connections


@pytest.mark.parametrize(
    "addresses",
    [
        [PUBLIC, "127.0.0.1"],
        ["127.0.0.1", PUBLIC],
        ["2606:4700::1111", "::1"],
        [PUBLIC, "10.0.0.1", PUBLIC],
        [PUBLIC, "2002:7f00:1::"],
    ],
)
def test_a_name_with_one_address_that_is_not_public_is_refused(
    outbound_client: OutboundClient,
    names: dict[str, list[list[str]]],
    servers: tuple[RawServer, RawServer],
    addresses: list[str],
) -> None:
    names["both.example"] = [addresses]

    with pytest.raises(AddressNotAllowed, match=r"both\.example"):
        get(outbound_client, servers[0].url(host="both.example"))

    assert not servers[0].connections
    assert not servers[1].connections


def test_a_name_that_changes_its_mind_is_connected_to_where_it_was_vetted(
    names: dict[str, list[list[str]]], servers: tuple[RawServer, RawServer]
) -> None:
    names["rebinding.example"] = [["127.0.0.1"], ["::1"]]
    outbound_client = OutboundClient([ip_network("127.0.0.1/32")])

    assert get(outbound_client, servers[0].url(host="rebinding.example")) == b"leaked"

    assert len(names["rebinding.example"]) == 1  # asked once
    assert not servers[1].connections
    outbound_client.close()


def test_a_name_is_judged_anew_for_each_new_connection(
    names: dict[str, list[list[str]]], servers: tuple[RawServer, RawServer]
) -> None:
    names["rebinding.example"] = [["127.0.0.1"], ["::1"]]
    outbound_client = OutboundClient([ip_network("127.0.0.1/32")])
    get(outbound_client, servers[0].url(host="rebinding.example"))
    outbound_client.close()

    with pytest.raises(AddressNotAllowed):
        get(outbound_client, servers[0].url(host="rebinding.example"))
    assert not servers[1].connections


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_a_redirect_to_a_private_address_is_an_answer_and_is_not_followed(
    servers: tuple[RawServer, RawServer], status: str
) -> None:
    outbound_client = OutboundClient([ip_network("127.0.0.1/32")])
    target = f"Location: http://[::1]:{servers[1].port}/"
    with RawServer(always(answer(status=status, headers=(target,)))) as server:
        reply = outbound_client.request("POST", server.url(), headers={}, body=b"{}", limits=NOTIFICATION_LIMITS)
        outbound_client.close()

    assert reply.status == int(status[:3])
    assert not servers[1].connections


def test_an_opened_network_is_reached_and_its_neighbours_are_not(servers: tuple[RawServer, RawServer]) -> None:
    outbound_client = OutboundClient([ip_network("127.0.0.1/32")])

    assert get(outbound_client, servers[0].url()) == b"leaked"
    with pytest.raises(AddressNotAllowed):
        get(outbound_client, servers[0].url(host="127.0.0.2"))
    with pytest.raises(AddressNotAllowed):
        get(outbound_client, servers[0].url(host="[::1]"))
    outbound_client.close()


def test_an_embedded_address_is_judged_even_if_the_outer_one_is_opened() -> None:
    policy = AddressPolicy((ip_network("64:ff9b::/96"), ip_network("::/0")))

    assert policy.refusal("64:ff9b::808:808") is None
    assert policy.refusal("64:ff9b::7f00:1") == "64:ff9b::7f00:1 holds 127.0.0.1, which is loopback"


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", PUBLIC, "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450:4001:81b::200e"],
)
def test_a_public_address_is_allowed(address: str) -> None:
    assert AddressPolicy().refusal(address) is None


@given(st.ip_addresses())
def test_what_python_calls_private_is_never_allowed(ip: IPv4Address | IPv6Address) -> None:
    if not ip.is_global or ip.is_multicast:
        assert AddressPolicy().refusal(str(ip)) or ip in ip_network("2001::/16")


@given(st.ip_addresses(v=4).filter(lambda ip: not ip.is_global))
def test_no_form_that_embeds_a_private_address_is_allowed_with_ipv6_opened(inner: IPv4Address) -> None:
    policy = AddressPolicy((ip_network("::/0"),))
    number = int(inner)
    forms = [0xFFFF << 32, 0xFFFF0000 << 32, 0x64FF9B << 96, 0x64FF9B0001 << 80, 0x2A001450 << 96 | 0x5EFE << 32]
    embedded = [form | number for form in forms]
    embedded += [0x2002 << 112 | number << 80, 0x20010000 << 96 | 0x08080808 << 64 | number ^ 0xFFFFFFFF]

    for form in embedded:
        assert policy.refusal(str(ip_address(form)))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "//example.com/",
        "example.com/",
        "http:example.com",
        "http://",
        "http:///path",
        "http://user@example.com/",
        "http://user:word@example.com/",
        "http://:@example.com/",
        "http://@example.com/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:-1/",
        "http://example.com:http/",
        "http://example.com/a b",
        "http://example.com/\r\nX: y",
        "http://example.com/\x00",
        "http://exa\tmple.com/",
        "http://example.com\\@127.0.0.1/",
        "",
    ],
)
def test_a_url_that_is_not_plainly_http_is_refused_without_a_look_at_names(
    outbound_client: OutboundClient, url: str
) -> None:
    with pytest.raises(InvalidUrl):
        outbound_client.check_url(url)
    with pytest.raises(InvalidUrl):
        get(outbound_client, url)


@pytest.mark.parametrize(
    "url",
    ["http://example.com", "https://example.com:8443/a?b=c%20d#e", "HTTP://EXAMPLE.com/", "http://[2606:4700::1]/",
     "https://bücher.example/", "http://example.com/@user", "http://example.com/?mail=a@b.example"],
)  # fmt: skip
def test_a_plain_url_is_accepted(outbound_client: OutboundClient, url: str) -> None:
    outbound_client.check_url(url)


def test_a_name_that_does_not_exist_is_reported_as_such(outbound_client: OutboundClient) -> None:
    with pytest.raises(NameNotFound, match=r"nowhere\.invalid"):
        get(outbound_client, "http://nowhere.invalid/")


@given(st.text(max_size=40))
def test_any_text_as_a_host_is_accepted_or_refused_and_nothing_else(any_client: OutboundClient, host: str) -> None:
    with contextlib.suppress(InvalidUrl):
        any_client.check_url(f"http://{host}.invalid/")
