"""The client against a sandbox, and against servers that answer what no ConnectWise should."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwconnect.connectwise.answers import JsonError, parse_json, read_date
from cwconnect.connectwise.client import Client, Page
from cwconnect.connectwise.credentials import Credentials
from cwconnect.connectwise.errors import (
    BadAnswer,
    ConnectWiseError,
    Forbidden,
    NoPublicAddress,
    NotFound,
    RateLimited,
    Rejected,
    ServerFault,
    Unauthorized,
    Unreachable,
    error_from,
)
from cwconnect.outbound import Limits, OutboundClient, Reply
from cwconnect.outbound.retry_after import parse_retry_after
from cwconnect.sandbox import SandboxServer
from tests.support.raw_servers import LOOPBACK, RawServer, always, answer, requests_of
from tests.support.sandboxes import start_sandbox

CLIENT_ID = "7f0c1d2e-0000-4000-8000-00000000cafe"
CONTACTS = "/company/contacts"
QUICK = Limits(connect=1, read=0.3, total=0.6, body=10_000)
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def credentials(url: str, **changes: str) -> Credentials:
    values: dict[str, Any] = {
        "company": "acme",
        "public_key": "PUB+KEY",
        "private_key": "PRIV/KEY",
        "client_id": CLIENT_ID,
    }
    return Credentials(base_url=url, **(values | changes))


@pytest.fixture
def outbound_client() -> Iterator[OutboundClient]:
    outbound_client = OutboundClient(LOOPBACK)
    yield outbound_client
    outbound_client.close()


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with start_sandbox(public_key="PUB+KEY", private_key="PRIV/KEY", client_id=CLIENT_ID) as sandbox:
        yield sandbox


@pytest.fixture
def client(sandbox: SandboxServer, outbound_client: OutboundClient) -> Client:
    return Client(credentials(sandbox.url), outbound_client)


@contextmanager
def site(*answers: bytes) -> Iterator[tuple[Client, list[bytes]]]:
    """Return a client of a site that gives these answers in turn, and the requests it sees."""
    seen: list[bytes] = []

    def handle(connection: socket.socket) -> None:
        for request in requests_of(connection):
            seen.append(request)
            connection.sendall(answers[min(len(seen), len(answers)) - 1])

    outbound_client = OutboundClient(LOOPBACK)
    with RawServer(handle) as server:
        yield Client(credentials(server.url("/v4_6_release/apis/3.0")), outbound_client, limits=QUICK), seen
        outbound_client.close()


def pages_of(client: Client, params: dict[str, str], size: int) -> list[Page]:
    pages = [client.page(CONTACTS, params, page_size=size)]
    while not pages[-1].is_last:
        pages.append(client.page(CONTACTS, params, after_id=pages[-1].last_id, page_size=size))
    return pages


@pytest.mark.parametrize(
    ("size", "most", "links", "lengths"),
    [
        (12, 1000, True, [12, 12, 6]),
        (12, 1000, False, [12, 12, 6]),
        (10, 1000, True, [10, 10, 10, 0]),  # a full page may be followed by another, whatever it names
        (1000, 1000, True, [30]),
        (1000, 20, True, [20, 10]),  # the site's own cap: short, but it names the next
        (1000, 15, True, [15, 15]),
    ],
)
def test_pages_follow_each_other_by_id_to_a_short_one_that_names_no_next(
    sandbox: SandboxServer, client: Client, size: int, most: int, lengths: list[int], *, links: bool
) -> None:
    sandbox.store.largest_page, sandbox.store.send_links = most, links
    pages = pages_of(client, {"fields": "id"}, size)

    assert [len(page.records) for page in pages] == lengths
    assert [record["id"] for page in pages for record in page.records] == list(range(1, 31))
    assert pages[-1].last_id == 30


def test_conditions_hold_on_every_page(client: Client) -> None:
    pages = pages_of(client, {"conditions": "id > 5 and id != 9", "fields": "id"}, 7)

    assert [record["id"] for page in pages for record in page.records] == [*range(6, 9), *range(10, 31)]


def test_a_page_has_connectwises_time(client: Client) -> None:
    date = client.page(CONTACTS, {}).date

    assert date is not None
    assert date.tzinfo is UTC
    assert abs(date - datetime.now(UTC)) < timedelta(minutes=5)


def test_the_newest_id_and_the_count_are_read(client: Client) -> None:
    newest, date = client.newest_id(CONTACTS)

    assert (newest, client.count(CONTACTS), client.count(CONTACTS, "id <= 10")) == (30, 30, 10)
    assert date


def test_the_newest_id_of_an_empty_list_is_zero(client: Client) -> None:
    assert client.newest_id("/finance/agreements")[0] == 0


def test_one_record_is_read_and_one_that_is_gone_is_no_wrong_path(client: Client) -> None:
    assert client.get(CONTACTS, 17)["id"] == 17
    with pytest.raises(NotFound, match="57919") as gone:
        client.get(CONTACTS, 57919)
    with pytest.raises(NotFound, match="wrong site") as nowhere:
        client.page("/no/where", {})
    with pytest.raises(NotFound) as no_list:
        client.get("/no/where", 1)

    assert [error.value.of_record for error in (gone, nowhere, no_list)] == [True, False, False]
    assert gone.value.code == "NotFound"


def test_a_list_as_a_reader_asks_for_it_names_its_next_page(client: Client) -> None:
    listing = client.list(CONTACTS, {"conditions": "id > 3", "orderBy": "id desc", "pageSize": "20", "fields": "id"})
    assert listing.next_params
    rest = client.list(CONTACTS, listing.next_params)

    ids = [record["id"] for record in (*listing.records, *rest.records)]
    assert ids == list(range(30, 3, -1))
    assert rest.next_params is None


def test_the_system_says_which_version_it_is(client: Client) -> None:
    assert "version" in client.system_info()


@pytest.mark.parametrize("change", ["company", "public_key", "private_key", "client_id"])
def test_a_wrong_login_is_refused_without_being_quoted(
    sandbox: SandboxServer, outbound_client: OutboundClient, change: str
) -> None:
    wrong = credentials(sandbox.url, **{change: "wrong-but-secret"})

    with pytest.raises(Unauthorized) as caught:
        Client(wrong, outbound_client).newest_id(CONTACTS)
    assert not caught.value.retryable
    assert "wrong-but-secret" not in str(caught.value)


def test_the_login_and_the_paging_are_sent_as_connectwise_wants_them() -> None:
    with site(answer(b"[]")) as (client, seen):
        client.page(CONTACTS, {"conditions": 'name = "A+B & ü"'}, after_id=7, page_size=5000)

    lines = seen[0].decode().split("\r\n")
    query = "conditions=name%20=%20%22A%2BB%20%26%20%C3%BC%22&pageSize=1000&pageId=7"
    assert lines[0] == f"GET /v4_6_release/apis/3.0/company/contacts?{query} HTTP/1.1"
    assert "Authorization: Basic YWNtZStQVUIrS0VZOlBSSVYvS0VZ" in lines
    assert f"clientId: {CLIENT_ID}" in lines
    assert "pagination-type: forward-only" in lines
    assert "Accept: application/json" in lines


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        ("400 Bad Request", '{"code":"InvalidObject","message":"contact object is invalid","errors":[{"code":'
         '"MissingRequiredField","message":"The firstName field is required."}]}', Rejected,
         "contact object is invalid The firstName field is required. (InvalidObject)"),
        ("400 Bad Request", '{"code":"ApiFindCondition","message":"clientId/y is not a recognized name."}', Rejected,
         "not a recognized name"),
        ("400 Bad Request", "Cannot route. Codebase/company is invalid", Unauthorized, "Cannot route"),
        ("400 Bad Request", '{"message":"clientId is invalid"}', Unauthorized, "CWCONNECT_CONNECTWISE_CLIENT_ID"),
        ("403 Forbidden", '{"message":"Missing client-ID header"}', Unauthorized, "CWCONNECT_CONNECTWISE_CLIENT_ID"),
        ("401 Unauthorized", '{"code":"Unauthorized","message":"Incorrect public/private key"}', Unauthorized,
         "Incorrect public/private key"),
        ("403 Forbidden", '{"code":"Security","message":"You do not have security permission."}', Forbidden,
         "permission"),
        ("404 Not Found", '{"code":"ConnectWiseApi","message":"The endpoint does not exist."}', NotFound, "endpoint"),
        ("405 Not Allowed", "", Rejected, "405: an empty body"),
        ("408 Request Timeout", "", ServerFault, "408"),
        ("429 Too Many", '{"error":"ConnectWiseAPI","message":"Too many requests."}', RateLimited,
         "Too many requests."),
        ("500 Server Error", "Query read timeout", ServerFault, "Query read timeout"),
        ("503 Unavailable", "<html><title>Down for\nmaintenance</title>", ServerFault, "“Down for maintenance”"),
        ("302 Found", "", BadAnswer, "Redirects are not followed"),
    ],
)  # fmt: skip
def test_a_status_becomes_its_error_in_connectwises_words(
    status: str, body: str, kind: type[ConnectWiseError], words: str
) -> None:
    with site(answer(body.encode(), status)) as (client, _), pytest.raises(ConnectWiseError) as caught:
        client.page(CONTACTS, {})

    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert caught.value.status == int(status[:3])


def test_an_error_body_that_quotes_the_login_is_masked() -> None:
    body = b'{"message":"PRIV/KEY of PUB+KEY as YWNtZStQVUIrS0VZOlBSSVYvS0VZ is wrong"}'
    for status in ("401 Unauthorized", "200 OK", "500 Error"):
        with site(answer(body, status)) as (client, _), pytest.raises(ConnectWiseError) as caught:
            client.page(CONTACTS, {})
        for secret in ("PRIV/KEY", "PUB+KEY", "YWNtZStQVUIrS0VZ"):
            assert secret not in str(caught.value)
            assert secret not in repr(caught.value)


def test_a_429_without_a_time_waits_thirty_seconds() -> None:
    with site(answer(b"{}", "429 Too Many")) as (client, _), pytest.raises(RateLimited) as caught:
        client.page(CONTACTS, {})
    assert caught.value.retry_after == 30


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("17", 17), ("0", 0), (" 2.5 ", 2.5), ("Sun, 01 Mar 2026 12:01:00 GMT", 60), ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
     ("soon", None), ("-5", None), ("", None), (None, None), ("9" * 400, None),
     ("Sun, 99 Mar 2026 12:00:00 GMT", None)],
)  # fmt: skip
def test_retry_after_is_read_as_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, now=NOW) == seconds


@pytest.mark.parametrize(
    "body",
    [b"", b"17", b'"text"', b'{"code":"x","message":"y"}', b"<html>", b"[1,2", b"[{}", b"[NaN]", b"[Infinity]",
     b"[1e999]", b"[" * 100_000, b'{"a":' * 5000, b"\xff\xfe[]", b'[{"id":"\xff"}]', b"[" + b"1" * 9000 + b"]"],
)  # fmt: skip
def test_what_is_no_list_of_records_is_a_bad_answer_and_may_be_asked_again(body: bytes) -> None:
    with site(answer(body[:9999])) as (client, _), pytest.raises(BadAnswer) as caught:
        client.page(CONTACTS, {})
    assert caught.value.retryable


@pytest.mark.parametrize(
    "body", [b'[{"id":8},{"id":7}]', b'[{"id":5}]', b'[{"id":5},{"id":5}]', b'[{"id":3}]', b'[{"id":"9"}]', b"[17]"]
)
def test_a_page_that_does_not_lead_on_is_a_bad_answer(body: bytes) -> None:
    with site(answer(body)) as (client, _), pytest.raises(BadAnswer):
        client.page(CONTACTS, {}, after_id=5)


def test_a_record_that_stands_twice_on_a_page_is_taken_once_and_holds_nothing_up() -> None:
    with site(answer(b'[{"id":5},{"id":8},{"id":8},{"id":9}]')) as (client, _):
        page = client.page(CONTACTS, {}, after_id=5)
    assert ([record["id"] for record in page.records], page.last_id) == ([8, 9], 9)
    assert page.skipped == ["record 5 stands there again", "record 8 stands there again"]


@pytest.mark.parametrize("number", [None, True, 0, -1, 7.0, 2**63, "7"])
def test_what_can_not_be_an_id_is_skipped_among_others(number: object) -> None:
    body = json.dumps([{"id": 7}, {"id": number}, {"id": 2**53 + 1}]).encode()
    with site(answer(body)) as (client, _):
        page = client.page(CONTACTS, {}, after_id=5)
    assert [record["id"] for record in page.records] == [7, 2**53 + 1]
    assert len(page.skipped) == 1


def test_an_element_that_is_no_record_is_skipped_with_a_reason() -> None:
    body = b'[17,{"id":true},{"id":"7"},{"id":9},{"name":"x"},{"id":0},{"id":99999999999999999999},{"id":12}]'
    with site(answer(body)) as (client, _):
        page = client.page(CONTACTS, {})

    assert (page.records, page.last_id, len(page.skipped)) == ([{"id": 9}, {"id": 12}], 12, 6)


def test_a_record_too_deep_to_store_is_skipped_and_the_page_leads_past_it() -> None:
    deep = b'{"id":8,"a":' + b"[" * 400 + b"]" * 400 + b"}"
    with site(answer(b'[{"id":7},' + deep + b"]")) as (client, _):
        page = client.page(CONTACTS, {})

    assert (page.records, page.last_id) == ([{"id": 7}], 8)
    assert "record 8" in page.skipped[0]


def test_odd_characters_arrive_and_half_a_surrogate_pair_is_replaced() -> None:
    body = rb'[{"id":7,"a":"\u0000\ud83d\ude00","b":"x\ud800y"}]'
    with site(answer(body)) as (client, _):
        record = client.page(CONTACTS, {}).records[0]

    assert record == {"id": 7, "a": "\x00😀", "b": "x\ufffdy"}


@given(
    st.text(max_size=30)
    | st.tuples(st.integers(0, 99), st.integers(0, 99999), st.integers()).map(
        lambda parts: f"Sun, {parts[0]} Mar {parts[1]} 12:00:00 {parts[2]:+05}"
    )
)
def test_no_date_or_time_in_a_header_fails_in_another_way(value: str) -> None:
    seconds, date = parse_retry_after(value, now=NOW), read_date(value)

    assert seconds is None or seconds >= 0
    assert date is None or date.tzinfo is UTC


@given(st.integers(300, 599), st.binary(max_size=60) | st.text(max_size=60).map(str.encode), st.booleans())
def test_any_other_answer_becomes_an_error_of_ours(status: int, body: bytes, by_id: bool) -> None:
    error = error_from(Reply(status, {}, body, 0.1), by_id=by_id, now=NOW)

    assert str(error).startswith(f"ConnectWise answered {status}: ")
    assert "\n" not in str(error)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_reading_json_never_fails_in_another_way(body: bytes) -> None:
    try:
        parse_json(body)
    except ValueError as error:
        assert isinstance(error, JsonError)  # noqa: PT017  # either outcome is right, another exception is not


@pytest.mark.parametrize(
    "answers",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"],
    ids=["silence", "a cut body", "a late body"],
)
def test_a_site_that_does_not_answer_in_full_is_unreachable(answers: bytes) -> None:
    with site(answers) as (client, _), pytest.raises(Unreachable) as caught:
        client.page(CONTACTS, {})
    assert caught.value.retryable
    assert caught.value.code in ("timeout", "dropped")


def test_an_answer_beyond_the_limit_is_a_bad_answer() -> None:
    with (
        site(answer(b'[{"id":1,"a":"' + b"x" * 10_000 + b'"}]')) as (client, _),
        pytest.raises(BadAnswer, match="pageSize"),
    ):
        client.page(CONTACTS, {})


def test_more_values_than_memory_should_hold_are_a_bad_answer(outbound_client: OutboundClient) -> None:
    with (
        RawServer(always(answer(b"[" + b"{}," * 2_000_000 + b"{}]"))) as server,
        pytest.raises(BadAnswer, match=r"2,000,000 values\. A smaller pageSize helps"),
    ):
        Client(credentials(server.url()), outbound_client).page(CONTACTS, {})


def test_a_large_refusal_is_cut_to_its_beginning() -> None:
    page = b"<html><title>Bad Gateway</title>" + b"x" * 2_000_000
    assert str(error_from(Reply(502, {}, page, 0.1), by_id=False, now=NOW)).endswith("“Bad Gateway”")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("cut", [0, 490, 495, 500, 600])
def test_an_echoed_login_is_masked_in_the_words_of_a_refusal(encoding: str, cut: int) -> None:
    login = credentials("").authorization.removeprefix("Basic ")
    words = f"{'x' * cut} no login {login}, key PRIV/KEY, PRIV%2FKEY, PRIV\\/KEY"
    body = json.dumps({"code": "Unauthorized", "message": words}).encode(encoding)
    with site(answer(body, "401 Unauthorized")) as (client, _), pytest.raises(Unauthorized) as caught:
        client.page(CONTACTS, {})
    said = str(caught.value)
    assert "x" * min(cut, 480) in said
    assert not [secret for secret in (login[:4], "PRIV", "KEY") if secret in said]


def test_a_private_site_is_not_asked(sandbox: SandboxServer) -> None:
    outbound_client = OutboundClient()
    with pytest.raises(NoPublicAddress, match="CWCONNECT_PRIVATE_NETWORKS") as caught:
        Client(credentials(sandbox.url), outbound_client).page(CONTACTS, {})
    assert caught.value.retryable  # like a name without an address, which it could be as well


@pytest.mark.parametrize(
    "path", ["//evil.example/x", "/company/../x", "company/contacts", "/a?b=c", "/a/", "", "@evil"]
)
def test_the_login_goes_nowhere_but_to_lists_of_the_site(path: str) -> None:
    with site(answer(b"[]")) as (client, seen), pytest.raises(Rejected):
        client.page(path, {})
    assert not seen


def test_a_link_to_another_host_is_read_for_its_parameters_only() -> None:
    next_page = "<https://evil.example/v4/x?pageSize=2&conditions=id%3e3&page=2>"
    link = f'Link: {next_page}; rel="next", <https://evil.example/v4/x?page=9>; rel="last"'
    with site(answer(b'[{"id":1}]', headers=(link,))) as (client, seen):
        listing = client.list(CONTACTS, {"pageSize": "2"})
        client.list(CONTACTS, listing.next_params or {})

    assert listing.next_params == {"pageSize": "2", "conditions": "id>3", "page": "2"}
    assert seen[1].startswith(b"GET /v4_6_release/apis/3.0/company/contacts?pageSize=2&")


@pytest.mark.parametrize("url", ["https://[/x?page=2", "?page=2#page=3", "http://a]b?page=2", "//:99999999/?page=2"])
def test_a_link_that_is_no_url_is_read_for_its_parameters_too(url: str) -> None:
    with site(answer(b'[{"id":1}]', headers=(f'Link: <{url}>; rel="next"',))) as (client, _):
        assert client.list(CONTACTS, {}).next_params == {"page": "2"}


def test_a_request_longer_than_connectwise_takes_is_not_sent(client: Client) -> None:
    with pytest.raises(Rejected, match="2000"):
        client.page(CONTACTS, {"conditions": "x" * 2000})


def test_the_repr_of_credentials_shows_no_key() -> None:
    shown = repr(credentials("https://example.com"))
    assert "acme" in shown
    for secret in ("PUB", "PRIV", CLIENT_ID):
        assert secret not in shown


def test_faults_of_the_sandbox_come_out_as_their_errors(sandbox: SandboxServer, client: Client) -> None:
    seen: list[Any] = []
    for status in (429, 500, 503, 401, 403):
        sandbox.store.fail_next(1, status=status)
        with pytest.raises(ConnectWiseError) as caught:
            client.page(CONTACTS, {})
        seen.append(type(caught.value))

    assert seen == [RateLimited, ServerFault, ServerFault, Unauthorized, Forbidden]
