"""Both ways of paging, and the Link header of each."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cwconnect.sandbox import SandboxServer, Store
from tests.sandbox.caller import CONTACTS, Caller
from tests.support.sandboxes import start_sandbox

SINCE_2016 = "lastUpdated > [2016-08-20T18:04:26Z]"


def test_a_page_has_25_rows_unless_asked(caller: Caller) -> None:
    assert [record["id"] for record in caller.get().json] == [*range(1, 26)]


def test_more_than_1000_rows_a_page_are_capped_in_silence() -> None:
    with start_sandbox(records={"contacts": 1200}) as server, Caller(server) as caller:
        answer = caller.get(pageSize=5000, fields="id")
        assert (answer.status, len(answer.json)) == (200, 1000)


def test_links_of_numbered_pages_have_connectwises_shape(caller: Caller, sandbox: SandboxServer) -> None:
    link = caller.get(conditions=SINCE_2016, pageSize=10)
    base = f"{sandbox.url}/company/contacts?conditions=lastUpdated+%3e+%5b2016-08-20T18%3a04%3a26Z%5d&pageSize=10"
    assert link.headers["Link"] == f'<{base}&page=2>; rel="next", <{base}&page=3>; rel="last"'


def test_the_last_page_has_no_next(caller: Caller, sandbox: SandboxServer) -> None:
    answer = caller.get(pageSize=10, page=3)
    links = [("3", "last"), ("2", "prev"), ("1", "first")]
    base = f"{sandbox.url}/company/contacts?pageSize=10"
    assert answer.headers["Link"] == ", ".join(f'<{base}&page={page}>; rel="{relation}"' for page, relation in links)
    assert [record["id"] for record in answer.json] == [*range(21, 31)]


def test_past_the_end_is_an_empty_list(caller: Caller) -> None:
    answer = caller.get(page=99)
    assert (answer.status, answer.json) == (200, [])


def test_one_page_that_holds_all_has_no_link(caller: Caller) -> None:
    assert caller.get(pageSize=30).headers["Link"] is None


def test_forward_only_goes_on_after_an_id_while_there_is_more(caller: Caller, sandbox: SandboxServer) -> None:
    answer = caller.forward(10, pageSize=10)
    assert [record["id"] for record in answer.json] == [*range(11, 21)]
    assert answer.headers["Link"] == f'<{sandbox.url}/company/contacts?pageSize=10&pageId=20>; rel="next"'


def test_the_last_page_of_forward_only_has_a_link_without_a_word(caller: Caller, store: Store) -> None:
    """Real sites send one always, and a client of PowerShell gives up on a list without."""
    last, past = caller.forward(20, pageSize=10), caller.forward(30)
    assert (len(last.json), last.headers["Link"]) == (10, "")
    assert (past.json, past.headers["Link"]) == ([], "")
    assert caller.get(page=2).headers["Link"] is not None
    store.send_links = False
    assert caller.forward(20, pageSize=10).headers["Link"] is None


def test_forward_only_keeps_the_conditions_in_its_link(caller: Caller) -> None:
    link = caller.forward(conditions=SINCE_2016, pageSize=10).headers["Link"]
    query = parse_qs(urlsplit(link[1:].partition(">")[0]).query)
    assert query == {"conditions": [SINCE_2016], "pageSize": ["10"], "pageId": ["10"]}


def test_a_page_id_without_the_header_is_no_forward_only(caller: Caller) -> None:
    assert caller.get(pageId=10, pageSize=1).json[0]["id"] == 1


def test_link_may_name_another_host(caller: Caller, store: Store) -> None:
    store.link_host = "elsewhere.example"
    assert caller.get(pageSize=1).headers["Link"].startswith("<http://elsewhere.example/v4_6_release/")


@pytest.mark.parametrize("name", ["page", "pageSize"])
def test_a_page_that_is_no_number_is_refused(caller: Caller, name: str) -> None:
    assert caller.get(CONTACTS, None, **{name: "many"}).status == 400


@given(size=st.integers(1, 40), floor=st.integers(0, 31))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_forward_only_gives_each_row_once_whatever_the_page(caller: Caller, size: int, floor: int) -> None:
    pages = [*caller.pages(size, conditions=f"id > {floor}")]
    assert [number for page in pages for number in page] == [*range(floor + 1, 31)]


def test_rows_that_move_while_a_client_pages_are_neither_lost_nor_repeated(caller: Caller, store: Store) -> None:
    stop = store.on_request(lambda request: store.touch("contacts", 30) if "pageId" in request.query else None)
    assert [number for page in caller.pages(7) for number in page] == [*range(1, 31)]
    stop()


def test_numbered_pages_drift_when_a_row_is_deleted_between_them(caller: Caller, store: Store) -> None:
    first = [record["id"] for record in caller.get(pageSize=10).json]
    store.delete("contacts", 5)
    second = [record["id"] for record in caller.get(pageSize=10, page=2).json]
    assert first[-1] == 10
    assert second[0] == 12, "row 11 slipped into the first page"


def test_count_counts_what_meets_the_conditions(caller: Caller) -> None:
    assert caller.get(f"{CONTACTS}/count", conditions="id <= 7").json == {"count": 7}
