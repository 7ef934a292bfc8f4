"""Requests to one ConnectWise site: the login, the limits, the answers as JSON, and the errors, without its login."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from cwconnect import outbound
from cwconnect.connectwise.answers import (
    BrokenListError,
    JsonError,
    Record,
    TooManyValuesError,
    parse_json,
    parse_list,
)
from cwconnect.connectwise.credentials import Credentials
from cwconnect.connectwise.errors import (
    LONGEST_REFUSAL,
    LOOKED_AT,
    BadAnswer,
    BrokenList,
    ConnectWiseError,
    NoPublicAddress,
    Rejected,
    Unreachable,
    error_from,
    words_of,
)
from cwconnect.connectwise.json_lists import as_utf8

NO_CONTENT = 204
LONGEST_URL = 2000  # docs/connectwise.md#asking
_PATH = re.compile(r"(/[A-Za-z0-9_-]+)+")
_SAFE = "/:,()*'!="  # legal in a query as they stand; a URL is short, and each escape costs three characters

Elements = list[Any]


def encode_query(params: Mapping[str, str]) -> str:
    """Write a query with `%20` for blanks and `%2B` for `+`, which ConnectWise would read as a blank."""
    return urlencode(params, quote_via=quote, safe=_SAFE)


class SiteRequests:
    """Sends to one site through an outbound client, whose connections stay open; threads may share it.

    The login goes to the site of the base URL only.
    """

    def __init__(
        self,
        credentials: Credentials,
        outbound_client: outbound.OutboundClient,
        *,
        limits: outbound.Limits = outbound.CONNECTWISE_LIMITS,
    ) -> None:
        self._credentials = credentials
        self._outbound_client = outbound_client
        self._limits = limits
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "Authorization": credentials.authorization,
        }
        if credentials.client_id:
            self._headers["clientId"] = credentials.client_id

    def _get(
        self,
        path: str,
        params: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        *,
        by_id: bool = False,
        seconds: float | None = None,
    ) -> outbound.Reply:
        return self._send("GET", path, params, headers, by_id=by_id, seconds=seconds)

    def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        body: Any = None,
        by_id: bool = False,
        seconds: float | None = None,
    ) -> outbound.Reply:
        """Send one request and return a 2xx answer; what is not a GET is sent once at most."""
        limits = self._limits if seconds is None else replace(self._limits, total=seconds)
        sent = self._headers | ({} if body is None else {"Content-Type": "application/json"}) | dict(headers or {})
        try:
            reply = self._outbound_client.request(
                method,
                self._url(path, params or {}),
                headers=sent,
                body=None if body is None else orjson.dumps(body),
                limits=limits,
                once=method != "GET",
            )
        except outbound.OutboundError as error:
            failure = self._failure(error)
            failure.sent = error.sent
            raise failure from error
        if not 200 <= reply.status < 300:
            raise error_from(self._masked(reply), by_id=by_id, now=datetime.now(UTC))
        return reply

    def _url(self, path: str, params: Mapping[str, str]) -> str:
        if not _PATH.fullmatch(path):
            raise Rejected(f"{path!r} is no path of a ConnectWise list.")
        try:
            query = encode_query(params)
        except UnicodeEncodeError:
            raise Rejected(f"The request for {path} holds half of a surrogate pair, which no URL can.") from None
        url = f"{self._credentials.base_url.rstrip('/')}{path}" + (f"?{query}" if query else "")
        if len(url) > LONGEST_URL:
            raise Rejected(f"The request for {path} is {len(url)} characters long; ConnectWise takes {LONGEST_URL}.")
        return url

    def _failure(self, error: outbound.OutboundError) -> ConnectWiseError:
        message = self._credentials.mask(str(error))
        if isinstance(error, outbound.AddressNotAllowed | outbound.NameNotFound):
            return NoPublicAddress(message, code=error.kind)
        if isinstance(error, outbound.InvalidUrl):
            return Rejected(message, code=error.kind)
        if isinstance(error, outbound.TooLarge):
            return BadAnswer(f"{message} A smaller pageSize helps.", code=error.kind)
        return Unreachable(f"ConnectWise can't be reached: {message}", code=error.kind)

    def _masked(self, reply: outbound.Reply) -> outbound.Reply:
        """Return an answer without the login that it may echo, before its words are taken from it and cut."""
        cut = len(reply.body) > LONGEST_REFUSAL
        body = reply.body[: 2 * LOOKED_AT] if cut else reply.body
        with suppress(JsonError):  # JSON in another form of Unicode
            body = as_utf8(body)
        return replace(reply, body=self._credentials.mask(body.decode("utf-8", "replace"), cut=cut).encode())

    def _list_of(self, reply: outbound.Reply) -> Elements:
        body = [] if reply.status == NO_CONTENT else self._json_of(reply, parse_list)
        if not isinstance(body, list):
            raise self._bad(reply, "no list of records")
        return body

    def _object_of(self, reply: outbound.Reply) -> Record:
        body = self._json_of(reply)
        if not isinstance(body, dict):
            raise self._bad(reply, "no record")
        return body

    def _json_of(self, reply: outbound.Reply, parse: Callable[[bytes], Any] = parse_json) -> Any:
        try:
            return parse(reply.body)
        except TooManyValuesError as error:
            raise BadAnswer(f"ConnectWise's answer can't be used: {error} A smaller pageSize helps.") from None
        except BrokenListError as error:
            bad = self._bad(reply, "no readable JSON")
            if not error.ends:
                raise bad from None
            raise BrokenList(bad.message, status=bad.status, why=str(error)) from None
        except JsonError:
            raise self._bad(reply, "no readable JSON") from None

    def _bad(self, reply: outbound.Reply, what: str) -> BadAnswer:
        words = words_of(self._masked(reply))
        return BadAnswer(f"ConnectWise answered {reply.status} with {what}: {words}", status=reply.status)
