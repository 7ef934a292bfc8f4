"""Requests through the operator's proxy, which is asked for addresses that were vetted here.

A proxy that is asked for a name resolves it again, and may find a private address where a public one was judged. So the
name is resolved and judged here, and the proxy is asked for the address, by `CONNECT address:port` (RFC 9110, section
9.3.6). What goes through that tunnel the proxy does not touch: Host header, SNI and the name that the certificate must
have are those of the URL. So it is for plain http too: asked to `GET http://address/`, a proxy has to put the address
into the Host header (RFC 9112, section 3.2.2), and another site of that server might answer. The price: a proxy that
allows CONNECT to port 443 alone, as Squid does by default, refuses plain http, and the error says so.

Names that only the proxy can resolve are listed by the operator. For those it is asked by name, in the ordinary way,
and what it finds is not judged.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

import urllib3.exceptions
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.poolmanager import PoolManager
from urllib3.util import Timeout, Url

from cwconnect.outbound.addresses import AddressPolicy, address_of, resolve
from cwconnect.outbound.answers import Answer
from cwconnect.outbound.connections import (
    GuardedHTTPConnection,
    GuardedHTTPPool,
    GuardedProxyManager,
    current_request_state,
    make_pools,
)
from cwconnect.outbound.errors import AddressNotAllowed, NameNotFound
from cwconnect.outbound.failures import is_time_out, refusal_of_proxy
from cwconnect.outbound.urls import PORTS, host_header, parse

_MOST_REMEMBERED = 1000


class Tunnels:
    """Connections through a proxy to vetted addresses, kept alive by name and address; shared by threads."""

    def __init__(self, policy: AddressPolicy, proxy: str, left_to_proxy: tuple[str, ...], **kept: Any) -> None:
        self._policy = policy
        self._left_to_proxy = left_to_proxy
        self._pools = make_pools(policy, proxy=proxy, through=_TunnelManager, **kept)
        self._last_used: dict[tuple[str, int], str] = {}

    def close(self) -> None:
        """Close the connections kept alive."""
        self._pools.clear()

    def leaves_to_proxy(self, url: str) -> bool:
        """Return whether the operator left the name in a URL to the proxy; an address never is."""
        host = (parse(url).host or "").rstrip(".")
        return address_of(host) is None and any(_matches(host, pattern) for pattern in self._left_to_proxy)

    def urlopen(self, method: str, url: str, *, headers: Mapping[str, str], timeout: Timeout, **options: Any) -> Answer:
        """Send a request, as urllib3's pools do, to the first vetted address that the proxy reaches."""
        target = parse(url)
        *others, last = self._vetted(target, timeout.connect_timeout)
        sent = {"headers": {"Host": host_header(target), **headers}, "timeout": timeout, **options}
        for address in others:
            try:
                return self._ask(target, address, method, sent)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                if not _may_reach_another(error):
                    raise
        return self._ask(target, last, method, sent)

    def _vetted(self, target: Url, timeout: Any) -> list[str]:
        """Return the addresses of a URL's host, the one used last before the others, so that connections are kept."""
        host, port = _place(target)
        budget = min(timeout, current_request_state.get().seconds_left)
        try:
            endpoints = resolve(host, port, timeout=budget)
            self._policy.vet(host, endpoints)
        except (NameNotFound, AddressNotAllowed) as error:
            raise type(error)(
                f"{error} Names that only the proxy knows are listed in CWCONNECT_HTTP_PROXY_HOSTS."
            ) from None
        last_used = self._last_used.get((host, port))
        return sorted((endpoint.address for endpoint in endpoints), key=lambda address: address != last_used)

    def _ask(self, target: Url, address: str, method: str, sent: Mapping[str, Any]) -> Answer:
        host, port = _place(target)
        shown = f"[{address}]" if ":" in address else address
        # For TLS the name that is asked for and verified; with http it only keeps the connections of names apart.
        name = {"server_hostname": host.rstrip(".")}
        pool = self._pools.connection_from_host(shown, port, target.scheme, name)
        response = pool.urlopen(method, target.request_uri, **sent)
        if len(self._last_used) >= _MOST_REMEMBERED:
            self._last_used.clear()
        self._last_used[host, port] = address
        return response


class _TunnelledConnection(GuardedHTTPConnection):
    """`http` through a tunnel, which begins within TLS where the proxy's own URL is https."""

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        if self.proxy is None or self.proxy.scheme != "https" or self.proxy_config is None:
            return sock
        context = self.proxy_config.ssl_context
        assert context is not None  # noqa: S101  # `make_pools` gives one
        try:
            return context.wrap_socket(sock, server_hostname=self.proxy.host)
        except BaseException:
            sock.close()
            raise


class _TunnelledPool(GuardedHTTPPool):
    """A pool of such connections; urllib3 itself opens tunnels for https alone."""

    ConnectionCls = _TunnelledConnection

    def _new_conn(self) -> Any:
        assert self.proxy is not None  # noqa: S101  # it is made for one
        self.num_connections += 1
        return self.ConnectionCls(
            self.proxy.host or "", self.proxy.port, timeout=self.timeout.connect_timeout, **self.conn_kw
        )

    def _prepare_proxy(self, conn: Any) -> None:
        connection: HTTPConnection = conn
        connection.set_tunnel(self.host, self.port, headers=self.proxy_headers)
        connection.connect()


class _TunnelManager(GuardedProxyManager):
    """Pools by scheme, name, address and port, all of them tunnels."""

    http_pool = _TunnelledPool

    def connection_from_host(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        """Return the pool of the target itself; urllib3's own has one pool of the proxy's for all of http."""
        return PoolManager.connection_from_host(self, *args, **kwargs)


def _may_reach_another(error: Exception) -> bool:
    """Whether the proxy did not reach this address, so that it may reach another one within the time that is left."""
    request_state = current_request_state.get()
    if not request_state.connecting or request_state.seconds_left <= 0:
        return False
    return is_time_out(error) or (refusal_of_proxy(error) or 0) >= 500


def _place(target: Url) -> tuple[str, int]:
    return (target.host or "").strip("[]"), target.port or PORTS[target.scheme or "http"]


def _matches(host: str, pattern: str) -> bool:
    """Whether a pattern stands for a host: `*.corp.example` for all below it, a name for itself, `*` for all names."""
    return pattern in ("*", host) or (pattern.startswith("*.") and host.endswith(pattern[1:]))
