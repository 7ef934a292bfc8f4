"""What goes wrong with callbacks on request: each as cwconnect.sandbox.callbacks says it is asked for."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from cwconnect.sandbox import Store
from cwconnect.sandbox.callbacks import POISON, POISON_NUMBER, Callbacks
from tests.sandbox.caller import BASE, CONTACTS, Caller
from tests.sandbox.hooked import arrivals, entity, key_of, register, said, signed_by
from tests.support.receivers import Receiver

pytestmark = pytest.mark.usefixtures("registered")


@pytest.fixture
def registered(caller: Caller, receiver: Receiver) -> int:
    """A registration for contacts."""
    return register(caller, receiver)


@pytest.fixture
def callbacks(store: Store) -> Callbacks:
    return store.callbacks


def touched(caller: Caller, receiver: Receiver, *numbers: int) -> list[int]:
    """Touch these contacts; return those of which something came, in order."""
    for number in numbers:
        caller.server.store.touch("contacts", number)
    return [said(got)[2] for got in arrivals(caller, receiver)]


def test_the_next_can_be_dropped_after_some_that_are_not(
    caller: Caller, receiver: Receiver, callbacks: Callbacks
) -> None:
    callbacks.fail(2, skip=1, drop=True)
    assert touched(caller, receiver, 1, 2, 3, 4) == [1, 4]
    assert callbacks.summary()["counts"] == {"delivered": 2, "dropped": 2}


def test_a_share_can_be_dropped_until_it_is_called_off(
    caller: Caller, receiver: Receiver, callbacks: Callbacks
) -> None:
    callbacks.fail(None, share=0.5, drop=True)
    came = touched(caller, receiver, *range(1, 31), *range(1, 31))
    assert 15 < len(came) < 45
    caller.control("clear_callback_faults")
    assert touched(caller, receiver, 1, 2) == [*came, 1, 2]


@pytest.mark.parametrize("share", [0, -1, 1.5])
def test_a_share_is_one_of_one(callbacks: Callbacks, share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        callbacks.fail(None, share=share, drop=True)


def test_types_and_actions_can_be_chosen(caller: Caller, receiver: Receiver, store: Store) -> None:
    register(caller, receiver, "company")
    made = store.create("organizations")
    store.callbacks.fail(None, type="contact", action="deleted", drop=True)
    store.delete("contacts", 1)
    store.touch("contacts", 2)
    store.delete("organizations", made["id"])
    came = sorted(said(got) for got in arrivals(caller, receiver))
    assert came == [("company", "added", 1), ("company", "deleted", 1), ("contact", "updated", 2)]


@pytest.mark.parametrize("fresh", [False, True])
def test_one_can_come_several_times(caller: Caller, receiver: Receiver, callbacks: Callbacks, *, fresh: bool) -> None:
    callbacks.fail(duplicate=2, fresh_ids=fresh)
    assert touched(caller, receiver, 1, 2) == [1, 1, 1, 2]
    assert len({got.body for got in receiver.got[:3]}) == (3 if fresh else 1)


def test_one_can_be_late(caller: Caller, receiver: Receiver, callbacks: Callbacks) -> None:
    callbacks.fail(delay=0.2)
    began = time.monotonic()
    assert touched(caller, receiver, 1, 2) == [2, 1]
    assert time.monotonic() - began >= 0.2


def test_some_can_come_after_the_next_one_back_to_front(
    caller: Caller, receiver: Receiver, callbacks: Callbacks
) -> None:
    callbacks.fail(2, reorder=True, delay=0.3)
    assert touched(caller, receiver, 1, 2, 3, 4) == [3, 2, 1, 4]


def test_the_last_one_is_not_kept_for_ever(caller: Caller, receiver: Receiver, callbacks: Callbacks) -> None:
    callbacks.fail(reorder=True, delay=0.05)
    assert touched(caller, receiver, 1) == [1]


def test_one_can_come_before_its_change_can_be_read(caller: Caller, receiver: Receiver, store: Store) -> None:
    before = caller.get(f"{CONTACTS}/1").json
    store.callbacks.fail(3, early=60)
    store.change("contacts", 1, {"title": "Early"})
    made = caller.post(CONTACTS, {"firstName": "Quinn"}).json
    caller.send("DELETE", f"{BASE}{CONTACTS}/2")
    came = arrivals(caller, receiver)
    assert [said(got)[1:] for got in came] == [("updated", 1), ("added", made["id"]), ("deleted", 2)]
    assert entity(came[0])["title"] == "Early"
    assert caller.get(f"{CONTACTS}/1").json == before
    assert [caller.get(f"{CONTACTS}/{number}").status for number in (made["id"], 2)] == [404, 200]
    store.clock_offset = 61
    assert caller.get(f"{CONTACTS}/1").json["title"] == "Early"
    assert [caller.get(f"{CONTACTS}/{number}").status for number in (made["id"], 2)] == [200, 404]
    assert len(arrivals(caller, receiver)) == 3


def test_an_early_one_can_be_poisoned_too(caller: Caller, receiver: Receiver, callbacks: Callbacks) -> None:
    callbacks.fail(early=0.01, poison=True)
    assert touched(caller, receiver, 1, 2) == [1, 2]
    assert [POISON in got.json["Entity"] for got in receiver.got] == [True, False]


@pytest.mark.parametrize(("close", "came"), [("midway", [2]), ("after", [1, 2])])
def test_the_connection_can_be_closed_early(
    caller: Caller, receiver: Receiver, callbacks: Callbacks, close: str, came: list[int]
) -> None:
    callbacks.fail(close=close)
    touched(caller, receiver, 1, 2)
    end = time.monotonic() + 10
    while len(receiver.got) < len(came) and time.monotonic() < end:
        time.sleep(0.01)
    assert sorted(said(got)[2] for got in receiver.got) == came
    assert [(made.status, made.outcome) for made in callbacks.attempts] == [(0, "lost"), (204, "delivered")]


def test_one_can_be_signed_with_anothers_key_under_our_name(
    caller: Caller, receiver: Receiver, callbacks: Callbacks
) -> None:
    callbacks.fail(sign_with="Neighbour")
    touched(caller, receiver, 1, 2)
    forged, fine = receiver.got
    assert key_of(caller, forged) == key_of(caller, fine) == callbacks.keyring.current("acme").key
    assert (signed_by(key_of(caller, forged), forged), signed_by(key_of(caller, fine), fine)) == (False, True)
    assert signed_by(callbacks.keyring.current("Neighbour").key, forged)


def test_one_can_be_signed_by_another_company_in_its_own_name(
    caller: Caller, receiver: Receiver, callbacks: Callbacks
) -> None:
    callbacks.fail(sign_as="Neighbour", members={"CompanyId": "Neighbour"})
    touched(caller, receiver, 1)
    (got,) = receiver.got
    assert "companyName=Neighbour&" in got.json["Metadata"]["key_url"]
    assert (got.json["CompanyId"], signed_by(key_of(caller, got), got)) == ("Neighbour", True)
    assert key_of(caller, got) != callbacks.keyring.current("acme").key


def test_one_can_hold_bytes_that_are_no_utf8(caller: Caller, receiver: Receiver, callbacks: Callbacks) -> None:
    callbacks.fail(2, invalid_utf8=True)
    caller.server.store.touch("contacts", 1)
    caller.server.store.delete("contacts", 1)
    for got in arrivals(caller, receiver):
        with pytest.raises(UnicodeDecodeError):
            got.body.decode()
        assert json.loads(got.body.decode("utf-8", "replace"))["ID"] == 1
        assert signed_by(key_of(caller, got), got)


def test_a_body_can_be_poisoned(caller: Caller, receiver: Receiver, callbacks: Callbacks) -> None:
    callbacks.fail(poison=True)
    touched(caller, receiver, 1)
    (got,) = receiver.got
    record, real = entity(got), caller.get(f"{CONTACTS}/1").json
    assert signed_by(key_of(caller, got), got)
    assert (record.keys(), record["id"]) == (real.keys(), 1)
    assert not set(leaves({**record, "id": None})) & set(leaves({**real, "id": None}))
    assert set(leaves({**record, "id": None})) >= {POISON_NUMBER, f"{POISON} title"}


def test_every_body_can_be_poisoned_whatever_else_goes_wrong(
    caller: Caller, receiver: Receiver, callbacks: Callbacks
) -> None:
    callbacks.settings.poison = True
    callbacks.fail(duplicate=1)
    callbacks.fail(delay=0.01)
    callbacks.fail(early=0.01)
    assert len(touched(caller, receiver, 1, 2, 3, 4)) == 5
    assert all(POISON in got.json["Entity"] for got in receiver.got)


def leaves(value: Any) -> list[Any]:
    """Return all texts and numbers within a value."""
    if isinstance(value, dict):
        return [leaf for member in value.values() for leaf in leaves(member)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [] if isinstance(value, bool) or value is None else [value]


def test_members_can_be_given(caller: Caller, receiver: Receiver, callbacks: Callbacks) -> None:
    callbacks.fail(members={"Action": "merged", "CallbackObjectRecId": 99})
    touched(caller, receiver, 1)
    (got,) = receiver.got
    assert (got.json["Action"], got.json["CallbackObjectRecId"], got.json["ID"]) == ("merged", 99, 1)
    assert signed_by(key_of(caller, got), got)


@pytest.mark.parametrize(
    ("operation", "members"), [("fail_callbacks", {"drop": True}), ("fail_callbacks", {"n": None, "drop": True})]
)
def test_they_are_asked_for_over_http_too(
    caller: Caller, receiver: Receiver, operation: str, members: dict[str, object]
) -> None:
    assert caller.control(operation, **members).status == 200
    assert touched(caller, receiver, 1) == []
    shown = caller.send("GET", "/_sandbox/callbacks").json
    assert (shown["counts"], shown["latest"][0]["outcome"]) == ({"dropped": 1}, "dropped")


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("fail_callbacks", {"colour": "red"}),
        ("fail_callbacks", {"share": 2}),
        ("fail_callbacks", {"close": "sideways"}),
        ("settings", {"callback_hold": "yes"}),
        ("settings", {"callback_repeat_after": 2}),
    ],
)
def test_what_can_not_be_asked_for_is_refused(caller: Caller, operation: str, members: dict[str, object]) -> None:
    answer = caller.control(operation, **members)
    assert (answer.status, bool(answer.json["message"])) == (400, True)


def test_each_setting_is_shown_and_set(caller: Caller, callbacks: Callbacks) -> None:
    given: dict[str, object] = {
        "callback_timeout": 1.5,
        "callback_repeat_after": [1],
        "callback_switch_off_after": 3,
        "callback_most_waiting": 5,
        "callback_via": "http://127.0.0.1:1",
        "callback_site": "https://na.sandbox.example",
        "callback_hold": True,
        "callback_key_needs_login": True,
        "callback_fresh_message_ids": True,
        "callback_poison": True,
    }
    assert caller.control("settings", **given).status == 200
    shown = caller.send("GET", "/_sandbox/").json["settings"]
    assert {name: value for name, value in shown.items() if name.startswith("callback_")} == given
    assert {f"callback_{name}": value for name, value in vars(callbacks.settings).items()} == given
