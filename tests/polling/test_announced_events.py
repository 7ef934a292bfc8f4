"""Trust in callbacks, measured: which changes they announced, how long those took, and which type fell silent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from instances.models import Instance
from polling.callbacks import announced_events
from polling.callbacks.announced_events import EXAMINED_AFTER, examine_events
from polling.callbacks.endpoints import apply_callbacks
from polling.callbacks.judging import judge_hints
from polling.detection.polls.backfill import request_backfill
from polling.models import (
    CallbackCount,
    CallbackEndpoint,
    CallbackHint,
    CallbackRegistration,
    Event,
    PollRun,
)
from tests.conftest import Tenant
from tests.support.callbacks import Announcer
from tests.support.polled_instance import PolledInstance

SETTLED = EXAMINED_AFTER + timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def announcer(announcer: Announcer) -> Announcer:
    """The callbacks of contacts, registered for an hour."""
    registered_since(-timedelta(hours=1))
    return announcer


def registered_since(moment: timedelta) -> None:
    CallbackRegistration.objects.update(active_since=timezone.now() + moment)


def examine(after: timedelta = SETTLED) -> dict[str, int]:
    """Examine what was recorded by now, so much later; return the counts of contacts so far, but for the time taken."""
    examine_events(timezone.now() + after)
    names = ("announced", "unannounced")
    counts: dict[str, int] = {}
    for name, count in CallbackCount.objects.filter(type="contact", name__in=names).values_list("name", "count"):
        counts[name] = counts.get(name, 0) + count
    return counts


def judge() -> None:
    """Have what was announced judged, and nothing polled."""
    judge_hints(8, [])


def moved(by: timedelta) -> None:
    """Have the callbacks so far arrive so much later."""
    for hint in CallbackHint.objects.all():
        CallbackHint.objects.filter(pk=hint.pk).update(received_at=hint.received_at + by)


def changed(watched: PolledInstance, *records: int) -> None:
    """Have records change and a poll find it, without a callback."""
    for number in records:
        watched.change(number, f"Chief {timezone.now()}")
    watched.poll()


def test_a_change_that_was_announced_counts_with_the_time_that_it_took(
    watched: PolledInstance, announcer: Announcer
) -> None:
    watched.change(17, "Owner")
    announcer.announce(17)
    judge()
    moved(timedelta(seconds=-2))
    watched.poll()
    assert examine() == {"announced": 1}
    assert 2000 <= CallbackCount.objects.get(name="milliseconds").count < 60_000
    assert examine(2 * SETTLED) == {"announced": 1}, "each event once"


def test_a_change_that_nobody_announced_counts_as_that(watched: PolledInstance, announcer: Announcer) -> None:
    announcer.announce(18)
    announcer.announce(17, CompanyId="Elsewhere")
    judge()
    changed(watched, 17)
    assert examine() == {"unannounced": 1}


def test_an_event_is_looked_at_once_no_callback_can_be_under_way_any_more(
    watched: PolledInstance, announcer: Announcer
) -> None:
    changed(watched, 17)
    assert examine(EXAMINED_AFTER - MINUTE) == {}
    announcer.announce(17)
    judge()
    moved(EXAMINED_AFTER - MINUTE)
    assert examine() == {"announced": 1}
    assert CallbackCount.objects.get(name="milliseconds").count == 0


@pytest.mark.parametrize(
    ("by", "counted"),
    [
        (-timedelta(minutes=4), "announced"),
        (-timedelta(minutes=6), "unannounced"),
        (timedelta(minutes=9), "announced"),
        (timedelta(minutes=11), "unannounced"),
    ],
)
def test_a_callback_of_another_time_announces_nothing(
    watched: PolledInstance, announcer: Announcer, by: timedelta, counted: str
) -> None:
    announcer.announce(17)
    judge()
    changed(watched, 17)
    moved(by)
    assert examine() == {counted: 1}


def refused() -> None:
    CallbackRegistration.objects.update(status=CallbackRegistration.Status.REFUSED)


def of_kind(kind: str) -> Callable[[], object]:
    return lambda: PollRun.objects.update(kind=kind)


# What no callback could have announced, or nobody wanted announced.
NOT_COUNTED: dict[str, Callable[[], object]] = {
    "registered after it": lambda: registered_since(MINUTE),
    "refused": refused,
    "of another type": lambda: CallbackRegistration.objects.update(type="ticket"),
    "a backfill": of_kind(PollRun.Kind.BACKFILL),
    "a repair": of_kind(PollRun.Kind.REPAIR),
    "a sweep's find that is no delete": of_kind(PollRun.Kind.SWEEP),
    "a run that is no more": lambda: PollRun.objects.all().delete(),
    "a resource that is no more": lambda: Event.objects.update(resource_poll=None),
}


@pytest.mark.parametrize("because", NOT_COUNTED)
def test_what_no_callback_could_announce_is_not_counted(
    watched: PolledInstance, announcer: Announcer, because: str
) -> None:
    changed(watched, 17)
    NOT_COUNTED[because]()
    assert examine() == {}


def test_a_backfill_as_it_is_made_is_not_counted(watched: PolledInstance, announcer: Announcer) -> None:
    request_backfill(type(watched.state).objects.all(), timezone.now() - timedelta(days=3000))
    watched.poll()
    assert set(PollRun.objects.values_list("kind", flat=True)) >= {"backfill"}
    assert Event.objects.exists()
    assert examine() == {}


@pytest.mark.parametrize("announced", [True, False])
def test_deletes_that_a_sweep_found_go_by_what_was_said_before(
    watched: PolledInstance, announcer: Announcer, announced: bool
) -> None:
    registered_since(-timedelta(days=3))
    announcer.announce(17, "deleted" if announced else "updated")
    judge()
    moved(-timedelta(hours=20))
    changed(watched, 17)
    PollRun.objects.update(kind=PollRun.Kind.SWEEP)
    Event.objects.update(kind=Event.Kind.DELETED)
    assert examine() == {"announced" if announced else "unannounced": 1}


def test_a_sweep_finds_what_was_deleted_before_the_registration(watched: PolledInstance, announcer: Announcer) -> None:
    registered_since(-timedelta(hours=20))
    changed(watched, 17)
    PollRun.objects.update(kind=PollRun.Kind.SWEEP)
    Event.objects.update(kind=Event.Kind.DELETED)
    assert examine() == {}


def test_a_new_endpoint_begins_at_the_end_of_the_log(watched: PolledInstance) -> None:
    changed(watched, 17)
    Instance.objects.update(callbacks_enabled=True)
    apply_callbacks(None, instance=Instance.objects.get())
    assert CallbackEndpoint.objects.get().examined_upto == Event.objects.get().pk


def test_many_events_go_in_steps(
    watched: PolledInstance, announcer: Announcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announced_events, "STEP", 2)
    monkeypatch.setattr(announced_events, "MOST_STEPS", 2)
    changed(watched, *range(11, 18))
    assert [examine()["unannounced"] for _ in range(3)] == [4, 7, 7]


def test_what_is_still_to_become_visible_is_waited_for(
    watched: PolledInstance, announcer: Announcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(watched, 17, 18)
    first = Event.objects.order_by("pk").values_list("pk", flat=True)[0]
    monkeypatch.setattr(announced_events, "complete_upto", lambda: first)
    assert examine() == {"unannounced": 1}
    monkeypatch.setattr(announced_events, "complete_upto", lambda: None)
    assert examine() == {"unannounced": 2}


def silent() -> bool:
    return CallbackRegistration.objects.get().silent_since is not None


def test_a_type_falls_silent_and_is_heard_again(watched: PolledInstance, announcer: Announcer) -> None:
    announcer.announce(17)
    judge()
    changed(watched, 17, 18, 19)
    examine()
    assert not silent(), "two changes are too few"
    changed(watched, 20)
    examine()
    assert silent()
    changed(watched, 21)
    examine()
    assert CallbackRegistration.objects.get().silent_since == Event.objects.order_by("pk")[1].run.finished_at  # type: ignore[union-attr]
    announcer.announce(22)
    judge()
    examine()
    assert not silent()
    assert CallbackRegistration.objects.get().unannounced == []


@pytest.mark.parametrize("because", ["a day went by", "registered anew", "refused"])
def test_silence_ends_by_itself(watched: PolledInstance, announcer: Announcer, because: str) -> None:
    changed(watched, 17, 18, 19)
    examine()
    assert silent()
    if because == "registered anew":
        registered_since(MINUTE)
    elif because == "refused":
        refused()
    examine(timedelta(days=1, minutes=1) if because == "a day went by" else SETTLED)
    assert not silent()


def test_a_callback_lost_now_and_then_is_no_silence(watched: PolledInstance, announcer: Announcer) -> None:
    for number in range(17, 22):
        changed(watched, number)
        announcer.announce(number + 10)
        judge()
    assert examine() == {"unannounced": 5}
    assert not silent()


def test_without_callbacks_nothing_is_asked(tenant: Tenant) -> None:
    assert examine_events(timezone.now()) == 0


def test_its_questions_are_answered_from_indexes(watched: PolledInstance, announcer: Announcer) -> None:
    changed(watched, 17, 18, 19)
    examine()
    with CaptureQueriesContext(connection) as captured:
        changed(watched, 20)
        examine()
    asked = [query["sql"] for query in captured.captured_queries if '"polling_callbackhint"' in query["sql"]]
    aggregates = [sql for sql in asked if "MAX(" in sql]
    assert aggregates
    with connection.cursor() as cursor:
        for sql in aggregates:
            if connection.vendor == "postgresql":
                cursor.execute("SET LOCAL enable_seqscan = off")  # the table is too small for an index to be worth it
            cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{sql}")
            assert "hint_of_type" in str(cursor.fetchall())


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no locks of rows")
def test_who_holds_an_endpoint_is_not_waited_for(watched: PolledInstance, announcer: Announcer) -> None:
    changed(watched, 17)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            CallbackEndpoint.objects.select_for_update().get()
            held.set()
            done.wait(20)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(20)
    try:
        assert examine() == {}
    finally:
        done.set()
        holder.join()
    assert examine() == {"unannounced": 1}
