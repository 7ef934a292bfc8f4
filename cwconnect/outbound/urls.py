"""URLs that requests go to: what is refused of them, and how they are spelt on the wire. Pure."""

from __future__ import annotations

import re
from functools import lru_cache

import requests
import urllib3.exceptions
from urllib3.util import Url, parse_url

from cwconnect.core.hosts import host_problem
from cwconnect.core.unseen import find_unseen
from cwconnect.outbound.errors import InvalidUrl

PORTS = {"http": 80, "https": 443}
_ODD_CHARACTERS = re.compile(r"[ \\]")
# A query that is spelt as it is sent (RFC 3986, 3.4): an escape is in capitals, and of no character that needs none.
_SPELT = re.compile(
    r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%(?:[0189A-F][0-9A-F]|2[0-9A-CF]|3[A-F]|40|5[B-E]|60|7[B-DF]))+"
)


def parse(url: str) -> Url:
    """Return the parts of an http or https URL; InvalidUrl says what can't be sent of it."""
    resource, query = _split(url)
    return _parse(resource)._replace(query=query) if query else _parse(resource)


def spell(url: str) -> str:
    """Return a URL as it is sent: percent-encoded, and its host in IDNA, the way requests does it."""
    resource, query = _split(url)
    return f"{_spell(resource)}?{query}" if query else _spell(resource)


def host_header(target: Url) -> str:
    """Return the value of the `Host` header for a URL: with its port unless that is the scheme's (RFC 9110, 7.2)."""
    host, usual = (target.host or "").rstrip("."), PORTS[target.scheme or "http"]
    return host if target.port in (None, usual) else f"{host}:{target.port}"


def _split(url: str) -> tuple[str, str]:
    """Cut off the query if it is spelt as it is sent: each poll has another, and what stands before it is the same."""
    resource, _, query = url.partition("?")
    return (resource, query) if _SPELT.fullmatch(query) else (url, "")


@lru_cache(maxsize=1024)
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
    prepared = requests.PreparedRequest()
    try:
        prepared.prepare_url(url, None)
    except (requests.RequestException, ValueError) as error:
        raise InvalidUrl("The URL can't be read.") from error
    return prepared.url or ""
