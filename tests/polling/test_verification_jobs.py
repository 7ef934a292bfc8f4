"""Verifications as the workers carry them out: beside the polls, kept step by step, and found the same as at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from cwconnect.core.errors import ConflictError
from instances.configuration.wire import config_of, read_configuration
from instances.models import Instance
from instances.provisioning import change_instance, set_enabled
from instances.secrets import Secret
from polling.detection.poll_loop import poll_due
from polling.maintenance.retention import prune
from polling.models import Event, PollState, RecordSnapshot, Site, Verification
from polling.verification.comparison import Comparison
from polling.verification.report import finding_of, start_verification, verify
from polling.verification.verification_job import MOST_FAILURES, claim_verifications
from polling.workers.due import poll_due_at
from polling.workers.leases import LeaseLostError
from tests.support.polled_instance import PolledInstance

Status = Verification.Status


@pytest.fixture
def lossy(world: PolledInstance, monkeypatch: pytest.MonkeyPatch) -> PolledInstance:
    """Contacts 1 to 6 changed and were recorded, then 2 and 3 were lost; ConnectWise answers ten rows a page."""
    world.watch()
    for record_id in range(1, 7):
        world.change(record_id, "Chief")
    world.poll()
    world.store.clock_offset = 5
    world.poll()
    Event.objects.filter(record_id__in=(2, 3)).delete()
    RecordSnapshot.objects.filter(record_id=2).delete()
    PollState.objects.update(next_poll_at=None)  # only what a test asks for is due
    monkeypatch.setattr("cwconnect.connectwise.client.LARGEST_PAGE", 10)
    return world


def ask(world: PolledInstance) -> Verification:
    return start_verification(world.state.resource_poll, timezone.now())


def work(stopping: Callable[[], bool] = lambda: False) -> Verification:
    poll_due(deadline=float("inf"), stopping=stopping)
    return Verification.objects.get()


def step(world: PolledInstance) -> Any:
    """A worker that carries out one step and is killed; give its job."""
    (job,) = claim_verifications(16, [])
    assert job.commit(job.request()())
    return job


def missed(done: Verification) -> list[int]:
    """The rows that it found missing."""
    assert done.finding is not None
    return list(done.finding["missed"])


def forget_lease() -> None:
    Verification.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


def test_it_waits_for_a_worker_and_finds_what_a_comparison_at_once_finds(lossy: PolledInstance) -> None:
    ask(lossy)
    due = poll_due_at(timezone.now())
    assert due is not None
    assert due <= timezone.now()
    done = work()
    assert (done.status, done.source, done.next_try_at, done.lease_token) == (Status.COMPLETE, 30, None, None)
    assert finding_of(done) == verify(lossy.state.resource_poll, done.asked_at)
    assert missed(done) == [2, 3]
    assert poll_due_at(timezone.now()) is None


def test_after_a_kill_another_worker_goes_on_from_the_step_kept(lossy: PolledInstance) -> None:
    ask(lossy)
    step(lossy)
    asked = len(lossy.store.requests)
    assert Verification.objects.get().source == 10
    assert claim_verifications(16, []) == []
    forget_lease()
    done = work()
    assert (done.status, done.source, missed(done)) == (Status.COMPLETE, 30, [2, 3])
    assert len(lossy.store.requests) - asked == 4  # two pages, the empty one, and the rows under suspicion


def test_every_step_can_be_the_last_of_its_worker(lossy: PolledInstance) -> None:
    ask(lossy)
    for _ in range(4):
        step(lossy)
        forget_lease()
    done = work()
    assert (done.status, done.source, missed(done)) == (Status.COMPLETE, 30, [2, 3])


def test_a_worker_that_was_overtaken_writes_nothing(lossy: PolledInstance) -> None:
    ask(lossy)
    slow = step(lossy)
    forget_lease()
    work()
    before = Verification.objects.values().get()
    with pytest.raises(LeaseLostError):
        slow.commit(slow.request()())
    with pytest.raises(LeaseLostError):
        slow.fail(ValueError())
    assert Verification.objects.values().get() == before


def test_a_worker_that_is_to_stop_frees_it(lossy: PolledInstance) -> None:
    ask(lossy)
    answers = iter([False] * 2)
    stopped = work(lambda: next(answers, True))
    assert (stopped.status, stopped.lease_token) == (Status.OPEN, None)
    assert work().status == Status.COMPLETE


def test_a_fault_that_passes_is_tried_again(lossy: PolledInstance) -> None:
    lossy.store.fail_next(1, status=503)
    ask(lossy)
    failed = work()
    assert (failed.status, failed.failures) == (Status.OPEN, 1)
    assert "503" in failed.error
    assert failed.next_try_at is not None
    with time_machine.travel(failed.next_try_at + timedelta(seconds=1), tick=False):
        done = work()
    assert (done.status, done.error, missed(done)) == (Status.COMPLETE, "", [2, 3])


def test_a_fault_that_stays_ends_it(lossy: PolledInstance) -> None:
    ask(lossy)
    lossy.store.fail_next(MOST_FAILURES, status=503)
    for _ in range(MOST_FAILURES):
        Verification.objects.update(next_try_at=timezone.now())
        failed = work()
    assert (failed.status, failed.failures, failed.next_try_at) == (Status.FAILED, MOST_FAILURES, None)
    assert failed.finished_at is not None
    assert finding_of(failed) is None


@pytest.mark.parametrize("status", [400, 401, 403])
def test_what_connectwise_refuses_ends_it_at_once(lossy: PolledInstance, status: int) -> None:
    lossy.store.fail_next(1, status=status)
    ask(lossy)
    failed = work()
    assert (failed.status, failed.failures) == (Status.FAILED, 1)
    assert str(status) in failed.error


def test_a_rate_limit_holds_it_as_it_holds_the_polls(lossy: PolledInstance) -> None:
    lossy.store.fail_next(1, status=429)
    ask(lossy)
    assert work().status == Status.OPEN
    assert Site.objects.filter(key=lossy.state.site).exists()
    Verification.objects.update(next_try_at=timezone.now())
    assert poll_due_at(timezone.now()) is None
    assert work().failures == 1
    Site.objects.all().delete()
    assert work().status == Status.COMPLETE


def test_keys_that_can_not_be_opened_end_it_in_words(lossy: PolledInstance) -> None:
    ask(lossy)
    Instance.objects.update(private_key=Secret("v2:x:x"))
    failed = work()
    assert failed.status == Status.FAILED
    assert "CWCONNECT_ENCRYPTION_KEYS" in failed.error


def test_it_waits_while_the_instance_is_disabled(lossy: PolledInstance) -> None:
    ask(lossy)
    set_enabled(lossy.instance, enabled=False)
    assert poll_due_at(timezone.now()) is None
    assert work().status == Status.OPEN
    with pytest.raises(ConflictError):
        start_verification(lossy.state.resource_poll, timezone.now())
    set_enabled(lossy.instance, enabled=True)
    assert work().status == Status.COMPLETE


def test_a_poll_that_is_changed_meanwhile_ends_it(lossy: PolledInstance) -> None:
    ask(lossy)
    slow = step(lossy)
    instance = Instance.objects.get()
    stored = config_of(instance)
    polls = {"contacts": {**stored.polls["contacts"], "idField": "company.id"}}
    config = read_configuration({"event.poller.configuration": polls}, base=stored, stored=stored)
    change_instance(instance, config=config)
    ended = Verification.objects.get()
    assert (ended.status, ended.next_try_at) == (Status.FAILED, None)
    assert "verify once more" in ended.error
    with pytest.raises(LeaseLostError):
        slow.commit(slow.request()())


def test_polls_go_on_beside_it(lossy: PolledInstance) -> None:
    ask(lossy)
    lossy.change(9, "Chief")
    PollState.objects.update(next_poll_at=timezone.now())
    assert work().status == Status.COMPLETE
    assert ("UPDATED", "9") in lossy.recorded()


def test_two_at_a_time_of_one_worker_and_one_of_a_poll(lossy: PolledInstance) -> None:
    assert ask(lossy).pk == ask(lossy).pk
    Verification.objects.update(status=Status.COMPLETE)
    poll, now = lossy.state.resource_poll, timezone.now()
    rows = [Verification(resource_poll=poll, asked_at=now, status=Status.COMPLETE) for _ in range(3)]
    Verification.objects.bulk_create(rows)
    Verification.objects.update(next_try_at=timezone.now())
    first = claim_verifications(16, [])
    assert len(first) == 2
    assert claim_verifications(16, first) == []
    assert claim_verifications(0, []) == []
    assert len(claim_verifications(16, first[:1])) == 1


def test_where_it_stands_is_kept_whole(lossy: PolledInstance) -> None:
    poll, now = lossy.state.resource_poll, timezone.now()
    one = Comparison.begin(poll, now)
    while (request := one.request()) is not None:
        one.take(request())
        other = Comparison.resume(poll, now, one.kept())
        assert other.kept() == one.kept()
        assert other.cursor == one.cursor


def test_ended_ones_go_with_the_retention(lossy: PolledInstance) -> None:
    row = ask(lossy)
    long_ago = timezone.now() - timedelta(days=31)
    prune(timezone.now())
    assert Verification.objects.filter(pk=row.pk, finished_at=None).exists()
    Verification.objects.update(finished_at=long_ago)
    prune(timezone.now())
    assert not Verification.objects.exists()
