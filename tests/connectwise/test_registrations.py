"""What is written to `/system/callbacks`, and what its recorded answers mean."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from cwconnect.connectwise.callbacks.registrations import Entry, Registrations
from cwconnect.connectwise.client import Client
from cwconnect.connectwise.errors import (
    AlreadyExists,
    BadAnswer,
    ConnectWiseError,
    Forbidden,
    NotFound,
    RateLimited,
    Rejected,
    Unauthorized,
    Unreachable,
)
from cwconnect.outbound import Limits, OutboundClient
from tests.connectwise.test_client import credentials
from tests.support import raw_servers
from tests.support.raw_servers import LOOPBACK, RawServer, requests_of

TOKEN = "a-token-that-nobody-else-knows"
URL = f"https://in.example.com/callbacks/connectwise/{TOKEN}?recordId="
MADE = {
    "id": 26559,
    "url": URL,
    "objectId": 1,
    "type": "contact",
    "level": "owner",
    "memberId": 243,
    "payloadVersion": "3.0.0",
    "inactiveFlag": False,
    "isSoapCallbackFlag": False,
    "isSelfSuppressedFlag": False,
    "connectWiseID": "5eed",
    "_info": {"lastUpdated": "2026-06-09T21:59:49Z", "updatedBy": "api"},
}
Site = tuple[Registrations, list[bytes]]


def answer(status: int, body: bytes, *headers: str) -> bytes:
    return raw_servers.answer(body, f"{status} Said", headers)


def refusal(code: str, message: str, field: str) -> bytes:
    """Return a 400 as it was recorded."""
    errors = [{"code": code, "message": message, "resource": "callbackEntry", "field": field}]
    body = {"code": "InvalidObject", "message": "callbackEntry object is invalid", "errors": errors}
    return answer(400, json.dumps(body).encode())


@contextmanager
def site(handle: Callable[[int, bytes], bytes | None]) -> Iterator[Site]:
    """Return the registrations of a site that answers its n-th request so, or hangs up, and the requests it sees."""
    seen: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        for request in requests_of(connection):
            seen.append(request)
            reply = handle(len(seen), request)
            if reply is None:
                return
            connection.sendall(reply)

    outbound_client = OutboundClient(LOOPBACK)
    limits = Limits(connect=1, read=2, total=4, body=1_000_000)
    with RawServer(serve) as server:
        login = replace(credentials(server.url("/v4_6_release/apis/3.0")), hidden=(TOKEN,))
        yield Registrations(Client(login, outbound_client, limits=limits)), seen
        outbound_client.close()


def test_a_registration_is_made_as_connectwise_wants_it() -> None:
    with site(lambda n, request: answer(201, json.dumps(MADE).encode())) as (registrations, seen):
        made = registrations.create("contact", URL, "cwconnect " + "x" * 200)
    assert made == Entry(26559, "contact", URL)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v4_6_release/apis/3.0/system/callbacks HTTP/1.1")
    assert b"application/json" in head
    sent = json.loads(body)
    assert len(sent.pop("description")) == 100
    assert sent == {
        "url": URL,
        "objectId": 1,
        "type": "contact",
        "level": "owner",
        "payloadVersion": "3.0.0",
        "inactiveFlag": False,
        "isSelfSuppressedFlag": False,
    }


def test_one_is_switched_on_by_a_json_patch() -> None:
    with site(lambda n, request: answer(200, json.dumps(MADE).encode())) as (registrations, seen):
        assert registrations.switch_on(Entry(26559, "contact", URL, active=False)).active
    assert seen[0].startswith(b"PATCH /v4_6_release/apis/3.0/system/callbacks/26559 ")
    assert json.loads(seen[0].partition(b"\r\n\r\n")[2]) == [{"op": "replace", "path": "inactiveFlag", "value": False}]


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        answer(404, b'{"code":"ConnectWiseApi","message":"The endpoint does not exist."}'),
        answer(400, b'{"code":"ConnectWiseApi","message":"The endpoint does not exist."}'),
        answer(404, b'{"code":"NotFound","message":"CallbackEntry 7 not found"}'),
    ],
)
def test_one_that_is_gone_is_as_good_as_deleted(reply: bytes) -> None:
    with site(lambda n, request: reply) as (registrations, seen):
        registrations.delete(7)
    assert seen[0].startswith(b"DELETE /v4_6_release/apis/3.0/system/callbacks/7 ")


WAYS = {
    "exists": (
        refusal("ObjectExists", "A matching callback entry already exists", "objectId"),
        AlreadyExists,
        "A matching callback entry already exists",
    ),
    "url": (refusal("InvalidField", f"Invalid URL {URL}", "url"), Rejected, "Invalid URL"),
    "level": (refusal("InvalidObject", "Unrecognized level for type", "level"), Rejected, "Unrecognized level"),
    "role": (answer(403, b'{"code":"Forbidden","message":"You do not have rights."}'), Forbidden, "rights"),
    "route": (answer(404, b"<html><title>Not Found</title></html>"), NotFound, "Not Found"),
    "login": (answer(401, b'{"code":"Unauthorized","message":"No."}'), Unauthorized, "No."),
    "limit": (answer(429, b"{}", "Retry-After: 7"), RateLimited, "429"),
    "no id": (answer(201, b"{}"), BadAnswer, "no id"),
    "hung up": (None, Unreachable, "can't be reached"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_is_known_and_never_shows_the_token(way: str) -> None:
    reply, kind, words = WAYS[way]
    with site(lambda n, request: reply) as (registrations, seen), pytest.raises(ConnectWiseError) as caught:
        registrations.create("contact", URL, "cwconnect")
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert len(seen) == 1


def test_a_kept_connection_that_died_has_no_post_sent_twice() -> None:
    # A GET leaves a connection open, on which the next request is taken in and never answered.
    page = answer(200, b"[]")
    with site(lambda n, request: page if n == 1 else None) as (registrations, seen):
        registrations.page(1)
        with pytest.raises(Unreachable):
            registrations.create("contact", URL, "cwconnect")
    assert [request.split(b" ")[0] for request in seen] == [b"GET", b"POST"]


def test_the_list_is_read_page_by_page_whoever_made_the_entries() -> None:
    foreign = MADE | {
        "id": 5,
        "type": "Ticket",
        "level": "Board",
        "inactiveFlag": True,
        "url": "https://x.example/?k=1",
    }
    pages = {
        b"page=1&": answer(
            200, json.dumps([MADE, foreign, {"url": "no id"}]).encode(), 'Link: <https://x/?page=2>; rel="next"'
        ),
        b"page=2&": answer(200, b"[]"),
    }
    reply = lambda n, request: next(found for name, found in pages.items() if name in request)  # noqa: E731  (a table's look-up)
    with site(reply) as (registrations, _):
        first, second = registrations.page(1), registrations.page(2)
    other = Entry(5, "ticket", "https://x.example/?k=1", "board", active=False)
    assert first.entries == [Entry(26559, "contact", URL), other]
    assert (first.is_last, second.is_last) == (False, True)
    assert not other.of_all_records
    assert "k=1" not in repr(other)


def test_a_list_that_can_not_be_read_shows_nothing_of_it() -> None:
    with (
        site(lambda n, request: answer(200, b'[{"url": "https://x.example/?k=secret", ')) as (registrations, _),
        pytest.raises(BadAnswer) as caught,
    ):
        registrations.page(1)
    assert "secret" not in str(caught.value)
