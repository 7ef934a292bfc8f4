"""A flood of callbacks: a poll a second for each resource at most, a pile that is bounded, workers that share it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from polling.callbacks.judging import judge_hints
from polling.callbacks.receiving import MOST_WAITING, Taken, take
from polling.detection.poll_loop import POLLS
from polling.models import AnnouncedRecord, CallbackCount, CallbackHint, PollRun, PollState
from polling.workers.due import poll_due_at
from tests.support.callbacks import Announcer, signature_of
from tests.support.exactness_callbacks import run_loop
from tests.support.polled_instance import PolledInstance
from tests.support.required import lengthy

CALLBACKS, SECONDS = 10_000, 60
RECORDS = 2000  # that they are about, of which the site has 30
FAR = datetime.max.replace(tzinfo=UTC)
BEGINNING = datetime.now(UTC).replace(microsecond=0)


on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no locks of rows")


def send(announcer: Announcer, number: int) -> Taken:
    body = announcer.body(number % RECORDS + 1)
    return take(announcer.token, body, signature_of(body), timezone.now())


def look() -> None:
    """One look of a worker."""
    run_loop(PollState.objects.all(), POLLS)


@lengthy
def test_ten_thousand_in_a_minute_cost_a_poll_a_second(watched: PolledInstance, announcer: Announcer) -> None:
    PollRun.objects.all().delete()
    watched.store.clear_requests()
    with time_machine.travel(BEGINNING, tick=False) as clock:
        for second in range(SECONDS):
            for number in range(second, CALLBACKS, SECONDS):
                assert send(announcer, number) == Taken.STORED
            look()
            clock.shift(0.5)
            look()
            clock.shift(0.5)
    polls = PollRun.objects.filter(kind=PollRun.Kind.POLL).count()
    assert SECONDS / 2 <= polls <= SECONDS
    counts = dict(CallbackCount.objects.filter(type="contact").values_list("name", "count"))
    assert (counts["verified"], counts["woken"]) == (CALLBACKS, polls)
    # Beside polls: reads by ids, at most one a look, and one page of a poll.
    assert len(watched.store.requests) <= polls + 2 * SECONDS


def test_a_pile_that_nobody_works_off_is_bounded(watched: PolledInstance, announcer: Announcer) -> None:
    runs = PollRun.objects.count()
    with time_machine.travel(BEGINNING, tick=False):
        taken = Counter(send(announcer, number) for number in range(MOST_WAITING + 500))
        assert taken == {Taken.STORED: MOST_WAITING, Taken.FULL: 500}
        assert [announcer.post(announcer.body(number)) for number in range(1, 101)] == [429] * 100
        while CallbackHint.objects.filter(status="waiting").exists():
            assert (poll_due_at(BEGINNING) or FAR) <= BEGINNING
            look()
        assert send(announcer, 1) == Taken.STORED
    assert PollRun.objects.count() == runs + 1


def both(*acts: Callable[[], object]) -> None:
    """Do these at a time, each in a thread with a connection of its own; raise what they raise."""
    begin, failures = threading.Barrier(len(acts)), []

    def do(act: Callable[[], object]) -> None:
        try:
            begin.wait()
            act()
        except Exception as error:  # noqa: BLE001  (raised below)
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=do, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for failure in failures:
        raise failure


@on_postgresql
def test_two_workers_who_judge_the_same_count_it_once(
    transactional_db: None, watched: PolledInstance, announcer: Announcer
) -> None:
    for number in range(300):
        send(announcer, number)
    both(lambda: judge_hints(8, []), lambda: judge_hints(8, []))
    for _ in range(2):  # what each had left to the other
        judge_hints(8, [])
    assert set(CallbackHint.objects.values_list("status", "reason")) == {("verified", "")}
    counted = Counter[str]()
    for name, count in CallbackCount.objects.values_list("name", "count"):
        counted[name] += count
    assert (counted["received"], counted["verified"]) == (300, 300)
    assert AnnouncedRecord.objects.count() == 300
