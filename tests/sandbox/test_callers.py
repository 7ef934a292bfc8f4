"""The control API answers programs of this machine, and no page in a browser, by whichever name it came."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import pytest

from cwconnect.sandbox import SandboxServer
from tests.support.sandboxes import start_sandbox

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with start_sandbox() as running:
        yield running


def ask(
    server: SandboxServer, headers: dict[str, str], method: str = "POST", path: str = "/_sandbox/change", body: str = ""
) -> int:
    """Send one request with just these headers; PORT in them is the server's."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value.replace("PORT", str(server.port)))
    content = (body or json.dumps({"list": "contacts", "id": 1, "fields": {"title": "Chief"}})).encode()
    content = b"" if method in ("GET", "OPTIONS") else content
    connection.putheader("Content-Length", str(len(content)))
    connection.endheaders(content)
    status = connection.getresponse().status
    connection.close()
    return status


OWN = [
    "localhost:PORT",
    "LOCALHOST:PORT",
    "localhost.:PORT",
    "127.0.0.1:PORT",
    "127.1.2.3:PORT",
    "[::1]:PORT",
    "localhost",
]
FOREIGN = [
    *("evil.example:PORT", "evil.example", "localhost.evil.example:PORT", "127.0.0.1.nip.io:PORT", "10.0.0.5:PORT"),
    *("0.0.0.0:PORT", "localhost:evil", "127.0.0.1@evil.example", "", "evil.example#localhost", "[::1].evil.example"),
    *("xn--localhost-.example:PORT", "169.254.169.254", "localhost,evil.example"),
]
FOREIGN_ORIGINS = [
    *("http://evil.example", "http://evil.example:PORT", "null", "https://localhost:PORT", "http://localhost:1"),
    *("http://localhost", "http://localhost:PORT.evil.example", "http://127.0.0.1.nip.io:PORT", "file://", ""),
    *("http://evil.example@localhost:PORT", "chrome-extension://abc"),
]


@pytest.mark.parametrize("host", OWN)
def test_this_machine_is_answered(server: SandboxServer, host: str) -> None:
    assert ask(server, {"Host": host} | JSON) == 200
    assert ask(server, {"Host": host}, "GET", "/_sandbox/") == 200


@pytest.mark.parametrize("path", ["/_sandbox", "/_sandbox/", "/_sandbox/requests", "/%5fsandbox/requests"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PUT"])
@pytest.mark.parametrize("host", FOREIGN)
def test_another_name_is_not(server: SandboxServer, host: str, method: str, path: str) -> None:
    assert ask(server, {"Host": host} | JSON, method, path) == 403


def test_a_request_without_a_host_is_not(server: SandboxServer) -> None:
    assert ask(server, JSON) == 403


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_a_page_of_another_origin_is_not(server: SandboxServer, origin: str) -> None:
    assert ask(server, {"Host": "localhost:PORT", "Origin": origin} | JSON) == 403
    assert ask(server, {"Host": "localhost:PORT", "Origin": origin}, "GET", "/_sandbox/") == 403


def test_a_page_of_its_own_is(server: SandboxServer) -> None:
    for origin in ("http://localhost:PORT", "http://127.0.0.1:PORT"):
        assert ask(server, {"Host": "localhost:PORT", "Origin": origin, "Sec-Fetch-Site": "same-origin"} | JSON) == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_request_that_another_site_made_is_not(server: SandboxServer, site: str) -> None:
    assert ask(server, {"Host": "localhost:PORT", "Sec-Fetch-Site": site}, "GET", "/_sandbox/") == 403


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "text/plain;application/json", "application/x-www-form-urlencoded", "multipart/form-data; a=b",
     "application/jsonp", "text/json", ""],
)  # fmt: skip
def test_a_body_that_needs_no_permission_is_not_read(server: SandboxServer, kind: str) -> None:
    before = server.store.get("contacts", 2)
    body = json.dumps({"list": "contacts", "id": 2, "fields": {"title": "Taken over"}})
    assert ask(server, {"Host": "localhost:PORT", "Content-Type": kind}, body=body) == 415
    assert server.store.get("contacts", 2) == before


def test_a_body_without_a_type_is_read_of_programs_alone(server: SandboxServer) -> None:
    assert ask(server, {"Host": "localhost:PORT"}) == 200
    assert ask(server, {"Host": "localhost:PORT", "Sec-Fetch-Site": "same-origin"}) == 415
    assert ask(server, {"Host": "localhost:PORT", "Content-Type": "Application/JSON; charset=utf-8"}) == 200


def test_the_address_that_it_listens_on_is_its_own() -> None:
    with SandboxServer(host="::1", records={"contacts": 1}) as server:
        connection = http.client.HTTPConnection("::1", server.port, timeout=10)
        connection.request("GET", "/_sandbox/")
        assert connection.getresponse().status == 200
        connection.close()


def test_the_api_itself_is_behind_its_login(server: SandboxServer) -> None:
    assert ask(server, {"Host": "evil.example"}, "GET", "/v4_6_release/apis/3.0/company/contacts") == 401
