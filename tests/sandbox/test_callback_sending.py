"""What is sent, to whom, when, and what becomes of it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import pytest

from cwconnect.sandbox import Store
from cwconnect.sandbox.callbacks import Callbacks
from cwconnect.sandbox.callbacks.entries import TYPES
from tests.sandbox.caller import BASE, CONTACTS, Caller
from tests.sandbox.hooked import arrivals, entity, key_of, query, register, said, signed_by
from tests.support.receivers import Got, Receiver
from tests.support.sandboxes import start_sandbox


@pytest.fixture
def callbacks(store: Store) -> Callbacks:
    """With repeats that take no time."""
    store.callbacks.settings.repeat_after = (0.01, 0.02)
    return store.callbacks


def outcomes(callbacks: Callbacks) -> list[tuple[int, int, str]]:
    """Return number, status and outcome of each attempt."""
    return [(made.number, made.status, made.outcome) for made in callbacks.attempts]


def answering(*statuses: int, seconds: float = 0) -> Callable[[Got], tuple[int, dict[str, str]]]:
    """Return what answers with these, in turn, and then with the last; each after so many seconds."""
    left = list(statuses)

    def answer(_got: Got) -> tuple[int, dict[str, str]]:
        time.sleep(seconds)
        return (left.pop(0) if len(left) > 1 else left[0]), {}

    return answer


def test_a_callback_has_the_recorded_shape(caller: Caller, receiver: Receiver, store: Store) -> None:
    number = register(caller, receiver)
    record = store.change("contacts", 17, {"title": "Owner"})
    (got,) = arrivals(caller, receiver)
    site, member = f"127.0.0.1:{caller.server.port}", record["_info"]["updatedBy"]
    key_id = store.callbacks.keyring.current("acme").id
    assert got.target == f"/c/contact?recordId=17&action=updated&memberId={member}"
    assert entity(got) == record
    assert str(uuid.UUID(got.json["MessageId"])) == got.json["MessageId"]
    assert got.json == {
        "Action": "updated",
        "CallbackObjectRecId": number,
        "CompanyId": "acme",
        "Entity": got.json["Entity"],
        "FromUrl": site,
        "ID": 17,
        "MemberId": member,
        "MessageId": got.json["MessageId"],
        "Metadata": {
            "key_url": f"http://{site}/v2025_1//system/callbackkey/index.rails?companyName=acme&id={key_id}",
        },
        "PartnerId": got.json["PartnerId"],
        "ProductInstanceId": got.json["ProductInstanceId"],
        "Type": "contact",
    }


def test_a_callback_is_signed_with_the_key_it_names(caller: Caller, receiver: Receiver, store: Store) -> None:
    register(caller, receiver)
    store.touch("contacts", 1)
    arrivals(caller, receiver)
    store.callbacks.rotate_key()
    store.touch("contacts", 2)
    before, after = arrivals(caller, receiver)
    assert signed_by(key_of(caller, before), before)
    assert signed_by(key_of(caller, after), after)
    assert key_of(caller, before) != key_of(caller, after)


def test_it_names_the_sandbox_as_the_one_who_registered_reached_it(
    caller: Caller, receiver: Receiver, store: Store
) -> None:
    named = caller.send(
        "POST",
        f"{BASE}/system/callbacks",
        {"url": f"{receiver.url}/?recordId=", "objectId": 1, "type": "contact", "level": "owner"},
        {"Host": "na.sandbox.example"},
    )
    assert named.status == 201
    store.touch("contacts", 1)
    store.callbacks.settings.site = "https://api-na.sandbox.example"
    store.touch("contacts", 1)
    first, second = arrivals(caller, receiver)
    assert first.json["FromUrl"] == "na.sandbox.example"
    assert first.json["Metadata"]["key_url"].startswith("http://na.sandbox.example/v2025_1//system/callbackkey/")
    assert second.json["Metadata"]["key_url"].startswith("https://api-na.sandbox.example/v2025_1//system/")


@pytest.mark.parametrize("path", [*TYPES, "/marketing/campaigns", "/procurement/products"])
def test_each_list_with_a_type_announces_what_is_added_updated_and_deleted(receiver: Receiver, path: str) -> None:
    with start_sandbox(records={}, extra_paths=["/procurement/catalog"]) as server, Caller(server) as caller:
        for kind in sorted(set(TYPES.values())):
            register(caller, receiver, kind)
        made = server.store.create(path, {"chargeToType": "Activity"})
        server.store.touch(path, made["id"])
        server.store.delete(path, made["id"])
        came = [said(got) for got in arrivals(caller, receiver)]
        entities = [got.json["Entity"] is None for got in receiver.got]
    kind = TYPES.get(path, "")
    assert came == ([(kind, action, 1) for action in ("added", "updated", "deleted")] if kind else [])
    assert entities == ([False, False, True] if kind else [])


def test_writes_by_rest_are_announced(caller: Caller, receiver: Receiver) -> None:
    register(caller, receiver)
    number = caller.post(CONTACTS, {"firstName": "Quinn"}).json["id"]
    caller.patch(f"{CONTACTS}/{number}", {"op": "replace", "path": "title", "value": "Owner"})
    caller.send("PUT", f"{BASE}{CONTACTS}/{number}", {"firstName": "Only"})
    caller.send("DELETE", f"{BASE}{CONTACTS}/{number}")
    caller.patch(f"{CONTACTS}/1", {"op": "replace", "path": "id", "value": 2})
    came = arrivals(caller, receiver)
    assert [said(got)[1:] for got in came] == [(what, 31) for what in ("added", "updated", "updated", "deleted")]
    assert {got.json["MemberId"] for got in came} == {"api"}
    assert (entity(came[1])["title"], entity(came[2])["firstName"]) == ("Owner", "Only")


def test_changes_by_themselves_and_by_control_are_announced(caller: Caller, receiver: Receiver) -> None:
    register(caller, receiver)
    for _ in range(20):
        caller.server.changer.change_something()
    caller.control("touch", list="contacts", id=caller.server.store.ids("contacts")[0])
    assert len(arrivals(caller, receiver)) == 21


def test_ones_own_writes_are_not_announced_where_that_is_asked(caller: Caller, receiver: Receiver) -> None:
    register(caller, receiver, isSelfSuppressedFlag=True)
    caller.patch(f"{CONTACTS}/1", {"op": "replace", "path": "title", "value": "Owner"})
    caller.server.store.touch("contacts", 2)
    assert [said(got)[2] for got in arrivals(caller, receiver)] == [2]


def test_one_record_can_be_listened_to(caller: Caller, receiver: Receiver, store: Store) -> None:
    register(caller, receiver, level="contact", objectId=2)
    store.touch("contacts", 1)
    store.touch("contacts", 2)
    assert [said(got)[2] for got in arrivals(caller, receiver)] == [2]


def test_those_switched_off_and_removed_hear_nothing(caller: Caller, receiver: Receiver, store: Store) -> None:
    number = register(caller, receiver)
    store.change("callbacks", number, {"inactiveFlag": True})
    store.touch("contacts", 1)
    caller.patch(f"/system/callbacks/{number}", {"op": "replace", "path": "inactiveFlag", "value": False})
    store.touch("contacts", 2)
    arrivals(caller, receiver)
    caller.send("DELETE", f"{BASE}/system/callbacks/{number}")
    store.touch("contacts", 3)
    assert [said(got)[2] for got in arrivals(caller, receiver)] == [2]


@pytest.mark.parametrize(
    ("tickets", "charged"), [("/service/tickets", "ServiceTicket"), ("/project/tickets", "ProjectTicket")]
)
def test_notes_and_time_entries_announce_the_ticket_that_stands_still(
    receiver: Receiver, tickets: str, charged: str
) -> None:
    with start_sandbox(records={tickets: 3}) as server, Caller(server) as caller:
        register(caller, receiver, "ticket")
        before = server.store.get(tickets, 2)
        server.store.add_note(tickets, 2)
        note = caller.post(f"{tickets}/2/notes", {"text": "By REST"}).json
        caller.patch(f"{tickets}/2/notes/{note['id']}", {"op": "replace", "path": "text", "value": "Again"})
        entry = server.store.create("time-entries", {"chargeToType": charged, "chargeToId": 2})
        server.store.delete("time-entries", entry["id"])
        came = arrivals(caller, receiver)
        assert [note["text"] for note in caller.get(f"{tickets}/2/notes").json][-2:] == ["A note", "Again"]
    assert [said(got) for got in came] == [("ticket", "updated", 2)] * 5
    assert {entity(got)["recordType"] for got in came} == {charged}
    assert [entity(got) for got in came] == [before] * 5


def test_a_ticket_that_is_not_there_has_no_notes(caller: Caller, receiver: Receiver, store: Store) -> None:
    register(caller, receiver, "ticket")
    assert caller.post("/service/tickets/9/notes", {"text": "x"}).status == 404
    with pytest.raises(LookupError):
        store.add_note("incidents", 9)
    store.create("time-entries", {"chargeToType": "ServiceTicket", "chargeToId": 9})
    assert arrivals(caller, receiver) == []


def test_what_becomes_visible_late_is_announced_then_though_nobody_reads(
    caller: Caller, receiver: Receiver, store: Store
) -> None:
    register(caller, receiver)
    store.change("contacts", 1, {"title": "Late"}, visible_after=0.2)
    store.create("contacts", visible_after=3600)
    assert arrivals(caller, receiver) == []
    end = time.monotonic() + 10
    while not receiver.got and time.monotonic() < end:
        time.sleep(0.02)
    store.reveal()
    came = arrivals(caller, receiver)
    assert [said(got)[1:] for got in came] == [("updated", 1), ("added", 31)]
    assert entity(came[0])["title"] == "Late"


@pytest.mark.parametrize("status", [404, 409, 419, 429])
def test_these_answers_are_tried_again_twice_and_then_it_is_lost(
    caller: Caller, receiver: Receiver, callbacks: Callbacks, status: int
) -> None:
    register(caller, receiver)
    receiver.answer = answering(status)
    caller.server.store.touch("contacts", 1)
    came = arrivals(caller, receiver)
    assert outcomes(callbacks) == [(0, status, "repeated"), (1, status, "repeated"), (2, status, "lost")]
    assert {got.body for got in came} == {came[0].body}


@pytest.mark.parametrize("status", [301, 400, 401, 403, 410, 500, 503])
def test_after_any_other_answer_it_is_lost_at_once(
    caller: Caller, receiver: Receiver, callbacks: Callbacks, status: int
) -> None:
    register(caller, receiver)
    receiver.answer = answering(status)
    caller.server.store.touch("contacts", 1)
    assert len(arrivals(caller, receiver)) == 1
    assert outcomes(callbacks) == [(0, status, "lost")]


def test_a_repeat_may_have_a_message_id_of_its_own(caller: Caller, receiver: Receiver, callbacks: Callbacks) -> None:
    register(caller, receiver)
    callbacks.settings.fresh_message_ids = True
    receiver.answer = answering(429, 202)
    caller.server.store.touch("contacts", 1)
    assert len({got.json["MessageId"] for got in arrivals(caller, receiver)}) == 2
    assert outcomes(callbacks) == [(0, 429, "repeated"), (1, 202, "delivered")]


def test_the_waits_are_those_of_the_guide() -> None:
    with start_sandbox() as server:
        settings = server.store.callbacks.settings
        assert (settings.timeout, settings.repeat_after) == (5.0, (2.0, 4.0))


def test_a_receiver_that_hangs_or_is_away_costs_the_callback(
    caller: Caller, receiver: Receiver, callbacks: Callbacks
) -> None:
    callbacks.settings.timeout = 0.1
    receiver.answer = answering(200, seconds=0.3)
    register(caller, receiver)
    caller.server.store.touch("contacts", 1)
    assert callbacks.wait_idle(10)
    caller.server.store.change("callbacks", 1, {"url": "http://127.0.0.1:9/?recordId="})
    caller.server.store.touch("contacts", 1)
    assert callbacks.wait_idle(10)
    assert outcomes(callbacks) == [(0, 0, "lost")] * 2


def test_losses_in_a_row_switch_a_registration_off(caller: Caller, receiver: Receiver, callbacks: Callbacks) -> None:
    number = register(caller, receiver)
    caller.control("settings", callback_switch_off_after=2)
    receiver.answer = answering(500, 200, 500, 500)
    for _ in range(5):
        caller.server.store.touch("contacts", 1)
    sent = len(arrivals(caller, receiver))
    caller.server.store.touch("contacts", 1)
    assert len(arrivals(caller, receiver)) == sent
    assert caller.get(f"/system/callbacks/{number}").json["inactiveFlag"] is True
    assert outcomes(callbacks)[:4] == [(0, 500, "lost"), (0, 200, "delivered"), (0, 500, "lost"), (0, 500, "lost")]
    caller.patch(f"/system/callbacks/{number}", {"op": "replace", "path": "inactiveFlag", "value": False})
    caller.server.store.touch("contacts", 1)
    assert callbacks.wait_idle(10)
    assert caller.get(f"/system/callbacks/{number}").json["inactiveFlag"] is False


def test_what_does_not_fit_is_lost(caller: Caller, receiver: Receiver, callbacks: Callbacks) -> None:
    register(caller, receiver)
    callbacks.settings.most_waiting = 0
    caller.server.store.touch("contacts", 1)
    assert arrivals(caller, receiver) == []
    assert outcomes(callbacks) == [(0, 0, "overflowed")]


def test_callbacks_can_be_held_and_brought_by_the_test(caller: Caller, receiver: Receiver, store: Store) -> None:
    register(caller, receiver)
    store.callbacks.settings.hold = True
    for number in (1, 2):
        store.touch("contacts", number)
    first, second = store.callbacks.take_held()
    assert first.url.startswith(f"{receiver.url}/c/contact?recordId=1&action=updated&")
    assert b'"ID":2' in second.body
    assert (store.callbacks.take_held(), receiver.got) == ([], [])
    store.touch("contacts", 3)
    caller.control("release_callbacks")
    assert [said(got)[2] for got in arrivals(caller, receiver)] == [3]


def test_it_can_connect_to_what_stands_behind_the_registered_name(receiver: Receiver) -> None:
    with start_sandbox(callbacks_via=receiver.url) as server, Caller(server) as caller:
        register(caller, receiver, url="https://hooks.example/c/1?recordId=")
        server.store.touch("contacts", 1)
        (got,) = arrivals(caller, receiver)
    assert (got.headers["host"], got.headers["x-forwarded-proto"]) == ("hooks.example", "https")
    assert query(got)["recordId"] == ["1"]


def test_many_go_out_quickly_in_order_over_one_connection(caller: Caller, receiver: Receiver, store: Store) -> None:
    register(caller, receiver)
    began = time.monotonic()
    for number in range(200):
        store.touch("contacts", 1 + number % 30)
    came = arrivals(caller, receiver)
    assert time.monotonic() - began < 10
    assert [got.json["ID"] for got in came] == [1 + number % 30 for number in range(200)]
    assert len({got.peer for got in came}) == 1


def test_a_receiver_that_closes_idle_connections_loses_nothing(
    caller: Caller, receiver: Receiver, store: Store
) -> None:
    register(caller, receiver)
    receiver.answer = lambda _got: (200, {"Connection": "close"})
    for number in (1, 2, 3):
        store.touch("contacts", number)
    assert len({got.peer for got in arrivals(caller, receiver)}) == 3
    assert store.callbacks.summary()["counts"] == {"delivered": 3}


def test_stopping_waits_for_no_receiver(receiver: Receiver) -> None:
    receiver.answer = answering(200, seconds=4)
    with start_sandbox() as server, Caller(server) as caller:
        register(caller, receiver)
        server.store.touch("contacts", 1)
        while not receiver.got:
            time.sleep(0.01)
        began = time.monotonic()
        server.store.callbacks.stop()
        assert time.monotonic() - began < 3
