"""Readers of single configuration values: what a client sent, as a JSON type or a string, into a plain value.

Each raises ConfigurationError with a sentence that follows the key's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from rest_framework.exceptions import ParseError

from cwconnect.core.errors import DomainError
from cwconnect.core.json_body import UnreadableJSONError, read_json
from cwconnect.core.unseen import find_unseen, trim
from cwconnect.outbound import (
    AddressPolicy,
    InvalidHeader,
    OutboundError,
    merge_headers,
)
from cwconnect.outbound.addresses import address_of, words_of_no_way
from instances.connections import outbound_client

LONGEST_INTERVAL = 44_640  # minutes: a month
_MOST_HEADERS = 50
_TRUE, _FALSE = ("true", "yes"), ("false", "no")
_NAMES_OF_RAW = ("objectType", "eventId", "instance_id")
# What every notification sets itself (docs/wire-contract.md#6-headers-signatures-answers-and-retries); a header of the
# user's may not stand in its place.
_OURS = dict.fromkeys(
    (
        "Content-Type",
        "User-Agent",
        "Elements-Webhook-Id",
        "Elements-Webhook-Signature",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    ),
    "",
)


class ConfigurationError(DomainError):
    """Values that can't be used: what is wrong with each, by the path of its key; the empty path is the key itself."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        sentences = (_sentence(path, text) for path, text in problems.items())
        super().__init__("; ".join(sentences).removesuffix(".") + ".")
        self.problems = problems


def _sentence(path: str, text: str) -> str:
    """Join a key and what is wrong with it: as one sentence, or with a colon where the text is a sentence itself."""
    return f"{path} {text}" if text[:1].islower() else f"{path}: {text}".removeprefix(": ")


def _wrong(text: str) -> ConfigurationError:
    return ConfigurationError({"": text})


def text(longest: int) -> Callable[[Any], str]:
    """Make the reader of a text of at most `longest` characters, all to be seen; a number is taken as its digits."""

    def read(value: Any) -> str:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise _wrong("must be a text")
        if len(value) > longest:
            raise _wrong(f"is longer than {longest:,} characters")
        if unseen := find_unseen(value):
            raise _wrong(f"holds {unseen}")
        return value

    return read


def trimmed(value: Any) -> Any:
    """Return a text without blanks at its ends, anything else as it is."""
    return trim(value) if isinstance(value, str) else value


def header_text(longest: int) -> Callable[[Any], str]:
    """Make the reader of a text that travels in a request's header: stripped, without control characters."""
    plain = text(longest)

    def read(value: Any) -> str:
        found = plain(trimmed(value))
        if not found.isascii():
            raise _wrong("holds a character that can't be sent to ConnectWise")
        return found

    return read


def basic_username(value: Any) -> str:
    """Read the user of Basic authentication, which ends at the first colon."""
    found = text(200)(value)
    if ":" in found:
        raise _wrong("must not hold a colon")
    return found


def boolean(value: Any) -> bool:
    """Read true and false, yes and no, in any case."""
    word = trim(str(value)).lower()
    if isinstance(value, bool | str) and word in _TRUE + _FALSE:
        return word in _TRUE
    raise _wrong("must be true, false, yes or no")


def minutes(value: Any) -> int:
    """Read a whole number of minutes from 1 to a month, also as text."""
    number = value
    if isinstance(value, str) and re.fullmatch(r"\s*\d{1,9}\s*", value, re.ASCII):
        number = int(value)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= LONGEST_INTERVAL:
        raise _wrong(f"must be a whole number of minutes from 1 to {LONGEST_INTERVAL:,}")
    return number


def vendor_type(value: Any) -> str:
    """Read the way events are found: polling is the only one."""
    if trim(str(value)).lower() != "polling":
        raise _wrong("must be polling")
    return "polling"


def url(value: Any) -> str:
    """Read an http or https URL in the form that the outbound client accepts.

    An address that stands in it is judged now; that of a name each time it is used, since it may change.
    """
    found = text(2000)(trimmed(value))
    try:
        outbound_client().check_url(found)
    except OutboundError as error:
        raise _wrong(f"can't be used: {error}".rstrip(".")) from None
    host = urlsplit(found).hostname or ""
    address = address_of(host)
    if address and AddressPolicy(tuple(settings.PRIVATE_NETWORKS)).refusal(str(address)):
        raise _wrong(f"can't be used: {words_of_no_way(host)}".rstrip("."))
    return found


def base_url(value: Any) -> str:
    """Read the address of ConnectWise's API, to which paths are added: no query, no fragment, no slash at the end."""
    found = url(value).rstrip("/")
    if len(found) > 500:
        raise _wrong("is longer than 500 characters")
    parts = urlsplit(found)
    if parts.query or parts.fragment or "?" in found or "#" in found:
        raise _wrong("must not hold a query or a fragment")
    return found


def json_object(value: Any) -> dict[str, Any]:
    """Read an object, also as JSON text."""
    if isinstance(value, str):
        try:
            value = read_json(value.encode())
        except UnreadableJSONError as error:
            raise _wrong(f"is no valid JSON at {error.place}") from None
        except ParseError as error:
            raise _wrong(str(error.detail).removeprefix("The body ").rstrip(".")) from None
        except UnicodeEncodeError:
            raise _wrong("is no valid JSON: it holds half of a surrogate pair, which is no character") from None
    if not isinstance(value, dict):
        raise _wrong("must be an object")
    return value


def resource_name(value: str) -> str:
    """Read a resource's key, which becomes the events' objectType; blanks around it are taken off.

    A notification's `raw` holds the records under this name, beside members of its own (
    docs/wire-contract.md#5-the-notification).
    """
    name = trim(value)
    if not 0 < len(name) <= 200:
        raise _wrong("has a resource without a usable name (1 to 200 characters)")
    if unseen := find_unseen(name):
        raise _wrong(f"has a resource whose name holds {unseen}")
    if name in _NAMES_OF_RAW:
        raise _wrong(f"has a resource called {name}, a name that the notification itself uses; call it otherwise")
    return name


def header_items(value: Any) -> dict[str, str]:
    """Read headers as an object, as JSON text, or as lines `Name: value`; their form is judged by `headers`."""
    if isinstance(value, str) and not trim(value).startswith("{"):
        lines = [line.partition(":") for line in re.split(r"[\r\n]", value) if trim(line)]
        if not all(colon for _, colon, _ in lines):
            raise _wrong("must be an object, or lines of the form Name: value")
        return {trim(name): trim(content) for name, _, content in lines}
    found = json_object(value)
    if not all(isinstance(content, str) for content in found.values()):
        raise _wrong("must hold texts only")
    return found


def headers(value: Any) -> dict[str, str]:
    """Read the further headers of notifications; none may be malformed or one of ours."""
    found = header_items(value)
    if len(found) > _MOST_HEADERS:
        raise _wrong(f"holds more than {_MOST_HEADERS} headers")
    for name, content in found.items():
        if unseen := find_unseen(name):
            raise _wrong(f"names a header that holds {unseen}")
        if unseen := find_unseen(trim(content), allowed="\t"):
            raise _wrong(f"holds {unseen} of the value of {name}")
    try:
        merge_headers(_OURS, found)
    except InvalidHeader as error:
        raise _wrong(f"can't be used: {error}".rstrip(".")) from None
    return found
