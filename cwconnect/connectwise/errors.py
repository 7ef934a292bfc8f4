"""How a request to ConnectWise can fail, and what to do then (docs/connectwise.md#errors-and-limits).

| Status | Error | What to do |
|---|---|---|
| – | `Unreachable` | no answer: back off and retry |
| – | `NoPublicAddress` | no address, or one that is not public: back off and retry; open its network, or mend the URL |
| 400, other 4xx | `Rejected` | the request is wrong: stop that resource, show ConnectWise's words |
| 400 `ObjectExists` | `AlreadyExists` | what was to be made is there: find it |
| 401, and a 400 or 403 about the clientId or the company | `Unauthorized` | stop the instance, ask the operator |
| 403 | `Forbidden` | the security role lacks a right: stop that resource |
| 404 | `NotFound` | of a record: it is gone; of a list: wrong site, codebase or login |
| 429 | `RateLimited` | wait `retry_after` seconds plus jitter, for the whole instance |
| 5xx, 408 | `ServerFault` | back off and retry; a smaller page helps with read time-outs |
| 2xx and 3xx without what was asked for | `BadAnswer` | back off and retry |

Each prints as a sentence for the operator with ConnectWise's own words, never with a credential in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from cwconnect.connectwise.answers import JsonError, Page, parse_json
from cwconnect.outbound import Reply
from cwconnect.outbound.retry_after import parse_retry_after

DEFAULT_RETRY_AFTER = 30.0
_LONGEST_WORDS = 500
LONGEST_REFUSAL = 1024 * 1024  # bytes; what is longer is not read as JSON for its words
LOOKED_AT = 8 * 1024  # bytes of a text or a page that are looked at
_MOST_DETAILS = 20
_CLIENT_ID = re.compile(r"client\s*-?id\b", re.IGNORECASE)
_CLIENT_ID_HINT = "Give the instance a connectwise.clientID, or set CWCONNECT_CONNECTWISE_CLIENT_ID."
_LIST_HINT = "For a list this can mean a wrong site, codebase, company or login."


class ConnectWiseError(Exception):
    """A request to ConnectWise that brought nothing usable.

    `status` is HTTP's, if an answer came; `code` ConnectWise's, or the outbound client's word for a failure without an
    answer; `retry_after` seconds, if the site named a time; `retryable`: the same request may succeed later by itself.
    `sent`: whether a byte of it may have reached the site. `fields`: what ConnectWise says is wrong, by its names.
    """

    retryable: ClassVar[bool] = False
    sent: bool = True
    fields: tuple[str, ...] = ()

    def __init__(
        self, message: str, *, status: int | None = None, code: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.retry_after = retry_after


class Unreachable(ConnectWiseError):  # noqa: N818  # these names say what happened, here and below
    """No complete answer came: the network, TLS or a time limit."""

    retryable = True


class NoPublicAddress(ConnectWiseError):  # noqa: N818
    """The site's name has no address, or one that is not public in a network that was not opened.

    One error for both, so that nobody learns from it, or from what follows, which names there are inside.
    """

    retryable = True


class RateLimited(ConnectWiseError):  # noqa: N818
    """429; `retry_after` is always set."""

    retryable = True


class ServerFault(ConnectWiseError):  # noqa: N818
    """The site failed: 5xx, or 408."""

    retryable = True


class BadAnswer(ConnectWiseError):  # noqa: N818
    """An answer that is not what was asked for: no JSON, no list, too long, or out of order."""

    retryable = True


class BrokenList(BadAnswer):
    """A list that came to its end and can't be taken apart into records with ids: in pieces it may be read.

    `why` says it without the answer's own words. `guess`: what it was taken apart into, if only the ids are in doubt.
    """

    def __init__(self, message: str, *, status: int | None, why: str, guess: Page | None = None) -> None:
        super().__init__(message, status=status)
        self.why, self.guess = why, guess


class BrokenRecord(BadAnswer):
    """One record that came to its end and can't be read."""


class Rejected(ConnectWiseError):  # noqa: N818
    """The request is wrong and stays wrong."""


class AlreadyExists(Rejected):
    """What was to be made matches something that is there."""


class Unauthorized(ConnectWiseError):  # noqa: N818
    """Keys, company or clientId are refused."""


class Forbidden(ConnectWiseError):  # noqa: N818
    """The login is right, its security role lacks a right."""


class NotFound(ConnectWiseError):  # noqa: N818
    """404; `of_record`: a record was asked for by id, and ConnectWise itself says that it does not exist."""

    of_record: bool = False


def error_from(reply: Reply, *, by_id: bool, now: datetime) -> ConnectWiseError:
    """Make the error for an answer that is no 2xx. `by_id`: one record was asked for. `now` is aware."""
    code, words = _words(reply)
    status, retry_after = reply.status, parse_retry_after(reply.headers.get("Retry-After"), now=now)
    kind, hint = _kind(status, code, words, by_id=by_id)
    if kind is Rejected and b"ObjectExists" in reply.body[:LOOKED_AT]:
        kind = AlreadyExists
    if kind is RateLimited and retry_after is None:
        retry_after = DEFAULT_RETRY_AFTER
    sentence = f"ConnectWise answered {status}: {words}" + (f" {hint}" if hint else "")
    error = kind(sentence, status=status, code=code, retry_after=retry_after)
    error.fields = _fields(reply)
    if isinstance(error, NotFound):
        error.of_record = by_id and code == "NotFound"
    return error


def words_of(reply: Reply) -> str:
    """Return an answer's own words, for a sentence: JSON's messages, a page's title, or the beginning of the text."""
    return _words(reply)[1]


def _kind(status: int, code: str | None, words: str, *, by_id: bool) -> tuple[type[ConnectWiseError], str]:
    if status in (400, 403) and code != "ApiFindCondition" and _CLIENT_ID.search(words):
        return Unauthorized, _CLIENT_ID_HINT
    if status == 400 and "cannot route" in words.lower():
        return Unauthorized, ""  # "Codebase/company is invalid": the company is a part of the login
    if status == 404:
        return NotFound, "" if by_id else _LIST_HINT
    if status in _KINDS:
        return _KINDS[status], ""
    if status >= 500:
        return ServerFault, ""
    return (Rejected, "") if status >= 400 else (BadAnswer, "Redirects are not followed.")


_KINDS: Mapping[int, type[ConnectWiseError]] = {
    401: Unauthorized,
    403: Forbidden,
    408: ServerFault,
    429: RateLimited,
}


def _words(reply: Reply) -> tuple[str | None, str]:
    try:
        body = parse_json(reply.body) if len(reply.body) <= LONGEST_REFUSAL else None
    except JsonError:
        body = None
    if isinstance(body, dict):
        code, words = _text(body.get("code")), _sentences(body)
        if words:
            return code, words
    return None, _from_text(reply.body[:LOOKED_AT].decode("utf-8", "replace"))


def _sentences(body: Mapping[str, Any]) -> str:
    errors = body.get("errors")
    listed = errors if isinstance(errors, list) else []
    details = [_text(item.get("message")) for item in listed[:_MOST_DETAILS] if isinstance(item, dict)]
    code, message = _text(body.get("code")) or _text(body.get("error")), _text(body.get("message"))
    parts = [part for part in (message, *details) if part]
    words = " ".join(dict.fromkeys(parts))
    return _short(f"{words} ({code})" if code and words else words or code or "")


def _fields(reply: Reply) -> tuple[str, ...]:
    """Return the fields that an answer's `errors` name, each once."""
    try:
        body = parse_json(reply.body) if len(reply.body) <= LOOKED_AT else None
    except JsonError:
        return ()
    errors = body.get("errors") if isinstance(body, dict) else None
    listed = errors[:_MOST_DETAILS] if isinstance(errors, list) else []
    named = (_text(item.get("field")) for item in listed if isinstance(item, dict))
    return tuple(dict.fromkeys(_short(name) for name in named if name))


def _from_text(text: str) -> str:
    title = re.search(r"<title[^>]*>([^<]*)</title", text, re.IGNORECASE)
    if title:
        return _short(f"an HTML page, “{title[1]}”")
    return "an HTML page" if text.lstrip().startswith("<") else _short(text) or "an empty body"


def _short(text: str) -> str:
    line = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text).split())
    return line if len(line) <= _LONGEST_WORDS else line[: _LONGEST_WORDS - 1] + "…"


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
