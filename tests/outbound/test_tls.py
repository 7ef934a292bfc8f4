"""TLS goes by the URL's name although the connection goes to a vetted address."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cwconnect.outbound import (
    AddressNotAllowed,
    Dropped,
    Limits,
    OutboundClient,
    TimedOut,
    TlsFailed,
)
from tests.support.raw_servers import LOOPBACK, RawServer, always, answer, read_request, requests_of

HOST = "receiver.example"
QUICK = Limits(connect=1, read=1, total=1, body=1000)
Handler = Callable[[socket.socket], None]


def certificate(folder: Path, name: str, **dates: datetime) -> Path:
    """Write a self-signed certificate with its key, that is its own authority, into one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(dates.get("until", now + timedelta(days=2)))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    pem, pkcs8, bare = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(pem, pkcs8, bare) + built.public_bytes(pem))
    return path


def over_tls(pem: Path, handle: Handler, names: list[str | None] | None = None) -> Handler:
    """Wrap a handler into TLS; `names` collects the server names that callers ask for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    if names is not None:
        context.sni_callback = lambda _, name, __: names.append(name)

    def wrapped(connection: socket.socket) -> None:
        with contextlib.suppress(ssl.SSLError), context.wrap_socket(connection, server_side=True) as secure:
            handle(secure)

    return wrapped


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    return certificate(tmp_path, HOST)


@pytest.fixture
def outbound_client(pem: Path) -> Iterator[OutboundClient]:
    outbound_client = OutboundClient(LOOPBACK, ca_file=str(pem))
    yield outbound_client
    outbound_client.close()


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every example name lead to 127.0.0.1, and `public.example` to a public address."""
    true_getaddrinfo = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        address = {"public.example": "93.184.216.34"}.get(host, "127.0.0.1" if host.endswith(".example") else host)
        return true_getaddrinfo(address, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def get(outbound_client: OutboundClient, url: str) -> bytes:
    return outbound_client.request("POST", url, headers={}, body=b"{}", limits=QUICK).body


def test_the_server_is_asked_for_and_verified_under_the_urls_name(outbound_client: OutboundClient, pem: Path) -> None:
    names: list[str | None] = []
    seen: list[bytes] = []

    def handle(connection: socket.socket) -> None:
        for request in requests_of(connection):
            seen.append(request)
            connection.sendall(answer(b"secure"))

    with RawServer(over_tls(pem, handle, names)) as server:
        assert [get(outbound_client, server.url(host=HOST, scheme="https")) for _ in range(2)] == [b"secure"] * 2
        outbound_client.close()

    assert names == [HOST]  # one handshake for both requests
    assert f"Host: {HOST}:{server.port}".encode() in seen[0]


@pytest.mark.parametrize(
    ("name", "days", "words"),
    [("other.example", 2, "Hostname mismatch"), (HOST, -1, "expired")],
    ids=["another name", "expired"],
)
def test_a_certificate_that_is_not_right_is_refused_in_words(tmp_path: Path, name: str, days: int, words: str) -> None:
    pem = certificate(tmp_path, name, until=datetime.now(UTC) + timedelta(days=days))
    outbound_client = OutboundClient(LOOPBACK, ca_file=str(pem))
    with (
        RawServer(over_tls(pem, always(answer()))) as server,
        pytest.raises(TlsFailed, match=words) as caught,
    ):
        get(outbound_client, server.url(host=HOST, scheme="https"))
    assert caught.value.kind == "tls"


def test_an_authority_that_is_not_trusted_is_refused(pem: Path) -> None:
    outbound_client = OutboundClient(LOOPBACK)
    with RawServer(over_tls(pem, always(answer()))) as server, pytest.raises(TlsFailed, match="self-signed"):
        get(outbound_client, server.url(host=HOST, scheme="https"))


def test_a_name_with_a_private_address_is_refused_before_any_handshake(pem: Path) -> None:
    with RawServer(over_tls(pem, always(answer()))) as server:
        with pytest.raises(AddressNotAllowed):
            get(OutboundClient(ca_file=str(pem)), server.url(host=HOST, scheme="https"))
        assert not server.connections


def test_https_to_a_server_without_tls_fails_as_tls(outbound_client: OutboundClient) -> None:
    def handle(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with RawServer(handle) as server, pytest.raises(TlsFailed):
        get(outbound_client, server.url(host=HOST, scheme="https"))


def test_a_handshake_that_never_ends_is_cut(outbound_client: OutboundClient) -> None:
    def handle(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"\x16")
            time.sleep(0.05)

    started = time.monotonic()
    with RawServer(handle) as server, pytest.raises((TimedOut, TlsFailed)):
        get(outbound_client, server.url(host=HOST, scheme="https"))
    assert time.monotonic() - started < 5


def test_a_dripping_tls_server_is_cut_at_the_total_time(outbound_client: OutboundClient, pem: Path) -> None:
    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)

    started = time.monotonic()
    with RawServer(over_tls(pem, handle)) as server, pytest.raises(TimedOut, match="within 1 s"):
        get(outbound_client, server.url(host=HOST, scheme="https"))
    assert 0.9 < time.monotonic() - started < 5


def test_a_dead_tls_connection_gets_its_second_try(outbound_client: OutboundClient, pem: Path) -> None:
    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer(b"ok"))
        read_request(connection)

    with RawServer(over_tls(pem, handle)) as server:
        assert [get(outbound_client, server.url(host=HOST, scheme="https")) for _ in range(2)] == [b"ok", b"ok"]
        assert len(server.connections) == 2
        outbound_client.close()


def test_a_tls_server_that_drops_the_request_is_dropped_not_untrusted(
    outbound_client: OutboundClient, pem: Path
) -> None:
    def handle(connection: socket.socket) -> None:
        read_request(connection)

    with RawServer(over_tls(pem, handle)) as server, pytest.raises(Dropped):
        get(outbound_client, server.url(host=HOST, scheme="https"))
