"""Lists that one record makes unreadable: it is left out by name, its neighbours are read, at few requests."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cwconnect.connectwise.client import Client
from cwconnect.connectwise.credentials import Credentials
from cwconnect.connectwise.errors import BadAnswer, ConnectWiseError, Unreachable
from cwconnect.outbound import CONNECTWISE_LIMITS, OutboundClient
from cwconnect.sandbox import SandboxServer
from tests.garbled import ISOLATED, WAYS
from tests.support.raw_servers import LOOPBACK
from tests.support.sandboxes import start_sandbox

CONTACTS = "/company/contacts"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with start_sandbox(records={"contacts": 40}) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def client(sandbox: SandboxServer) -> Iterator[Client]:
    outbound_client = OutboundClient(LOOPBACK)
    yield Client(Credentials(sandbox.url, "acme", "PUB", "PRIV", "an-id"), outbound_client)
    outbound_client.close()


@pytest.fixture(autouse=True)
def _as_it_was(sandbox: SandboxServer) -> Iterator[None]:
    yield
    restore(sandbox)


def restore(sandbox: SandboxServer) -> None:
    store = sandbox.store
    store.garble("contacts", range(1, 41), None)
    store.show("contacts")
    store.largest_page, store.send_links = 1000, True
    store.clear_faults()
    store.clear_requests()


def read_all(client: Client, *, page_size: int = 1000) -> tuple[list[int], list[str]]:
    """Read a list to its end; give the ids read and what was left out."""
    read, left_out, after_id = [], [], 0
    for _ in range(100):
        page = client.page(CONTACTS, {"conditions": "id > 0"}, after_id=after_id, page_size=page_size)
        read += [record["id"] for record in page.records]
        left_out += page.skipped
        if page.is_last:
            return read, left_out
        assert page.last_id > after_id
        after_id = page.last_id
    raise AssertionError("it never ends")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("page_size", [1, 2, 3, 40, 1000])
@pytest.mark.parametrize("broken", [1, 17, 40])
def test_the_others_are_read_and_it_is_named_once(
    client: Client, sandbox: SandboxServer, way: str, page_size: int, broken: int
) -> None:
    sandbox.store.garble("contacts", [broken], WAYS[way])
    read, left_out = read_all(client, page_size=page_size)
    assert read == [number for number in range(1, 41) if number != broken]
    assert len(left_out) == 1
    assert f"record {broken} can't be read" in left_out[0] or "without an id" in left_out[0]


@given(
    st.dictionaries(st.integers(1, 40), st.sampled_from(sorted(WAYS.values())), max_size=8),
    st.integers(1, 50),
    st.sampled_from((1, 3, 1000)),
    st.booleans(),
)
@example({7: 'NaN,"id":999999', 8: 'NaN,"id":999999', 10: '"5'}, 6, 1, False)
@settings(max_examples=60)
def test_however_many_are_broken_every_other_record_is_read(
    client: Client, sandbox: SandboxServer, broken: dict[int, str], page_size: int, most: int, links: bool
) -> None:
    restore(sandbox)
    sandbox.store.largest_page, sandbox.store.send_links = (most, True) if links else (1000, False)
    for number, text in broken.items():
        sandbox.store.garble("contacts", [number], text)
    read, left_out = read_all(client, page_size=page_size)
    assert read == [number for number in range(1, 41) if number not in broken]
    nameless = {number for number in broken if not any(f"record {number} can't" in words for words in left_out)}
    kinds = {broken[number] for number in nameless}  # two of a page that show no id and break alike are one line
    assert len(kinds) <= len(left_out) - len(broken.keys() - nameless) <= len(nameless)


@pytest.mark.parametrize("way", ISOLATED)
@pytest.mark.parametrize("count", [1, 2, 3, 8, 40])
def test_one_of_many_costs_a_request_for_each_halving_and_three_more(
    client: Client, sandbox: SandboxServer, way: str, count: int
) -> None:
    sandbox.store.hide("contacts", range(count + 1, 41))
    for broken in sorted({*range(1, count + 1, max(1, count // 8)), count}):
        sandbox.store.garble("contacts", [broken], ISOLATED[way])
        sandbox.store.clear_requests()
        page = client.page(CONTACTS, {})
        assert len(sandbox.store.requests) == page.requests <= 3 + math.ceil(math.log2(count))
        assert page.skipped[0].startswith(f"record {broken} can't be read: ")
        assert "firstName" not in page.skipped[0]  # why, and nothing of what it holds
        sandbox.store.garble("contacts", [broken], None)


@pytest.mark.parametrize("way", WAYS)
def test_of_a_newest_record_that_cannot_be_read_the_id_is_known(
    client: Client, sandbox: SandboxServer, way: str
) -> None:
    sandbox.store.garble("contacts", [40], WAYS[way])
    page = client.newest(CONTACTS, "id,_info")
    assert (page.last_id, page.records, page.is_empty) == (40, [], False)
    assert page.date is not None
    assert client.newest_id(CONTACTS)[0] == 40


def test_a_page_that_is_sound_costs_one_request(client: Client, sandbox: SandboxServer) -> None:
    sandbox.store.garble("contacts", [3], "NaN")
    page = client.page(CONTACTS, {})
    assert (len(sandbox.store.requests), page.requests) == (1, 1)


def test_the_clock_of_a_page_is_that_before_its_first_record_was_read(client: Client, sandbox: SandboxServer) -> None:
    sandbox.store.garble("contacts", [30], ISOLATED["a text without an end"])
    before = client.page(CONTACTS, {"fields": "id"}).date
    stop = sandbox.store.on_request(lambda seen: setattr(sandbox.store, "clock_offset", sandbox.store.clock_offset + 9))
    try:
        page = client.page(CONTACTS, {})
    finally:
        stop()
        sandbox.store.clock_offset = 0
    assert page.date is not None
    assert before is not None
    assert (page.date - before).total_seconds() < 30


@pytest.mark.parametrize("cut", [True, False])
def test_an_answer_cut_off_by_the_way_loses_no_record(client: Client, sandbox: SandboxServer, *, cut: bool) -> None:
    """Neither is a record named that can be read, whichever of the requests is cut off."""
    if not cut:
        sandbox.store.garble("contacts", [17], ISOLATED["a quote within a text"])
    for skip in range(10):
        sandbox.store.fail_next(1, broken_json=True, skip=skip)
        read: list[int] = []
        left_out: list[str] = []
        while not left_out and len(read) < 40:
            try:
                page = client.page(CONTACTS, {}, after_id=read[-1] if read else 0)
            except BadAnswer:
                continue
            read += [record["id"] for record in page.records]
            left_out += page.skipped
        assert read == [*range(1, 41 if cut else 17)]
        assert [words[:9] for words in left_out] == ([] if cut else ["record 17"])
        sandbox.store.clear_faults()


@pytest.mark.parametrize("act", ["hide the broken one", "hide its neighbours", "mend it", "show more"])
@pytest.mark.parametrize("at", range(1, 10))
def test_rows_that_move_meanwhile_are_not_passed_over(
    client: Client, sandbox: SandboxServer, act: str, at: int
) -> None:
    store, seen = sandbox.store, []
    store.hide("contacts", range(5, 15))
    store.garble("contacts", [17], ISOLATED["a quote within a text"])

    def move(request: object) -> None:
        seen.append(request)
        if len(seen) != at:
            return
        if act == "mend it":
            store.garble("contacts", [17], None)
        elif act == "show more":
            store.show("contacts")
        else:
            store.hide("contacts", [17] if act == "hide the broken one" else [15, 16, 18])

    stop = store.on_request(move)
    try:
        read, left_out = _patiently(client)
    finally:
        stop()
    gone = {"hide the broken one": {17}, "hide its neighbours": {15, 16, 18}}.get(act, set())
    all_the_time = {*range(1, 5), *range(15, 41)} - gone - {17}
    assert all_the_time <= {*read}
    assert (17 in read) + len(left_out) == (17 not in gone) or act == "hide the broken one"


def _patiently(client: Client) -> tuple[list[int], list[str]]:
    try:
        return read_all(client)
    except BadAnswer:  # what has moved beneath the reader is asked for again
        return read_all(client)


def test_what_is_no_list_is_not_asked_for_in_pieces(client: Client, sandbox: SandboxServer) -> None:
    for body in ("<html>", '{"code":"x"}', "17", ""):
        sandbox.store.clear_requests()
        sandbox.store.fail_next(1, status=200, body=body)
        with pytest.raises(BadAnswer):
            client.page(CONTACTS, {})
        assert len(sandbox.store.requests) == 1


def test_a_list_of_records_without_ids_stays_a_bad_answer(client: Client, sandbox: SandboxServer) -> None:
    """It may be an error that is called 200: taken for an empty list, it would move the cursor."""
    sandbox.store.fail_next(5, status=200, body='[{"code":"x","message":"y"}]')
    with pytest.raises(BadAnswer):
        client.page(CONTACTS, {})
    assert len(sandbox.store.requests) == 2


@pytest.mark.parametrize("fault", [{"status": 429}, {"status": 500}, {"drop": True}])
def test_a_failure_while_it_is_isolated_is_that_failure(
    client: Client, sandbox: SandboxServer, fault: dict[str, object]
) -> None:
    sandbox.store.garble("contacts", [1], ISOLATED["a quote within a text"])
    sandbox.store.fail_next(2, skip=2, **fault)  # type: ignore[arg-type]  # the members of a fault
    with pytest.raises(ConnectWiseError) as caught:
        client.page(CONTACTS, {})
    assert not isinstance(caught.value, BadAnswer)


def test_a_line_that_breaks_meanwhile_leaves_what_was_read(client: Client, sandbox: SandboxServer) -> None:
    sandbox.store.garble("contacts", [40], ISOLATED["a quote within a text"])
    sandbox.store.fail_next(2, skip=3, drop=True)  # a line kept open is tried twice
    assert [record["id"] for record in client.page(CONTACTS, {}).records] == [*range(1, 21)]


def test_it_takes_no_longer_than_one_request_may(sandbox: SandboxServer) -> None:
    """The reader's lease lasts as long as one request may."""
    sandbox.store.garble("contacts", [1], ISOLATED["a quote within a text"])
    sandbox.store.fail_next(20, delay=0.4)
    outbound_client = OutboundClient(LOOPBACK)
    limits = CONNECTWISE_LIMITS.__class__(connect=1, read=1, total=1, body=10**6)
    client = Client(Credentials(sandbox.url, "acme", "PUB", "PRIV", "an-id"), outbound_client, limits=limits)
    with pytest.raises(Unreachable):
        client.page(CONTACTS, {})
    assert len(sandbox.store.requests) <= 4
    outbound_client.close()
