"""The client itself: one request out, one complete answer or one error back."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import requests
import urllib3.exceptions
from requests.utils import check_header_validity
from urllib3.util import Timeout

from cwconnect.outbound.addresses import AddressPolicy, Network
from cwconnect.outbound.answers import Answer, WholeAnswer
from cwconnect.outbound.connections import RequestState, current_request_state, make_pools
from cwconnect.outbound.errors import InvalidHeader, OutboundError, TooLarge
from cwconnect.outbound.failures import explain, head_error, is_time_out, words_of_broken
from cwconnect.outbound.headers import basic
from cwconnect.outbound.limits import Limits
from cwconnect.outbound.proxied import Tunnels
from cwconnect.outbound.urls import parse, spell


@dataclass(frozen=True)
class Reply:
    """An answer of any status; redirects are not followed.

    `truncated`: the body was cut at the limit. `broken`: what could not be read of it, in words; empty if it is whole.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    truncated: bool = False
    broken: str = ""

    def text(self) -> str:
        """Return the body as text, for people: what is no UTF-8 becomes a replacement character."""
        return self.body.decode("utf-8", "replace")


_DEFAULT_HEADERS = {"User-Agent": "cwconnect", "Accept": "*/*", "Accept-Encoding": "identity"}
_CHUNK = 64 * 1024
_HOSTS_KEPT_ALIVE = 50


class OutboundClient:
    """Every outgoing request passes one of these. It keeps connections alive and may be shared by threads.

    `private_networks` may be connected to besides public addresses. `proxy` (an http or https URL, which may hold
    credentials) is used for everything; names are resolved and judged here even then, but for those of `proxy_hosts`
    (`conn.example`, `*.corp.example`), which are left to it. `pool_size` connections are kept per host. `ca_file` names
    a PEM file of further authorities to trust.
    No cookies, no netrc, no proxy or bundle from the environment, no redirects.
    """

    def __init__(
        self,
        private_networks: Iterable[Network] = (),
        proxy: str | None = None,
        pool_size: int = 10,
        *,
        ca_file: str | None = None,
        proxy_hosts: Iterable[str] = (),
    ) -> None:
        policy = AddressPolicy(tuple(private_networks))
        kept: dict[str, Any] = {"pool_size": pool_size, "hosts": _HOSTS_KEPT_ALIVE, "ca_file": ca_file}
        self._pools = make_pools(policy, proxy=proxy, **kept)
        self._tunnels = None if proxy is None else Tunnels(policy, proxy, tuple(proxy_hosts), **kept)

    def close(self) -> None:
        """Close the connections kept alive."""
        self._pools.clear()
        if self._tunnels:
            self._tunnels.close()

    def check_url(self, url: str) -> None:
        """Raise `InvalidUrl` unless it is an http(s) URL with a host and without credentials. Resolves nothing."""
        parse(url)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        limits: Limits,
        auth: tuple[str, str] | None = None,
        truncate: bool = False,
        once: bool = False,
    ) -> Reply:
        """Send one request and read the whole answer; `auth` is a Basic user and password.

        With `truncate` the status decides and the body is for people to look at: one beyond the limit is cut, one that
        can't be read is as long as it came, and the reply says so; else they are `TooLarge` and errors. Raises
        `OutboundError`, and `InvalidHeader`. A kept-alive connection that turns out dead before any byte of an answer
        gets one second try on a new one; with `once` the first try is on a new one, and there is no second.
        """
        target, call = parse(url), _Call(method, spell(url), _headers(headers, auth), body, limits)
        started = time.monotonic()
        request_state = RequestState(deadline=started + limits.total, must_connect_anew=once)
        token = current_request_state.set(request_state)
        try:
            response = self._send(call, request_state)
            if truncate:
                content, truncated, error = _read_what_comes(response, limits)
                broken = words_of_broken(response, error, target.host or "", limits, request_state)
            else:
                content, truncated, broken = _read(response, limits), False, ""
        except (urllib3.exceptions.HTTPError, OSError) as error:
            explained = explain(error, target.host or "", limits, request_state)
            explained.sent = request_state.sent
            raise explained from error
        except OutboundError as error:
            error.sent = request_state.sent
            raise
        finally:
            current_request_state.reset(token)
        return Reply(response.status, response.headers, content, time.monotonic() - started, truncated, broken)

    def _send(self, call: _Call, request_state: RequestState) -> Answer:
        try:
            return self._send_once(call)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if request_state.connected_anew or request_state.received or is_time_out(error):
                raise
            request_state.must_connect_anew = True
            return self._send_once(call)

    def _send_once(self, call: _Call) -> Answer:
        # A proxy is asked by name for what is left to it, in the ordinary way; everything else goes by its address.
        proxied = self._tunnels is not None and not self._tunnels.leaves_to_proxy(call.url)
        send = self._tunnels.urlopen if self._tunnels and proxied else self._pools.urlopen
        return send(
            call.method,
            call.url,
            headers=call.headers,
            body=call.body,
            timeout=Timeout(connect=call.limits.connect, read=call.limits.read),
            redirect=False,
            retries=False,
            preload_content=False,
            decode_content=False,
        )


@dataclass(frozen=True)
class _Call:
    """A request as urllib3 takes it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    limits: Limits


def _headers(given: Mapping[str, str], auth: tuple[str, str] | None) -> dict[str, str]:
    """Return the headers to send; InvalidHeader if one of those given can't be."""
    try:
        for header in given.items():
            check_header_validity(header)
    except requests.exceptions.InvalidHeader as error:
        raise InvalidHeader("A header of the request has a name or value that can't be sent.") from error
    names = {name.lower() for name in given}
    headers = {name: value for name, value in _DEFAULT_HEADERS.items() if name.lower() not in names} | dict(given)
    if auth:
        headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        headers["Authorization"] = basic(*auth)
    return headers


def _read(response: Answer, limits: Limits) -> bytes:
    """Read a whole body; raises what breaks it, and `TooLarge`."""
    content, truncated, error = _read_what_comes(response, limits)
    if broken := error or head_error(response):
        raise broken
    if truncated:
        raise TooLarge(f"The answer is longer than {limits.body:,} bytes.")
    return content


def _read_what_comes(
    response: Answer, limits: Limits
) -> tuple[bytes, bool, urllib3.exceptions.HTTPError | OSError | None]:
    """Return a body as far as it came and the limit goes, whether it was cut, and what broke it."""
    if isinstance(response, WholeAnswer):
        return response.body[: limits.body], len(response.body) > limits.body, None
    chunks: list[bytes] = []
    size, broken = 0, None
    try:
        for chunk in response.stream(_CHUNK, decode_content=True):
            chunks.append(chunk)
            size += len(chunk)
            if size > limits.body:
                break
    except (urllib3.exceptions.HTTPError, OSError) as error:
        broken = error
    finally:
        if not response.closed:
            response.close()  # an answer not read to its end leaves a connection that can't be used again
    return b"".join(chunks)[: limits.body], size > limits.body, broken
