"""The operator's proxy is asked for vetted addresses, and for names only where they are left to it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from urllib3.util import parse_url

from cwconnect.outbound import (
    AddressNotAllowed,
    ConnectFailed,
    Limits,
    NameNotFound,
    OutboundClient,
    OutboundError,
    TimedOut,
    TlsFailed,
)
from tests.outbound.test_tls import certificate, over_tls
from tests.support.raw_servers import LOOPBACK, RawServer, always, answer, read_request, requests_of

QUICK = Limits(connect=1, read=2, total=3, body=1000)
PUBLIC, OTHER_PUBLIC, PRIVATE = "93.184.216.34", "93.184.216.35", "10.1.2.3"


class Proxy:
    """An HTTP proxy as small as one can be: it opens tunnels, and forwards what is asked in absolute form.

    It leads every address and name to `backend`, answers those in `refuses` with a status instead, and those in `hangs`
    not at all.
    """

    def __init__(self, backend: RawServer | None = None, *, pem: Path | None = None) -> None:
        self.backend, self.asked, self.heads = backend, list[str](), list[bytes]()
        self.refuses, self.hangs = dict[str, str](), set[str]()
        self._server = RawServer(self._serve if pem is None else over_tls(pem, self._serve))
        self.scheme = "http" if pem is None else "https"

    def url(self, host: str = "127.0.0.1", login: str = "") -> str:
        return f"{self.scheme}://{login}{host}:{self._server.port}"

    @property
    def connections(self) -> list[socket.socket]:
        return self._server.connections

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *error: Any) -> None:
        self._server.__exit__(*error)

    def _serve(self, connection: socket.socket) -> None:
        for request in requests_of(connection):
            method, target, _ = request.split(b"\r\n", 1)[0].decode().split(" ")
            self.asked.append(f"{method} {target}")
            self.heads.append(request.partition(b"\r\n\r\n")[0])
            place = target if method == "CONNECT" else parse_url(target).netloc or ""
            if place in self.hangs:
                connection.recv(1)
                return
            if status := self.refuses.get(place):
                connection.sendall(answer(status=status))
                return
            assert self.backend is not None
            with socket.create_connection(("127.0.0.1", self.backend.port)) as through:
                if method == "CONNECT":
                    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    splice(connection, through)
                    return
                through.sendall(request)
                connection.sendall(read_request(through))


def splice(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until one side ends."""

    def carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    back = threading.Thread(target=carry, args=(other, one))
    back.start()
    carry(one, other)
    back.join()


class Backend:
    """What stands behind the proxy, with and without TLS; it keeps the heads of what it was sent."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.names: list[str | None] = []

    def serve(self, connection: socket.socket) -> None:
        for request in requests_of(connection):
            self.heads.append(request.partition(b"\r\n\r\n")[0])
            connection.sendall(answer(b"through the proxy"))

    def host(self, number: int = -1) -> str:
        (line,) = (line for line in self.heads[number].split(b"\r\n") if line.lower().startswith(b"host:"))
        return line[5:].strip().decode()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Map names to addresses; others don't exist."""
    table = {"public.example": [PUBLIC], "two.example": [PUBLIC, OTHER_PUBLIC], "inside.example": [PRIVATE]}
    true_getaddrinfo = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        addresses = table.get(host.rstrip("."), [] if host.endswith(".example") else [host])
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [info for address in addresses for info in true_getaddrinfo(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return table


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    return certificate(tmp_path, "public.example")


@pytest.fixture
def proxy(backend: Backend, names: dict[str, list[str]]) -> Iterator[Proxy]:
    with RawServer(backend.serve) as server, Proxy(server) as running:
        yield running


@pytest.fixture
def tls_proxy(backend: Backend, names: dict[str, list[str]], pem: Path) -> Iterator[Proxy]:
    """A proxy before a backend that speaks TLS as `public.example`."""
    with RawServer(over_tls(pem, backend.serve, backend.names)) as server, Proxy(server) as running:
        yield running


def get(client: OutboundClient, url: str) -> bytes:
    return client.request("POST", url, headers={"X-Ours": "1"}, body=b"{}", limits=QUICK).body


@contextlib.contextmanager
def through(proxy: Proxy, *hosts: str, login: str = "", **options: Any) -> Iterator[OutboundClient]:
    client = OutboundClient(proxy=proxy.url(login=login), proxy_hosts=hosts, **options)
    try:
        yield client
    finally:
        client.close()


@pytest.mark.parametrize(
    ("url", "asked", "host"),
    [
        ("http://public.example/a?b=c", f"CONNECT {PUBLIC}:80", "public.example"),
        ("http://public.example:8080/", f"CONNECT {PUBLIC}:8080", "public.example:8080"),
        ("http://PUBLIC.example./", f"CONNECT {PUBLIC}:80", "public.example"),
        (f"http://{PUBLIC}/", f"CONNECT {PUBLIC}:80", PUBLIC),
        ("http://[2606:4700::1]:81/", "CONNECT [2606:4700::1]:81", "[2606:4700::1]:81"),
    ],
)
def test_the_proxy_is_asked_for_the_address_that_was_vetted(
    proxy: Proxy, backend: Backend, url: str, asked: str, host: str
) -> None:
    with through(proxy) as client:
        assert get(client, url) == b"through the proxy"
    assert (proxy.asked, backend.host()) == ([asked], host)
    assert b"public.example" not in proxy.heads[0]


def test_tls_keeps_the_name_of_the_url(tls_proxy: Proxy, backend: Backend, pem: Path) -> None:
    with through(tls_proxy, ca_file=str(pem)) as client:
        assert get(client, "https://public.example/a") == b"through the proxy"
    assert tls_proxy.asked == [f"CONNECT {PUBLIC}:443"]
    assert (backend.names, backend.host()) == (["public.example"], "public.example")


def test_a_certificate_of_another_name_is_refused(tls_proxy: Proxy, pem: Path) -> None:
    with through(tls_proxy, ca_file=str(pem)) as client, pytest.raises(TlsFailed, match="Hostname mismatch"):
        get(client, "https://two.example/")


def test_a_name_that_the_proxy_would_find_elsewhere_is_asked_for_where_it_was_vetted(
    proxy: Proxy, names: dict[str, list[str]]
) -> None:
    with through(proxy) as client:
        get(client, "http://public.example/")
        names["public.example"] = [PRIVATE]
        with pytest.raises(AddressNotAllowed):  # judged anew by each request, on a connection that still stands too
            get(client, "http://public.example/")
        names["public.example"] = [OTHER_PUBLIC]
        get(client, "http://public.example/")
    assert proxy.asked == [f"CONNECT {PUBLIC}:80", f"CONNECT {OTHER_PUBLIC}:80"]


def test_connections_are_kept_by_name_and_address(proxy: Proxy, backend: Backend) -> None:
    with through(proxy) as client:
        for url in (
            "http://public.example/a",
            "http://public.example/b",
            "http://two.example/c",
            "http://two.example/d",
        ):
            get(client, url)
    assert proxy.asked == [f"CONNECT {PUBLIC}:80"] * 2
    assert [backend.host(number) for number in range(4)] == ["public.example"] * 2 + ["two.example"] * 2


def test_another_address_of_the_name_is_tried_where_the_proxy_reaches_one_not(proxy: Proxy) -> None:
    proxy.refuses[f"{PUBLIC}:80"] = "503 Service Unavailable"
    with through(proxy) as client:
        get(client, "http://two.example/")
        get(client, "http://two.example/")
    assert proxy.asked == [f"CONNECT {PUBLIC}:80", f"CONNECT {OTHER_PUBLIC}:80"]


def test_another_address_is_tried_where_the_proxy_waits_for_one_in_vain(proxy: Proxy) -> None:
    proxy.hangs.add(f"{PUBLIC}:80")
    with through(proxy) as client:
        assert get(client, "http://two.example/") == b"through the proxy"
    assert proxy.asked == [f"CONNECT {PUBLIC}:80", f"CONNECT {OTHER_PUBLIC}:80"]


@pytest.mark.parametrize("status", ["403 Forbidden", "407 Proxy Authentication Required", "503 No"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_refusal_of_a_proxy_names_neither_its_login_nor_an_address(proxy: Proxy, scheme: str, status: str) -> None:
    proxy.refuses = dict.fromkeys((f"{PUBLIC}:80", f"{PUBLIC}:443"), status)
    with through(proxy, login="user:secret-word@") as client:
        with pytest.raises(ConnectFailed) as caught:
            get(client, f"{scheme}://public.example/")
        assert str(caught.value) == f"The proxy refuses CONNECT to public.example: it answered {status[:3]}."
    assert b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQtd29yZA==" in proxy.heads[0]
    assert not caught.value.sent


def test_the_proxys_login_goes_to_nobody_else(proxy: Proxy, backend: Backend) -> None:
    with through(proxy, "*.corp.example", login="user:word@") as client:
        get(client, "http://public.example/")
        get(client, "http://conn.corp.example/")
    assert b"Proxy-Authorization" in proxy.heads[0]
    assert b"roxy-" not in backend.heads[0]
    assert b"Proxy-Authorization" in proxy.heads[1]


@pytest.mark.parametrize(
    "url", ["http://inside.example/", "https://inside.example/", "http://10.0.0.1/", "http://127.1/"]
)
@pytest.mark.parametrize("hosts", [(), ("*.corp.example",)])
def test_the_proxy_is_not_asked_for_a_private_address(proxy: Proxy, url: str, hosts: tuple[str, ...]) -> None:
    with through(proxy, *hosts) as client, pytest.raises(AddressNotAllowed, match="CWCONNECT_HTTP_PROXY_HOSTS"):
        get(client, url)
    assert not proxy.connections


def test_a_private_address_that_is_opened_is_asked_for(proxy: Proxy) -> None:
    with through(proxy, private_networks=[ip_network("10.0.0.0/8")]) as client:
        get(client, "http://inside.example/")
    assert proxy.asked == [f"CONNECT {PRIVATE}:80"]


def test_a_name_that_only_the_proxy_knows_names_the_setting(proxy: Proxy) -> None:
    with through(proxy) as client, pytest.raises(NameNotFound, match="CWCONNECT_HTTP_PROXY_HOSTS"):
        get(client, "https://conn.corp.example/")
    assert not proxy.connections


@pytest.mark.parametrize(
    ("pattern", "host", "left"),
    [
        ("conn.example", "conn.example", True),
        ("conn.example", "CONN.example.", True),
        ("conn.example", "a.conn.example", False),
        ("conn.example", "myconn.example", False),
        ("*.corp.example", "conn.corp.example", True),
        ("*.corp.example", "a.b.corp.example", True),
        ("*.corp.example", "corp.example", False),
        ("*.corp.example", "mycorp.example", False),
        ("*.corp.example", "corp.example.evil.example", False),
        ("*", "anything.example", True),
    ],
)
def test_names_on_the_list_are_left_to_the_proxy(proxy: Proxy, pattern: str, host: str, left: bool) -> None:
    with through(proxy, pattern) as client, contextlib.suppress(NameNotFound):
        get(client, f"http://{host}/a?b")
    plain = host.lower()
    assert proxy.asked == ([f"POST http://{plain}/a?b"] if left else [])


def test_tls_to_a_name_on_the_list_goes_by_name(tls_proxy: Proxy, backend: Backend, pem: Path, names: Any) -> None:
    del names["public.example"]
    with through(tls_proxy, "public.example", ca_file=str(pem)) as client:
        get(client, "https://public.example/")
    assert tls_proxy.asked == ["CONNECT public.example:443"]
    assert backend.names == ["public.example"]


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "127.1", "0x7f000001", "2130706433", "[::1]"])
def test_an_address_is_never_left_to_the_proxy(proxy: Proxy, address: str) -> None:
    with through(proxy, "*") as client, pytest.raises(AddressNotAllowed):
        get(client, f"http://{address}/")
    assert not proxy.connections


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_proxy_may_want_tls_itself(tmp_path: Path, names: Any, backend: Backend, pem: Path, scheme: str) -> None:
    own = certificate(tmp_path, "proxy.example")
    both = tmp_path / "both.pem"
    both.write_bytes(own.read_bytes() + pem.read_bytes())
    names["proxy.example"] = ["127.0.0.1"]
    serve = backend.serve if scheme == "http" else over_tls(pem, backend.serve, backend.names)
    with RawServer(serve) as server, Proxy(server, pem=own) as proxy:
        client = OutboundClient(proxy=proxy.url("proxy.example"), ca_file=str(both))
        assert get(client, f"{scheme}://public.example/") == b"through the proxy"
        assert get(client, f"{scheme}://public.example/") == b"through the proxy"
        client.close()
    assert proxy.asked == [f"CONNECT {PUBLIC}:{80 if scheme == 'http' else 443}"]
    assert backend.host() == "public.example"


@pytest.mark.parametrize("url", ["http://public.example/", "https://public.example/", "http://conn.corp.example/"])
def test_a_proxy_that_is_away_is_not_named(names: Any, url: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        names["proxy.example"] = ["127.0.0.1"]
        for host in ("proxy.example", "127.0.0.1", "nowhere.example"):
            proxy = f"http://{host}:{unused.getsockname()[1]}"
            client = OutboundClient(proxy=proxy, proxy_hosts=["*.corp.example"])
            with pytest.raises(OutboundError) as caught:
                get(client, url)
            assert "the proxy" in str(caught.value)
            assert host not in str(caught.value)
            assert not caught.value.sent


def test_a_dead_tunnel_gets_its_second_try(names: Any) -> None:
    def once(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer(b"ok"))
        read_request(connection)

    with RawServer(once) as server, Proxy(server) as proxy, through(proxy) as client:
        assert [get(client, "http://public.example/") for _ in range(2)] == [b"ok", b"ok"]
    assert proxy.asked == [f"CONNECT {PUBLIC}:80"] * 2


def test_a_proxy_that_says_nothing_is_cut(names: Any) -> None:
    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.recv(1)

    with RawServer(handle) as server:
        client = OutboundClient(proxy=server.url())
        with pytest.raises(TimedOut) as caught:
            get(client, "http://public.example/")
        client.close()
    assert not caught.value.sent


def test_without_a_proxy_the_list_opens_nothing(names: Any) -> None:
    with RawServer(always(answer(b"leaked"))) as server:
        client = OutboundClient(proxy_hosts=["*"])
        names["inside.example"] = ["127.0.0.1"]
        with pytest.raises(AddressNotAllowed):
            get(client, server.url(host="inside.example"))
        assert not server.connections


def test_the_answer_of_a_loopback_receiver_comes_through(proxy: Proxy, names: Any) -> None:
    names["receiver.example"] = ["127.0.0.1"]
    with through(proxy, private_networks=LOOPBACK) as client:
        get(client, "http://receiver.example:8000/")
    assert proxy.asked == ["CONNECT 127.0.0.1:8000"]
