"""Sockets, connections and pools of the outbound client: vetted addresses only, one deadline for the whole request.

urllib3 knows a time-out per read, which a server that sends a byte a second never meets. Here each
read and write of a socket gets the smaller of that time-out and what is left of the request's total, headers and
TLS handshake included. Which request a socket works for is kept in a context variable, since a pooled connection
serves many requests, each from start to end in one thread.
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import certifi
from requests.utils import get_auth_from_url
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager, ProxyManager
from urllib3.util.ssl_ import create_urllib3_context

from cwconnect.outbound.addresses import AddressPolicy, Endpoint, resolve
from cwconnect.outbound.answers import Answer, FinalAnswer
from cwconnect.outbound.errors import ConnectFailed, OutboundError, TimedOut
from cwconnect.outbound.headers import basic
from cwconnect.outbound.kept_alive import KeptAlivePool
from cwconnect.outbound.urls import host_header, parse

log = logging.getLogger(__name__)

SLACK = 0.05  # seconds


@dataclass
class RequestState:
    """One request under way: its deadline (monotonic seconds) and how far it came.

    `sent`: a byte of the request itself was handed to a connection that stood, on this one or on one before. What the
    connecting needs, a TLS handshake or a proxy's CONNECT, does not count.
    """

    deadline: float
    sent: bool = False
    received: int = 0
    connecting: bool = False
    connected_anew: bool = False
    must_connect_anew: bool = False

    @property
    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()


current_request_state: ContextVar[RequestState] = ContextVar("current_request_state")


class _DeadlineMixin:
    """Socket methods that wait no longer than the request's deadline, and count the bytes received.

    To set a socket's time-out is a system call, and a thread that makes one gives the interpreter to the others. So one
    that is at most `SLACK` seconds too long stays as it is, from one request of a connection to the next too.
    """

    _patience: float | None = None

    def settimeout(self, value: float | None) -> None:
        self._patience = value
        if self.gettimeout() is None:  # type: ignore[attr-defined]  # mixed into socket.socket
            super().settimeout(value)  # type: ignore[misc]  # as above; from then on, what comes next sets it

    def _hurry(self) -> RequestState:
        request_state = current_request_state.get()
        left = request_state.seconds_left
        if left <= 0:
            raise TimeoutError("the total time is used up")
        wait = left if self._patience is None else min(left, self._patience)
        stands: float | None = self.gettimeout()  # type: ignore[attr-defined]  # as above
        if stands is None or not wait <= stands <= wait + SLACK:
            super().settimeout(wait + SLACK / 2)  # type: ignore[misc]  # as above
        return request_state

    def _hurry_to_send(self) -> None:
        request_state = self._hurry()
        request_state.sent = request_state.sent or not request_state.connecting

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        request_state = self._hurry()
        count: int = super().recv_into(*args, **kwargs)  # type: ignore[misc]  # as above
        request_state.received += count
        return count

    def recv(self, *args: Any, **kwargs: Any) -> bytes:
        self._hurry()
        data: bytes = super().recv(*args, **kwargs)  # type: ignore[misc]  # as above
        return data

    def send(self, *args: Any, **kwargs: Any) -> int:
        self._hurry_to_send()
        count: int = super().send(*args, **kwargs)  # type: ignore[misc]  # as above
        return count

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self._hurry_to_send()
        super().sendall(*args, **kwargs)  # type: ignore[misc]  # as above


class DeadlineSocket(_DeadlineMixin, socket.socket):
    """A TCP socket under a deadline."""


class DeadlineTLSSocket(_DeadlineMixin, ssl.SSLSocket):
    """A TLS socket under a deadline; OpenSSL's own loop over records keeps to the socket's time-out as a whole."""

    def do_handshake(self, block: bool = False) -> None:
        self._hurry()
        super().do_handshake(block)


class _GuardedMixin:
    """A connection that resolves the name once, judges every address and connects to one of those judged."""

    def __init__(self, *args: Any, guard: AddressPolicy, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._guard = guard
        self._parts: list[bytes] | None = None  # of a request that is being put together

    @property
    def is_connected(self) -> bool:
        request_state = current_request_state.get(None)
        if request_state and request_state.must_connect_anew and not request_state.connected_anew:
            return False  # urllib3 then closes this connection and opens it anew
        return bool(super().is_connected)  # type: ignore[misc]  # mixed into HTTPConnection

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send head and body by one system call, where urllib3 makes one for each."""
        self._parts = []
        try:
            super().request(*args, **kwargs)  # type: ignore[misc]  # as above
        finally:
            whole, self._parts = b"".join(self._parts), None
        self.send(whole)

    def send(self, data: Any) -> None:
        if self._parts is None:
            super().send(data)  # type: ignore[misc]  # as above
        else:
            self._parts.append(data)

    def connect(self) -> None:
        request_state = current_request_state.get()
        request_state.connected_anew = request_state.connecting = True
        super().connect()  # type: ignore[misc]  # as above
        request_state.connecting = False
        request_state.received = 0

    def _new_conn(self) -> socket.socket:
        connection: HTTPConnection = self  # type: ignore[assignment]  # as above
        budget = min(_seconds(connection.timeout), current_request_state.get().seconds_left)
        until = time.monotonic() + budget
        host = connection._dns_host  # noqa: SLF001  # urllib3's `host` has lost the trailing dot that DNS needs
        endpoints = resolve(
            host, connection.port, timeout=budget, called="" if connection.proxy is None else "the proxy"
        )
        if connection.proxy is None:
            self._guard.vet(host, endpoints)
            return _connect_first(connection.host, endpoints, until)
        # A proxy is the operator's own choice and no tenant's business; the client has judged the target.
        try:
            return _connect_first("the proxy", endpoints, until)
        except OutboundError as error:
            log.warning("%s It is CWCONNECT_HTTP_PROXY, at %s:%s.", error, host, connection.port)
            raise


class GuardedHTTPConnection(_GuardedMixin, HTTPConnection):
    """`http`, guarded."""

    response_class = FinalAnswer


class GuardedHTTPSConnection(_GuardedMixin, HTTPSConnection):
    """`https`, guarded; server name and certificate go by the URL's host, as urllib3 does it."""

    response_class = FinalAnswer


class GuardedHTTPPool(KeptAlivePool):
    """A pool of guarded `http` connections."""

    ConnectionCls = GuardedHTTPConnection


class GuardedHTTPSPool(KeptAlivePool, HTTPSConnectionPool):
    """A pool of guarded `https` connections."""

    ConnectionCls = GuardedHTTPSConnection


class _GuardedManagerMixin:
    guard: AddressPolicy
    http_pool: type[HTTPConnectionPool] = GuardedHTTPPool

    def __init__(self, guard: AddressPolicy, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.guard = guard
        # urllib3 sets its own per object
        self.pool_classes_by_scheme = {"http": self.http_pool, "https": GuardedHTTPSPool}

    def _new_pool(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        pool: HTTPConnectionPool = super()._new_pool(*args, **kwargs)  # type: ignore[misc]  # mixed into PoolManager
        pool.conn_kw["guard"] = self.guard
        return pool


class GuardedPoolManager(_GuardedManagerMixin, PoolManager):
    """Pools by host, of guarded connections."""

    def urlopen(  # type: ignore[override]  # always with headers
        self, method: str, url: str, redirect: bool = False, *, headers: Mapping[str, str], **options: Any
    ) -> Answer:
        """Send a request to the pool of a URL, which is spelt as it is sent."""
        target = parse(url)
        pool = self.connection_from_host(target.host, target.port, target.scheme)
        sent = {"Host": host_header(target), **headers}
        return pool.urlopen(method, target.request_uri, redirect=redirect, headers=sent, **options)


class GuardedProxyManager(_GuardedManagerMixin, ProxyManager):
    """The same, through the operator's proxy."""


def make_pools(
    guard: AddressPolicy,
    *,
    proxy: str | None,
    pool_size: int,
    hosts: int,
    ca_file: str | None,
    through: type[GuardedProxyManager] = GuardedProxyManager,
) -> PoolManager:
    """Make pools of guarded connections: `pool_size` kept alive a host, for so many hosts, through `proxy` if given."""
    tls = _make_tls_context(ca_file)
    kept: dict[str, Any] = {"num_pools": hosts, "maxsize": pool_size, "ssl_context": tls, "cert_reqs": "CERT_REQUIRED"}
    if proxy is None:
        return GuardedPoolManager(guard, **kept)
    user, password = get_auth_from_url(proxy)
    login = {"Proxy-Authorization": basic(user, password)} if user else {}
    return through(guard, proxy, proxy_headers=login, proxy_ssl_context=tls, **kept)


@lru_cache(maxsize=4)
def _make_tls_context(ca_file: str | None) -> ssl.SSLContext:
    # The same for every client of a process: reading the certificates takes some 25 ms.
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.sslsocket_class = DeadlineTLSSocket
    context.load_verify_locations(certifi.where())
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def _seconds(timeout: object) -> float:
    return timeout if isinstance(timeout, int | float) else float("inf")


def _connect_first(host: str, endpoints: list[Endpoint], until: float) -> socket.socket:
    """Connect to the first endpoint that answers before `until`, each getting its share of the time."""
    failure: OSError = OSError("no address")
    for position, endpoint in enumerate(endpoints):
        share = (until - time.monotonic()) / (len(endpoints) - position)
        if share <= 0:
            break
        try:
            return _connect(endpoint, share)
        except OSError as error:
            failure = error
    if isinstance(failure, TimeoutError):
        raise TimedOut(f"No connection to {host} within its time limit.") from failure
    raise ConnectFailed(f"No connection to {host}: {failure.strerror or 'it failed'}.") from failure


def _connect(endpoint: Endpoint, seconds: float) -> socket.socket:
    sock = DeadlineSocket(endpoint.family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(seconds)
        sock.connect(endpoint.sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock
