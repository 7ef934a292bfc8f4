"""Faults on order."""

from __future__ import annotations

import http.client
import json
import time

import pytest

from cwconnect.sandbox import SandboxServer, Store
from cwconnect.sandbox.limits import RateLimit
from tests.sandbox.caller import BASE, CONTACTS, Caller
from tests.support.sandboxes import start_sandbox


def test_a_429_says_how_long_to_wait(caller: Caller, store: Store) -> None:
    store.fail_next(1, status=429)
    answer = caller.get()
    assert (answer.status, answer.headers["Retry-After"]) == (429, "30")
    assert answer.json == {
        "error": "ConnectWiseAPI",
        "message": "Too many requests. Please try again in 30 seconds.",
    }
    assert caller.get().status == 200


def test_headers_can_be_given(caller: Caller, store: Store) -> None:
    store.fail_next(1, status=429, headers={"Retry-After": "2", "X-Odd": "yes"})
    answer = caller.get()
    assert (answer.headers.get_all("Retry-After"), answer.headers["X-Odd"]) == (["2"], "yes")


@pytest.mark.parametrize(("status", "words"), [(500, b"Query read timeout"), (503, b"<html>"), (401, b"Incorrect")])
def test_a_status_brings_its_usual_body(caller: Caller, store: Store, status: int, words: bytes) -> None:
    store.fail_next(1, status=status)
    answer = caller.get()
    assert answer.status == status
    assert words in answer.body


@pytest.mark.parametrize(
    ("body", "sent"), [("plain", b"plain"), (b"\xff\x00", b"\xff\x00"), ({"a": 1}, b'{"a":1}'), ([], b"[]")]
)
def test_a_body_can_be_given(caller: Caller, store: Store, body: object, sent: bytes) -> None:
    store.fail_next(1, body=body)
    answer = caller.get()
    assert (answer.status, answer.body) == (200, sent)


def test_only_the_next_n_requests_of_a_path_fail_after_those_skipped(caller: Caller, store: Store) -> None:
    store.fail_next(2, status=500, path="incidents", skip=1)
    assert [caller.get("/service/tickets").status for _ in range(4)] == [200, 500, 500, 200]
    store.fail_next(1, status=500, path="/count")
    assert [caller.get().status, caller.get(f"{CONTACTS}/count").status] == [200, 500]


def test_faults_can_be_called_off(caller: Caller, store: Store) -> None:
    store.fail_next(9, status=500)
    store.clear_faults()
    assert caller.get().status == 200


def test_a_delayed_answer_is_late_but_right(caller: Caller, store: Store) -> None:
    store.fail_next(1, delay=0.2)
    began = time.monotonic()
    assert caller.get().status == 200
    assert time.monotonic() - began >= 0.2


def test_a_dropped_connection_answers_nothing_and_does_nothing(caller: Caller, store: Store) -> None:
    store.fail_next(1, drop=True)
    with pytest.raises(http.client.RemoteDisconnected):
        caller.post(CONTACTS, {"firstName": "Quinn"})
    caller.close()
    assert len(store.ids("contacts")) == 30


def test_a_connection_dropped_midway_ends_inside_the_body(caller: Caller, store: Store) -> None:
    store.fail_next(1, drop="midway")
    with pytest.raises(http.client.IncompleteRead):
        caller.get()
    caller.close()
    assert caller.get().status == 200


def test_broken_json_comes_whole_and_can_not_be_read(caller: Caller, store: Store) -> None:
    store.fail_next(1, broken_json=True)
    answer = caller.get()
    assert answer.status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.body)


def test_a_refused_write_has_no_effect(caller: Caller, store: Store) -> None:
    store.fail_next(1, status=500)
    assert caller.send("DELETE", f"{BASE}{CONTACTS}/1").status == 500
    assert store.get("contacts", 1) is not None


WRITES = (("POST", CONTACTS), ("PUT", f"{CONTACTS}/1"), ("PATCH", f"{CONTACTS}/1"), ("DELETE", f"{CONTACTS}/1"))


def write(caller: Caller, method: str, path: str) -> int:
    """Send a write that would change something; return the status."""
    record = {"firstName": "Quinn"}
    body: object = [{"op": "replace", "path": "firstName", "value": "Quinn"}] if method == "PATCH" else record
    return caller.send(method, BASE + path, None if method == "DELETE" else body).status


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize("status", [429, 500])
def test_a_write_can_be_refused_before_or_after_its_effect(
    caller: Caller, store: Store, method: str, path: str, status: int
) -> None:
    before = [store.get("contacts", number) for number in (1, 31)]
    store.fail_next(1, status=status, method=method)
    assert write(caller, method, path) == status
    assert [store.get("contacts", number) for number in (1, 31)] == before
    caller.control("fail_next", status=status, method=method, late=True)
    assert write(caller, method, path) == status
    assert [store.get("contacts", number) for number in (1, 31)] != before


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_the_answer_to_a_write_can_be_lost(caller: Caller, store: Store, method: str, path: str) -> None:
    before = [store.get("contacts", number) for number in (1, 31)]
    store.fail_next(1, drop="after", method=method)
    with pytest.raises(http.client.RemoteDisconnected):
        write(caller, method, path)
    caller.close()
    assert [store.get("contacts", number) for number in (1, 31)] != before


def test_connections_can_be_refused_for_a_while(caller: Caller, sandbox: SandboxServer) -> None:
    assert caller.get().status == 200
    port = sandbox.port
    with sandbox.refusing():
        with pytest.raises(http.client.RemoteDisconnected):
            caller.get()
        with pytest.raises(ConnectionRefusedError):
            write(caller, "POST", CONTACTS)
    caller.close()
    assert (write(caller, "POST", CONTACTS), sandbox.port) == (201, port)


def test_a_sandbox_that_refuses_can_be_stopped() -> None:
    with start_sandbox() as server:
        refusing = server.refusing()
        refusing.__enter__()


def test_requests_beyond_the_limit_of_a_minute_are_refused(caller: Caller, store: Store) -> None:
    store.requests_per_minute = 2
    assert [caller.get().status for _ in range(4)] == [200, 200, 429, 429]
    answer = caller.get()
    assert 55 <= int(answer.headers["Retry-After"]) <= 60
    assert f"in {answer.headers['Retry-After']} seconds" in answer.json["message"]
    caller.control("settings", requests_per_minute=None)
    assert caller.get().status == 200


def test_the_limit_lets_requests_pass_again_after_a_minute() -> None:
    limit = RateLimit()
    limit.per_minute = 1
    assert limit.refusal(100.0) is None
    refused = limit.refusal(110.0)
    assert refused is not None
    assert ("Retry-After", "50") in refused.headers
    assert limit.refusal(160.0) is None
