"""Whose address counts: read from X-Forwarded-For as proxies write it, and never as a client would like it."""

from __future__ import annotations

import http.client
import ipaddress
import socket
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from cwconnect.core.client_ip import address_in, client_address
from cwconnect.core.processes import Child
from tests.support.databases import place_tables
from tests.support.required import lengthy
from tests.support.services import wait_until

PROXIES = [ipaddress.ip_network(network) for network in ("127.0.0.1", "10.0.0.0/24", "2001:db8:1::/48")]
CLIENT, OTHER, EDGE, INNER = "203.0.113.9", "198.51.100.7", "10.0.0.1", "10.0.0.2"


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        (" 203.0.113.9\t", "203.0.113.9"),
        ("203.0.113.9:5678", "203.0.113.9"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:db8::1:443", "2001:db8::1:443"),  # without brackets all of it is the address
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("[::ffff:203.0.113.9]:80", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::1"),
        ("[203.0.113.9]:80", "203.0.113.9"),
        ("", None),
        ("unknown", None),
        ("_hidden", None),
        ("203.0.113.9:", None),
        ("203.0.113.9:port", None),
        ("203.0.113.9:123456", None),
        ("203.0.113", None),
        ("0203.0.113.9", None),
        ("256.0.0.1", None),
        ("[2001:db8::1", None),
        ("2001:db8::1]:443", None),
        ("[]:443", None),
        ("[[::1]]", None),
        ("٣.0.113.9", None),
        ('"203.0.113.9"', None),
        ("for=203.0.113.9", None),
        ("a" * 8000, None),
    ],
)
def test_an_address_is_read_as_proxies_write_it(written: str, address: str | None) -> None:
    found = address_in(written)
    assert (found and str(found)) == address


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    found = address_in(text)
    assert found is None or ipaddress.ip_address(str(found)) == found


@pytest.mark.parametrize(
    ("remote", "forwarded", "address"),
    [
        # one proxy, as in the default
        (INNER, CLIENT, CLIENT),
        # several: all of them are walked through
        (INNER, f"{CLIENT}, {EDGE}", CLIENT),
        ("127.0.0.1", f"{CLIENT}, {EDGE}, {INNER}", CLIENT),
        ("127.0.0.1", f"{CLIENT}:5678,{EDGE}:443,[2001:db8:1::5]:443", CLIENT),
        ("::ffff:127.0.0.1", f"[2001:db8:2::7]:1, ::ffff:{EDGE}", "2001:db8:2::7"),
        ("", f"{CLIENT}, {EDGE}", CLIENT),  # a socket in the file system has no address
        # what the client wrote itself is left of what the first proxy saw
        (INNER, f"{OTHER}, {CLIENT}, {EDGE}", CLIENT),
        (INNER, f"{EDGE}, {CLIENT}, {EDGE}", CLIENT),
        (INNER, f"127.0.0.1, {INNER}, {CLIENT}", CLIENT),
        (INNER, f"<script>, ,,\x00, {CLIENT}, {EDGE}", CLIENT),
        # nobody who is not listed is believed
        (CLIENT, OTHER, CLIENT),
        (CLIENT, f"{OTHER}, {EDGE}", CLIENT),
        # something else in a place that a proxy wrote: whoever wrote it counts
        (INNER, f"{CLIENT}, unknown", INNER),
        (INNER, f"{CLIENT}, unknown, {EDGE}", EDGE),
        (INNER, f"{CLIENT},", INNER),
        # no header, or proxies alone
        (INNER, "", INNER),
        (INNER, f"{EDGE}, 127.0.0.1", EDGE),
        ("", "", ""),
    ],
)
def test_the_first_address_from_the_right_that_is_no_proxy_counts(
    settings: Settings, remote: str, forwarded: str, address: str
) -> None:
    settings.TRUSTED_PROXIES = PROXIES
    for public_url in ("", "https://events.example.com"):
        settings.PUBLIC_URL = public_url
        request = RequestFactory(REMOTE_ADDR=remote).get("/", headers={"X-Forwarded-For": forwarded})
        assert client_address(request) == address


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        (f"{OTHER}, {CLIENT}:5678", CLIENT),
        (f"{OTHER}, [2001:db8::1]:443", "2001:db8::1"),
        (f"{CLIENT}, {EDGE}", EDGE),
        (f"{CLIENT}, unknown", INNER),
    ],
)
def test_without_a_list_one_proxy_is_believed(settings: Settings, forwarded: str, address: str) -> None:
    settings.PUBLIC_URL = "https://events.example.com"
    request = RequestFactory(REMOTE_ADDR=INNER).get("/", headers={"X-Forwarded-For": forwarded})
    assert client_address(request) == address


def test_several_headers_are_one_for_asynchronous_servers(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = PROXIES
    lines = [(b"x-forwarded-for", text.encode()) for text in (OTHER, f"{CLIENT}, {EDGE}")]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": lines, "client": (INNER, 1)}
    assert client_address(ASGIRequest(scope, BytesIO())) == CLIENT


@pytest.fixture
def behind_proxies(tmp_path: Path) -> Iterator[int]:
    """A web server that trusts this machine and EDGE; its port."""
    arguments = ["-m", "gunicorn", "-c", "python:cwconnect.gunicorn_settings", "cwconnect.wsgi:application"]
    environment = {
        "CWCONNECT_DATA_DIR": str(tmp_path),
        "CWCONNECT_TRUSTED_PROXIES": f"127.0.0.1, {EDGE}",
        "CWCONNECT_DATABASE_URL": "",
        "CWCONNECT_REDIS_URL": "",
        "DJANGO_SETTINGS_MODULE": "cwconnect.settings",
    }
    place_tables(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        descriptor = listener.fileno()
        web = Child([*arguments, "--bind", f"fd://{descriptor}"], environment=environment, pass_fds=[descriptor])
        try:
            yield listener.getsockname()[1]
        finally:
            web.stop(5)


def guess(port: int, secret: str, *forwarded: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.putrequest("GET", "/instances")
        connection.putheader("Authorization", f"User {secret}, Organization x")
        for line in forwarded:
            connection.putheader("X-Forwarded-For", line)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


@lengthy
@pytest.mark.processes
def test_several_headers_are_one_for_the_web_server(behind_proxies: int) -> None:
    wait_until(lambda: guess(behind_proxies, "", CLIENT) == 401, 60, "the web")
    statuses = {guess(behind_proxies, f"a{number}", f"192.0.2.{number}", f"{CLIENT}, {EDGE}") for number in range(64)}
    assert statuses == {401, 429}
    assert guess(behind_proxies, "b", CLIENT, f"{OTHER}, {EDGE}") == 401
