"""The client itself: one request out, one complete answer or one error back."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import requests
import urllib3.exceptions
from requests.utils import check_header_validity
from urllib3.response import BaseHTTPResponse
from urllib3.util import Timeout, Url, parse_url

from cwconnect.core.hosts import host_problem
from cwconnect.core.unseen import find_unseen
from cwconnect.outbound.addresses import AddressPolicy, Network, resolve
from cwconnect.outbound.connections import RequestState, current_request_state, make_pools
from cwconnect.outbound.errors import (
    Dropped,
    InvalidHeader,
    InvalidUrl,
    OutboundError,
    TimedOut,
    TlsFailed,
    TooLarge,
)
from cwconnect.outbound.headers import basic


@dataclass(frozen=True)
class Limits:
    """Seconds to connect, between two bytes and in total; and the longest body, in bytes after decompression."""

    connect: float
    read: float
    total: float
    body: int


NOTIFICATION_LIMITS = Limits(connect=5, read=15, total=15, body=64 * 1024)
CONNECTWISE_LIMITS = Limits(connect=10, read=60, total=120, body=64 * 1024 * 1024)


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


_ODD_CHARACTERS = re.compile(r"[ \\]")
_DEFAULT_HEADERS = {"User-Agent": "cwconnect", "Accept": "*/*", "Accept-Encoding": "identity"}
_CHUNK = 64 * 1024
_HOSTS_KEPT_ALIVE = 50


class OutboundClient:
    """Every outgoing request passes one of these. It keeps connections alive and may be shared by threads.

    `private_networks` may be connected to besides public addresses. `proxy` (an http or https URL, which may hold
    credentials) is used for everything; names are resolved and judged here even then. `pool_size` connections
    are kept per host. `ca_file` names a PEM file of further authorities to trust.
    No cookies, no netrc, no proxy or bundle from the environment, no redirects.
    """

    def __init__(
        self,
        private_networks: Iterable[Network] = (),
        proxy: str | None = None,
        pool_size: int = 10,
        *,
        ca_file: str | None = None,
    ) -> None:
        self._policy = AddressPolicy(tuple(private_networks))
        self._proxied = proxy is not None
        self._pools = make_pools(
            self._policy, proxy=proxy, pool_size=pool_size, hosts=_HOSTS_KEPT_ALIVE, ca_file=ca_file
        )

    def close(self) -> None:
        """Close the connections kept alive."""
        self._pools.clear()

    def check_url(self, url: str) -> None:
        """Raise `InvalidUrl` unless it is an http(s) URL with a host and without credentials. Resolves nothing."""
        _parse(url)

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
    ) -> Reply:
        """Send one request and read the whole answer.

        `auth` is a Basic user and password. With `truncate` the status decides and the body is for people to look at:
        one beyond the limit is cut, one that can't be read is as long as it came, and the reply says so. Without it
        they are `TooLarge` and errors. Raises `OutboundError`, whatever goes wrong outside, and `InvalidHeader`. A
        kept-alive connection that turns out dead before any byte of an answer gets one second try on a new one.
        """
        target = _parse(url)
        call = _Call(method, _spell(url), _headers(headers, auth), body, limits)
        started = time.monotonic()
        request_state = RequestState(deadline=started + limits.total)
        token = current_request_state.set(request_state)
        try:
            if self._proxied:
                self._vet(target, limits)
            response = self._send(call, request_state)
            if truncate:
                content, truncated, error = _read_what_comes(response, limits)
                broken = _words_of_broken(response, error, target.host or "", limits, request_state)
            else:
                content, truncated, broken = _read(response, limits), False, ""
        except (urllib3.exceptions.HTTPError, OSError) as error:
            explained = _explain(error, target.host or "", limits, request_state)
            explained.sent = request_state.sent
            raise explained from error
        except OutboundError as error:
            error.sent = request_state.sent
            raise
        finally:
            current_request_state.reset(token)
        return Reply(response.status, response.headers, content, time.monotonic() - started, truncated, broken)

    def _vet(self, target: Url, limits: Limits) -> None:
        host = (target.host or "").strip("[]")
        port = target.port or (443 if target.scheme == "https" else 80)
        self._policy.vet(host, resolve(host, port, timeout=limits.connect))

    def _send(self, call: _Call, request_state: RequestState) -> BaseHTTPResponse:
        try:
            return self._send_once(call)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if request_state.connected_anew or request_state.received or _is_time_out(error):
                raise
            request_state.must_connect_anew = True
            return self._send_once(call)

    def _send_once(self, call: _Call) -> BaseHTTPResponse:
        return self._pools.urlopen(
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


@lru_cache(maxsize=1024)  # each notification of a receiver asks again, and so does the pool
def _parse(url: str) -> Url:
    if unseen := find_unseen(url):
        raise InvalidUrl(f"The URL holds {unseen}.")
    if _ODD_CHARACTERS.search(url):
        raise InvalidUrl("The URL holds a space or a backslash.")
    try:
        parsed = parse_url(url)
        parsed.netloc  # noqa: B018  # raises for ports out of range
    except (urllib3.exceptions.LocationParseError, ValueError):
        raise InvalidUrl("The URL can't be read: its host or port is malformed.") from None
    if parsed.scheme not in ("http", "https"):
        raise InvalidUrl("The URL must begin with http:// or https://.")
    if not parsed.host or not parsed.host.strip("[]."):
        raise InvalidUrl("The URL names no host.")
    if "%" in parsed.host:
        raise InvalidUrl("The URL's host holds a percent sign.")
    if problem := host_problem(parsed.host):
        raise InvalidUrl(f"The URL's host {problem}.")
    if parsed.auth is not None or "@" in _authority(url):
        raise InvalidUrl("The URL holds credentials; they belong into fields of their own.")
    if parsed.port == 0:
        raise InvalidUrl("The URL's port must be between 1 and 65535.")
    return parsed


def _authority(url: str) -> str:
    return re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]


@lru_cache(maxsize=1024)
def _spell(url: str) -> str:
    """Return a URL as it is sent: percent-encoded, and its host in IDNA, the way requests does it."""
    prepared = requests.PreparedRequest()
    try:
        prepared.prepare_url(url, None)
    except (requests.RequestException, ValueError) as error:
        raise InvalidUrl("The URL can't be read.") from error
    return prepared.url or ""


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


def _read(response: BaseHTTPResponse, limits: Limits) -> bytes:
    """Read a whole body; raises what breaks it, and `TooLarge`."""
    content, truncated, error = _read_what_comes(response, limits)
    if broken := error or _head_error(response):
        raise broken
    if truncated:
        raise TooLarge(f"The answer is longer than {limits.body:,} bytes.")
    return content


def _read_what_comes(
    response: BaseHTTPResponse, limits: Limits
) -> tuple[bytes, bool, urllib3.exceptions.HTTPError | OSError | None]:
    """Return a body as far as it came and the limit goes, whether it was cut, and what broke it."""
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


def _head_error(response: BaseHTTPResponse) -> Exception | None:
    error: Exception | None = getattr(getattr(response, "_original_response", None), "head_error", None)
    if error is None or isinstance(error, OSError):
        return error
    return urllib3.exceptions.ProtocolError(str(error), error)


def _words_of_broken(
    response: BaseHTTPResponse, error: Exception | None, host: str, limits: Limits, request_state: RequestState
) -> str:
    """Say why an answer is not whole; empty if it is."""
    cause = error or _head_error(response)
    return "" if cause is None else str(_explain(cause, host, limits, request_state))


def _explain(error: Exception, host: str, limits: Limits, request_state: RequestState) -> OutboundError:
    causes = _chain(error)
    if isinstance(error, urllib3.exceptions.LocationValueError):
        return InvalidUrl("The URL can't be read.")
    if any(map(_is_time_out, causes)):
        return TimedOut(_timeout_words(host, limits, request_state))
    tls = next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None)
    if request_state.connecting and tls:
        return TlsFailed(f"No trusted TLS connection to {host}: {_tls_words(tls)}.")
    if request_state.connecting:
        return Dropped(f"The connection to {host} ended before a request could be sent.")
    if any(isinstance(cause, urllib3.exceptions.DecodeError) for cause in causes):
        return Dropped(f"The answer of {host} can't be decompressed.")
    return Dropped(f"{host} ended the connection before its answer was complete.")


def _is_time_out(error: BaseException) -> bool:
    return isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError)


def _timeout_words(host: str, limits: Limits, request_state: RequestState) -> str:
    if request_state.seconds_left <= 0:
        return f"{host} did not complete its answer within {limits.total:g} s."
    if request_state.connecting:
        return f"No connection to {host} within {limits.connect:g} s."
    return f"{host} sent nothing for {limits.read:g} s."


def _tls_words(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused ({error.verify_message.rstrip('.')})"
    return (error.reason or "the handshake failed").replace("_", " ").lower()


def _chain(error: BaseException) -> list[BaseException]:
    """List an error and all that it wraps: urllib3 keeps causes in `args`, `reason` and `__context__`."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        item = waiting.pop()
        if isinstance(item, BaseException) and item not in found:
            found.append(item)
            waiting += [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]
    return found
