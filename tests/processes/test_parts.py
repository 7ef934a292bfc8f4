"""The small parts: the queue's rule, supervisors' posts, what follows its parent, the demo's receiver."""

from __future__ import annotations

import base64
import http.client
import json
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pytest_django import Settings
from standardwebhooks import Webhook

from cwconnect.core.process_group import ProcessGroup
from cwconnect.core.processes import Child, watch_parent
from cwconnect.outbound import CONNECTWISE_LIMITS, NOTIFICATION_LIMITS
from cwconnect.site.checks import check_queue, least_retry
from cwconnect.site.demo_receiver import (
    Arrival,
    Receiver,
    read_arrivals,
    verify,
)
from polling.delivery.signing import signature_headers
from polling.workers.supervisor import pauses
from polling.workers.supervisor_slot import SupervisorSlot
from polling.workers.wakeups import LONG, SHORT, TimeSlice
from polling.workers.watchdog import Timings

KEY = "whsec_" + base64.b64encode(b"some random bytes").decode()


def notification(*ids: int) -> bytes:
    """Return a notification in the contract's shape (§5)."""
    events = [{"objectType": "contacts", "objectId": str(id_), "eventType": "UPDATED"} for id_ in ids]
    records = [{"id": id_, "firstName": "Nora", "lastName": "Berg"} for id_ in ids]
    return json.dumps({"message": {"events": events, "raw": {"objectType": "contacts", "contacts": records}}}).encode()


def test_retry_must_exceed_what_a_task_may_wait() -> None:
    queue = {"timeout": 120, "queue_limit": 4, "bulk": 2, "workers": 4}
    assert least_retry(queue) == 360
    assert least_retry(queue | {"workers": 1}) == 840


@pytest.mark.parametrize("workers", [1, 2, 4, 16])
def test_our_settings_keep_the_rule_with_any_number_of_workers(settings: Settings, workers: int) -> None:
    settings.Q_CLUSTER = settings.Q_CLUSTER | {"workers": workers}
    assert check_queue() == []


@pytest.mark.parametrize("time_slice", [LONG, SHORT])
def test_no_task_is_killed_while_it_waits_for_slow_answers(settings: Settings, time_slice: TimeSlice) -> None:
    """It waits for what it began last: a page in its overtime, or before that a request of another job, two in one."""
    page = CONNECTWISE_LIMITS.total
    assert settings.Q_CLUSTER["timeout"] >= time_slice.claims + max(time_slice.overtime + page, 2 * page) + 30


def test_no_cluster_counts_as_frozen_while_its_tasks_wait_for_slow_answers(settings: Settings) -> None:
    """The answer to a heartbeat waits for the last worker: for its slowest task, and for one of the other kind."""
    deliveries = SHORT.claims + 2 * NOTIFICATION_LIMITS.total
    assert Timings().stale_in_part >= settings.Q_CLUSTER["timeout"] + deliveries + 2 * Timings().beat


def test_a_broken_rule_is_an_error_with_an_id(settings: Settings) -> None:
    settings.Q_CLUSTER = settings.Q_CLUSTER | {"retry": 300, "catch_up": True}
    assert [problem.id for problem in check_queue()] == ["cwconnect.E001", "cwconnect.E002"]


def test_two_supervisors_of_a_machine_have_two_posts(tmp_path: Path) -> None:
    first, second = SupervisorSlot(tmp_path), SupervisorSlot(tmp_path)
    assert (first.number, second.number) == (1, 2)
    first.sign_with("abc")
    first.leave()

    successor = SupervisorSlot(tmp_path)

    assert (successor.number, successor.last_signature()) == (1, "abc")
    successor.leave()
    second.leave()


def test_a_cluster_that_does_not_last_is_started_after_growing_pauses() -> None:
    waits = pauses()
    assert [next(waits) for _ in range(8)] == [0, 1, 2, 4, 8, 15, 15, 15]


def test_a_parent_that_is_gone_is_noticed() -> None:
    gone = threading.Event()
    watch_parent(os.getpid(), gone.set, every=0.01)
    assert gone.is_set()


def test_a_child_that_does_not_heed_is_killed_after_its_grace() -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    child = Child(["-c", code])
    time.sleep(0.5)
    begun = time.monotonic()
    assert child.stop(grace=0.3) == -9
    assert time.monotonic() - begun < 20


def test_the_end_of_one_child_is_seen_and_the_others_are_ended() -> None:
    group = ProcessGroup()
    group.start("The short one", ["-c", "raise SystemExit(3)"])
    group.start("The long one", ["-c", "import time; time.sleep(60)"])
    assert not group.wait(seconds=20)
    assert group.gone() == "The short one ended with exit code 3"
    group.end(grace=5)
    assert group.gone() == ""


def test_the_receiver_verifies_what_we_sign_as_the_standards_own_library_does() -> None:
    now, body = int(time.time()), notification(1)
    headers = signature_headers([KEY], "msg_1", now, body)
    Webhook(KEY).verify(body, headers)
    assert verify(KEY, headers, body)


@pytest.mark.parametrize("name", ["Elements-Webhook-Signature", "webhook-signature", "webhook-id", "webhook-timestamp"])
def test_the_receiver_refuses_what_was_tampered_with(name: str) -> None:
    now, body = int(time.time()), notification(1)
    headers = signature_headers([KEY], "msg_1", now, body)
    assert not verify(KEY, headers | {name: headers[name][:3] + "0" + headers[name][3:]}, body)
    assert not verify(KEY, headers, body + b" ")
    assert not verify(KEY, signature_headers([KEY], "msg_1", now - 301, body), body)


def test_the_receiver_shows_each_event_and_answers_204() -> None:
    arrivals: list[Arrival] = []
    body = notification(17, 18)
    headers = signature_headers([KEY], "msg_1", int(datetime.now(UTC).timestamp()), body)
    with Receiver(KEY, arrivals.append) as receiver:
        assert post(receiver, body, headers) == 204
        assert post(receiver, body, {}) == 401
        assert post(receiver, b"[]", headers) == 400
    assert [arrival.object_id for arrival in arrivals if arrival.verified] == ["17", "18"]
    assert str(arrivals[0]).split() == ["UPDATED", "contacts/17", "Nora", "Berg", "verified"]
    assert str(arrivals[2]).endswith("NOT VERIFIED")


def test_what_is_no_notification_is_no_arrival() -> None:
    with pytest.raises(ValueError, match="not a notification"):
        read_arrivals(b"{}", webhook_id="", verified=True)


def post(receiver: Receiver, body: bytes, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection(receiver.url.split("/")[2], timeout=5)
    connection.request("POST", "/notifications", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status
