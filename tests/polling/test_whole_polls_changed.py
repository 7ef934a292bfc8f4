"""Polls that found changes are committed together: events, notifications, snapshots, runs, a statement each."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.forms import model_to_dict
from django.test.utils import CaptureQueriesContext

from cwconnect.connectwise.client import Page
from polling.detection.poll_loop import POLLS_AND_SWEEPS, PollLoop
from polling.detection.polls import whole_polls
from polling.detection.polls.runs import PollJob
from polling.detection.polls.whole_polls import batches, end_polls, is_whole
from polling.models import (
    Event,
    Health,
    MissingRecord,
    Notification,
    PollRun,
    PollState,
    RecordSnapshot,
    Site,
    SnapshotBody,
)
from polling.workers.due import make_due
from tests.support.polled_instance import PolledInstance, claimed_state

# What differs from run to run, and from instance to instance.
OF_ITS_OWN = {
    *("id", "instance", "resource_poll", "run", "notification", "webhook_id", "body", "follows", "site"),
    *("started_at", "finished_at", "first_date", "opening", "created_at", "next_attempt_at", "polled_at"),
    *("next_poll_at", "next_sweep_at", "cursor", "last_good_at"),
}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "with the fields that changed": {"trackChanges": True},
    "with deletes": {"detectDeletes": True},
}


def two(world: PolledInstance, poll: dict[str, Any]) -> list[PolledInstance]:
    """Return two instances that watch the same site alike, polled once."""
    found = []
    for _ in range(2):
        watched = PolledInstance(world.tenant, world.sandbox)
        watched.watch(poll=poll)
        watched.poll()
        found.append(watched)
    return found


def claimed(*worlds: PolledInstance) -> list[tuple[PollJob, Page]]:
    """Claim the contacts' polls of these instances, due or not, and read their pages."""
    jobs = [PollJob(*claimed_state(world)) for world in worlds]
    return [(job, job.request()()) for job in jobs]


def rows_of(world: PolledInstance) -> list[list[dict[str, Any]]]:
    """Return all that is stored of an instance's contacts, in order, without what differs by nature."""
    poll = world.state.pk
    models: list[tuple[type[Model], dict[str, Any]]] = [
        (Event, {"resource_poll": poll}),
        (Notification, {"instance": world.instance}),
        (PollRun, {"resource_poll": poll}),
        (RecordSnapshot, {"resource_poll": poll}),
        (SnapshotBody, {"resource_poll": poll}),
        (MissingRecord, {"resource_poll": poll}),
        (PollState, {"resource_poll": poll}),
    ]
    return [
        [
            {name: value for name, value in model_to_dict(row).items() if name not in OF_ITS_OWN}
            for row in model._default_manager.filter(**of).order_by("pk")
        ]
        for model, of in models
    ]


@pytest.mark.parametrize("poll", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_what_is_written_together_is_what_is_written_by_itself(world: PolledInstance, poll: dict[str, Any]) -> None:
    one, other = two(world, poll)
    for round_ in range(3):
        for record_id in range(round_ + 1, round_ + 4):
            world.change(record_id, f"Chief {round_}")
        world.store.create("contacts", {"firstName": f"Ada {round_}"})
        for watched in (one, other):
            MissingRecord.objects.create(resource_poll_id=watched.state.pk, record_id=round_ + 1)
        [(job, page)] = claimed(one)
        assert job.commit(page) is False
        together = claimed(other)
        assert is_whole(*together[0])
        assert end_polls(together) == []
        assert rows_of(other) == rows_of(one)
    assert Event.objects.filter(resource_poll=one.state.pk).count() == 12
    assert other.state.lease_token is None


def test_those_beneath_the_same_notification_follow_it(world: PolledInstance) -> None:
    one, other = two(world, {})
    world.change(3, "Chief")
    end_polls(claimed(one, other))
    first = {row.instance_id: row for row in Notification.objects.all()}
    world.change(3, "Owner")
    world.change(4, "Clerk")
    Notification.objects.filter(instance=one.instance).update(state="delivered", next_attempt_at=None)
    end_polls(claimed(one, other))
    second = {row.instance_id: row for row in Notification.objects.exclude(pk__in=[row.pk for row in first.values()])}
    assert second[one.instance.pk].follows_id is None
    later = Notification.objects.filter(instance=other.instance).order_by("pk")
    assert [row.follows_id for row in later] == [None, first[other.instance.pk].pk, None]
    assert [row.next_attempt_at is None for row in later] == [False, True, False]


def test_one_that_was_taken_over_writes_nothing_and_the_others_all(world: PolledInstance) -> None:
    one, other = two(world, {})
    world.change(3, "Chief")
    both = claimed(one, other)
    PollState.objects.filter(pk=one.state.pk).update(lease_token="another's")
    assert end_polls(both) == [both[0][0]]
    assert list(Event.objects.values_list("instance", flat=True)) == [other.instance.pk]
    assert not RecordSnapshot.objects.filter(resource_poll=one.state.pk).exists()
    assert (one.state.lease_token, other.state.lease_token) == ("another's", None)


def faults() -> list[str]:
    """Return the steps of a batch, at each of which it may fail."""
    return ["insert_new", "judge_pages", "write_pages", "note_missing_fields", "update", "calm_healths"]


@pytest.mark.parametrize("step", faults())
@pytest.mark.django_db(transaction=True)
def test_a_fault_in_a_batch_leaves_each_to_itself(
    world: PolledInstance, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    worlds = two(world, {})
    world.change(3, "Chief")
    as_it_is: Callable[..., Any] = getattr(whole_polls, step)

    def fails_afterwards(*args: Any, **options: Any) -> Any:
        as_it_is(*args, **options)
        raise ValueError("a fault")

    monkeypatch.setattr(whole_polls, step, fails_afterwards)
    make_due(PollState.objects.all())
    Site.objects.all().delete()
    PollLoop(PollState.objects.all(), deadline=float("inf")).run()
    for watched in worlds:
        assert (watched.recorded(), watched.state.health) == ([("UPDATED", "3")], Health.HEALTHY)
        assert PollRun.objects.filter(resource_poll=watched.state.pk, status="open").count() == 0
        assert [row.event_count for row in Notification.objects.filter(instance=watched.instance)] == [1]


@pytest.mark.django_db(transaction=True)
def test_one_whose_record_can_t_be_written_keeps_no_other_back(
    world: PolledInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two(world, {})
    world.change(3, "Chief")
    read = PollJob.read

    def read_or_fail(job: PollJob, *args: Any) -> Any:
        if job.key == one.state.pk:
            raise ValueError("a fault")
        return read(job, *args)

    monkeypatch.setattr(PollJob, "read", read_or_fail)
    make_due(PollState.objects.all())
    PollLoop(PollState.objects.all(), deadline=float("inf")).run()
    assert (other.recorded(), other.state.failures) == ([("UPDATED", "3")], 0)
    assert (one.recorded(), one.state.failures) == ([], 1)
    monkeypatch.undo()
    one.poll()
    assert one.recorded() == [("UPDATED", "3")]


def test_a_batch_holds_two_thousand_records_at_most(world: PolledInstance) -> None:
    def page(records: int) -> Page:
        return Page([{"id": number} for number in range(records)], None, records, ends=True)

    job: Any = object()
    sizes = [
        [len(page.records) for _, page in batch] for batch in batches([(job, page(n)) for n in (1, 1999, 1, 5000, 2)])
    ]
    assert sizes == [[1, 1999], [1], [5000], [2]]


def test_statements_of_a_batch_do_not_grow_with_it(world: PolledInstance) -> None:
    counts = []
    worlds = [*two(world, {}), *two(world, {}), *two(world, {}), *two(world, {})]
    for round_, size in enumerate((2, 2, 8)):  # the first of them takes what is stored once
        world.change(3, f"Chief {round_}")
        batch = claimed(*worlds[:size])
        seen: list[str] = []

        def note(execute: Any, sql: str, *args: Any) -> Any:
            seen.append(sql)  # noqa: B023  (called within the round)
            return execute(sql, *args)

        with connection.execute_wrapper(note):
            end_polls(batch)
        counts.append(len(seen))
    assert counts[2] <= counts[1] + 1, seen  # what waits is locked
    assert json.loads(Notification.objects.latest("pk").body)["message"]["events"]


def test_sixteen_polls_with_a_change_each_take_less_than_three_statements_each(
    world: PolledInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polling.detection.claiming.PER_SITE", 16)
    for _ in range(8):
        two(world, {})
    found = {}
    for what in ("nothing", "what is stored once", "a change"):
        if what != "nothing":
            world.change(3, what)
        make_due(PollState.objects.all())
        Site.objects.all().delete()
        with CaptureQueriesContext(connection) as captured:
            PollLoop(PollState.objects.all(), deadline=float("inf"), kinds=POLLS_AND_SWEEPS).run()
        found[what] = len(captured) / 16
    assert Event.objects.count() == 32
    assert found["nothing"] <= 1
    assert found["a change"] <= 2.5
