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

_ODD_CHARACTERS = re.compile(r"[ \\]")


@lru_cache(maxsize=1024)  # each notification of a receiver asks again, and so does the pool
def parse(url: str) -> Url:
    """Return the parts of an http or https URL; InvalidUrl says what can't be sent of it."""
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
def spell(url: str) -> str:
    """Return a URL as it is sent: percent-encoded, and its host in IDNA, the way requests does it."""
    prepared = requests.PreparedRequest()
    try:
        prepared.prepare_url(url, None)
    except (requests.RequestException, ValueError) as error:
        raise InvalidUrl("The URL can't be read.") from error
    return prepared.url or ""
