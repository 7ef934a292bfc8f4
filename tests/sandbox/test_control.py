"""What a test does to the sandbox, in-process and over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from cwconnect.sandbox import SandboxServer, Store
from cwconnect.sandbox.errors import UnknownListError
from tests.sandbox.caller import BASE, CONTACTS, Caller
from tests.support.sandboxes import start_sandbox

OLD = "2017-03-04T05:06:07Z"


def test_a_created_record_is_realistic_with_the_fields_given(caller: Caller, store: Store) -> None:
    made = store.create("/company/contacts", {"firstName": "Zoë"}, stamp=OLD)
    assert caller.get(f"{CONTACTS}/31").json == made
    assert (made["firstName"], made["_info"]["lastUpdated"]) == ("Zoë", OLD)
    assert len(made) > 15


def test_several_changes_in_one_second_share_a_stamp() -> None:
    now = datetime(2026, 5, 4, 12, 0, 0, 1000, tzinfo=UTC)
    with start_sandbox(clock=lambda: now) as server:
        stamps = {server.store.change("contacts", 3, {"title": str(n)})["_info"]["lastUpdated"] for n in range(3)}
        assert stamps == {"2026-05-04T12:00:00Z"}
        record = server.store.get("contacts", 3)
    assert record is not None
    assert record["title"] == "2"


def test_a_touch_moves_the_stamp_and_nothing_else(store: Store) -> None:
    before, after = store.get("contacts", 3), store.touch("contacts", 3)
    assert before is not None
    assert before["_info"].pop("lastUpdated") < after["_info"].pop("lastUpdated")
    assert before == after


def test_a_change_can_become_visible_late_with_an_older_stamp(caller: Caller, store: Store) -> None:
    store.change("contacts", 3, {"title": "Late"}, stamp=OLD, visible_after=60)
    assert caller.get(f"{CONTACTS}/3").json["title"] != "Late"
    store.clock_offset = 61
    record = caller.get(f"{CONTACTS}/3").json
    assert (record["title"], record["_info"]["lastUpdated"]) == ("Late", OLD)


def test_a_late_change_has_the_stamp_of_when_it_was_made(caller: Caller, store: Store) -> None:
    made = store.now()
    store.change("contacts", 3, {"title": "Late"}, visible_after=timedelta(seconds=60))
    store.clock_offset = 3600
    stamp = datetime.fromisoformat(caller.get(f"{CONTACTS}/3").json["_info"]["lastUpdated"])
    assert made <= stamp.timestamp() <= made + 5


def test_a_created_record_can_become_visible_after_later_ids(store: Store) -> None:
    late, early = store.create("contacts", visible_after=3600), store.create("contacts")
    assert (late["id"], early["id"]) == (31, 32)
    assert store.ids("contacts")[-2:] == [30, 32]
    store.reveal()
    assert store.ids("contacts")[-3:] == [30, 31, 32]


def test_a_deleted_record_stays_away_when_its_late_change_comes(store: Store) -> None:
    store.change("contacts", 3, {"title": "Late"}, visible_after=3600)
    store.delete("contacts", 3)
    store.reveal()
    assert store.get("contacts", 3) is None


def test_members_can_be_null_or_left_out(caller: Caller, store: Store) -> None:
    store.change("contacts", 3, {"title": None}, remove=["site", "company/name", "nothing/here"])
    record = caller.get(f"{CONTACTS}/3").json
    assert record["title"] is None
    assert "site" not in record
    assert "name" not in record["company"]


def test_what_is_not_there_is_an_error_for_the_one_who_asks(store: Store) -> None:
    with pytest.raises(LookupError, match="Contact 99 not found"):
        store.change("contacts", 99, {})
    with pytest.raises(LookupError):
        store.delete("contacts", 99)
    with pytest.raises(UnknownListError):
        store.ids("nothing")
    with pytest.raises(UnknownListError):
        Store({"nothing": 3})


def test_the_date_header_is_connectwises_clock(caller: Caller, store: Store) -> None:
    store.clock_offset = -7200
    date = parsedate_to_datetime(caller.get().headers["Date"])
    assert abs((datetime.now(UTC) - date) - timedelta(hours=2)) < timedelta(seconds=5)
    stamp = datetime.fromisoformat(store.touch("contacts", 1)["_info"]["lastUpdated"])
    assert abs(stamp - date) < timedelta(seconds=5)
    store.date_offset = 86400
    assert parsedate_to_datetime(caller.get().headers["Date"]) - date > timedelta(hours=23)


def test_the_date_header_can_be_left_out(caller: Caller, store: Store) -> None:
    store.send_date_header = False
    assert caller.get().headers["Date"] is None


def test_stamps_can_be_concealed_though_conditions_go_by_them(caller: Caller, store: Store) -> None:
    store.conceal_stamps("contacts", [1])
    store.touch("contacts", 1, stamp="2062-01-01T00:00:00Z")
    (found,) = caller.get(conditions="lastUpdated > [2061-01-01T00:00:00Z]").json
    assert (found["id"], "lastUpdated" in found["_info"]) == (1, False)
    assert "lastUpdated" not in caller.get(f"{CONTACTS}/1").json["_info"]
    store.conceal_stamps("contacts", [1], concealed=False)
    assert caller.get(f"{CONTACTS}/1").json["_info"]["lastUpdated"].startswith("2062")


def test_records_can_be_no_json_though_their_ids_are(caller: Caller, store: Store) -> None:
    store.garble("contacts", [2], '"5" pipe"')
    body = caller.get(pageSize=3).body
    assert (b'"garbled":"5" pipe"}' in body, body.count(b'"garbled"')) == (True, 1)
    assert b'"garbled":"5" pipe"}' in caller.get(f"{CONTACTS}/2").body
    assert [record["id"] for record in caller.get(fields="id", pageSize=3).json] == [1, 2, 3]
    assert b'"garbled"' in caller.get(fields="id,title", pageSize=3).body
    store.garble("contacts", [2], None)
    assert len(caller.get(pageSize=3).json) == 3


def test_a_site_can_cap_its_pages_name_no_next_and_write_no_clean_json(caller: Caller, store: Store) -> None:
    store.largest_page = 3
    reply = caller.get(pageSize=10)
    assert (len(reply.json), 'rel="next"' in (reply.headers["Link"] or "")) == (3, True)
    store.send_links = False
    assert caller.get(pageSize=10).headers["Link"] is None
    store.change("contacts", 1, {"title": "Chief\x01"})
    assert b"Chief\\u0001" in caller.get().body
    store.raw_controls = True
    assert b"Chief\x01" in caller.get().body


def test_a_hook_sees_each_request_before_its_answer(caller: Caller, store: Store) -> None:
    stop = store.on_request(lambda seen: store.change("contacts", 1, {"title": seen.query["page"]}))
    assert caller.get(page=1, pageSize=1).json[0]["title"] == "1"
    stop()
    caller.get(page=2)
    assert (store.get("contacts", 1) or {})["title"] == "1"
    assert len(store.requests) == 2
    store.clear_requests()
    assert store.requests == []


def test_the_control_api_creates_changes_and_deletes(caller: Caller) -> None:
    made = caller.control("create", list="contacts", fields={"firstName": "Zoë"}, stamp=OLD).json["result"]
    number = made["id"]
    assert caller.control("get", list="contacts", id=number).json["result"] == made
    caller.control("change", list="contacts", id=number, fields={"title": "Owner"}, stamp=OLD)
    caller.control("touch", list="/company/contacts", id=number)
    record = caller.get(f"{CONTACTS}/{number}").json
    assert record["title"] == "Owner"
    assert record["_info"]["lastUpdated"] > OLD
    assert caller.control("delete", list="contacts", id=number).json == {"result": None}
    assert number not in caller.control("ids", list="contacts").json["result"]


def test_the_control_api_sets_faults_roles_keys_and_clock(caller: Caller, store: Store) -> None:
    caller.control("fail_next", n=1, status=503)
    assert caller.get().status == 503
    caller.control("forbid", list="contacts")
    assert caller.get().status == 403
    caller.control("allow", list="contacts")
    caller.control("hide", list="contacts", ids=[1])
    assert caller.get(f"{CONTACTS}/1").status == 404
    caller.control("settings", clock_offset=60, send_date_header=False, changes_per_minute=0)
    assert (store.clock_offset, store.send_date_header) == (60, False)
    caller.control("set_keys", public="A", private="B")
    assert caller.get().status == 401


def test_the_control_api_shows_its_state_and_the_requests(caller: Caller, sandbox: SandboxServer) -> None:
    caller.get(pageSize=2)
    state = caller.send("GET", "/_sandbox/").json
    assert state["lists"]["contacts"] == 30
    assert state["settings"]["changes_per_minute"] == 0
    requests = caller.send("GET", "/_sandbox/requests").json
    assert requests == [{"method": "GET", "path": BASE + CONTACTS, "query": {"pageSize": "2"}}]
    assert sandbox.control_url.endswith("/_sandbox")


@pytest.mark.parametrize(
    ("operation", "members", "status"),
    [
        ("nothing", {}, 404),
        ("_stamp", {}, 404),
        ("ids", {"list": "nothing"}, 404),
        ("delete", {"list": "contacts", "id": 99}, 404),
        ("create", {"colour": "red"}, 400),
        ("create", {"list": "contacts", "stamp": "yesterday"}, 400),
        ("settings", {"send_date_header": "no"}, 400),
        ("settings", {"lock": 1}, 400),
    ],
)
def test_the_control_api_says_what_it_can_not_do(
    caller: Caller, operation: str, members: dict[str, object], status: int
) -> None:
    answer = caller.control(operation, **members)
    assert answer.status == status
    assert answer.json["message"]


def test_the_control_api_wants_an_object(caller: Caller) -> None:
    assert caller.send("POST", "/_sandbox/ids", b"[]").status == 400
    assert caller.send("POST", "/_sandbox/ids", b"{").status == 400
    assert caller.send("DELETE", "/_sandbox/ids").status == 405
    assert caller.send("GET", "/_sandbox/nothing").status == 404
