"""Repairs as the workers carry them out: kept step by step, safe to be cut off after each, done just once."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from cwconnect.core.errors import ConflictError
from instances.configuration.wire import config_of, read_configuration
from instances.models import AuditEntry, Instance
from instances.provisioning import change_instance, set_enabled
from instances.secrets import Secret
from polling.delivery.delivery_loop import deliver_these
from polling.detection.poll_loop import poll_due, sweep_these
from polling.maintenance.retention import prune
from polling.models import Event, Notification, PollRun, PollState, RecordSnapshot, Repair, Site, Verification
from polling.verification.repair_job import RepairJob, claim_repairs, start_repair
from polling.verification.report import finding_of, start_verification, verify
from polling.verification.verification_job import MOST_FAILURES
from polling.workers.due import poll_due_at
from polling.workers.leases import LeaseLostError
from tests.support.polled_instance import PolledInstance
from tests.support.receivers import Receiver
from tests.support.sweeps import delete, sweep, watch_deletes

Status = Repair.Status
LOST = [("DELETED", "9"), ("UPDATED", "2"), ("UPDATED", "3")]


@pytest.fixture
def lossy(world: PolledInstance, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> PolledInstance:
    """Contacts changed and 9 was deleted, all recorded; the events of 2, 3 and 9 were lost, the rest was given up.

    It was compared. A lot of rows to be read again is one row.
    """
    watch_deletes(world, callback_url=receiver.url)
    for record_id in range(1, 7):
        world.change(record_id, "Chief")
    world.poll()
    delete(world, 9)
    sweep(world)
    world.store.clock_offset = 5
    world.poll()
    deliver_these([world.instance.pk])
    world.recorded()
    Event.objects.filter(record_id__in=(2, 3, 9)).delete()
    RecordSnapshot.objects.filter(record_id=2).delete()
    Notification.objects.update(state=Notification.State.FAILED)
    receiver.got.clear()
    nothing_else_is_due()
    monkeypatch.setattr("polling.detection.reads_by_id.MOST_IDS", 1)
    start_verification(world.state.resource_poll, timezone.now())
    work()
    found = finding_of(Verification.objects.get())
    assert found is not None
    assert (found.missed, found.deleted, found.undelivered) == ((2, 3), (9,), 4)
    return world


def nothing_else_is_due() -> None:
    later = timezone.now() + timedelta(days=1)
    PollState.objects.update(next_poll_at=None, next_sweep_at=later)


def work() -> None:
    poll_due(deadline=float("inf"), stopping=lambda: False)


def is_due() -> bool:
    due = poll_due_at(timezone.now())
    return due is not None and due <= timezone.now()


def ask(world: PolledInstance) -> Repair:
    return start_repair(world.state.resource_poll, timezone.now())


def repaired(world: PolledInstance) -> Repair:
    work()
    return Repair.objects.get()


def claimed() -> RepairJob:
    (job,) = claim_repairs(16, [])
    assert isinstance(job, RepairJob)
    return job


def step() -> RepairJob:
    """A worker that carries out one step and is killed; give its job."""
    job = claimed()
    job.commit(job.request()())
    return job


def forget_lease() -> None:
    """Let the time pass that a killed worker's lease has left."""
    PollState.objects.filter(lease_token__isnull=False).update(lease_until=timezone.now() - timedelta(seconds=1))


def assert_whole(world: PolledInstance, receiver: Receiver) -> None:
    """What was lost is recorded once, what had been given up is sent again, and nothing is missing any more."""
    assert sorted(world.recorded()) == LOST
    deliver_these([world.instance.pk])
    before = [("DELETED", "9"), *(("UPDATED", str(number)) for number in range(1, 7))]  # the very bytes, once more
    assert sorted(receiver.events()) == sorted([*LOST, *before])
    assert verify(world.state.resource_poll, timezone.now()).whole


def test_it_waits_for_a_worker_and_repairs_all_that_was_found(lossy: PolledInstance, receiver: Receiver) -> None:
    assert not is_due()
    ask(lossy)
    assert is_due()
    done = repaired(lossy)
    assert (done.status, done.next_try_at, lossy.state.lease_token) == (Status.COMPLETE, None, None)
    assert (done.total, done.done, done.rows, done.events, done.resent) == (2, 2, 2, 3, 4)
    assert PollRun.objects.get(kind=PollRun.Kind.REPAIR).status == PollRun.Status.COMPLETE
    assert AuditEntry.objects.filter(action="repair asked for").count() == 1
    assert_whole(lossy, receiver)


def test_what_was_repaired_is_compared_once_more(lossy: PolledInstance) -> None:
    ask(lossy)
    done = repaired(lossy)
    again = Verification.objects.order_by("-pk")[0]
    assert (again.status, again.asked_at) == (Verification.Status.COMPLETE, done.finished_at)
    found = finding_of(again)
    assert found is not None
    assert (found.missed, found.deleted) == ((), ())


def test_every_step_can_be_the_last_of_its_worker(lossy: PolledInstance, receiver: Receiver) -> None:
    ask(lossy)
    steps = 0
    while Repair.objects.get().status == Status.OPEN:
        claimed().request()()  # one that is killed with an answer in its hand
        forget_lease()
        step()
        forget_lease()
        steps += 1
        if PollState.objects.filter(next_sweep_at__lte=timezone.now()).exists():
            assert claim_repairs(16, []) == []  # it waits for the sweep
            sweep_these([lossy.state.pk])
    assert steps == 4  # two rows, the deletes, the end
    assert PollRun.objects.filter(kind=PollRun.Kind.REPAIR).count() == 1  # carried on, not begun anew
    assert_whole(lossy, receiver)


def test_another_worker_goes_on_after_the_step_kept(lossy: PolledInstance) -> None:
    ask(lossy)
    step()
    assert claim_repairs(16, []) == []
    assert not is_due()
    assert Repair.objects.get().done == 1
    forget_lease()
    lossy.store.clear_requests()
    step()
    (asked,) = lossy.store.requests
    assert "3" in str(asked)
    assert sorted(lossy.recorded()) == [("UPDATED", "2"), ("UPDATED", "3")]


def test_a_worker_that_was_overtaken_writes_nothing(lossy: PolledInstance, receiver: Receiver) -> None:
    ask(lossy)
    slow = step()
    answer = slow.request()()
    forget_lease()
    done = repaired(lossy)
    with pytest.raises(LeaseLostError):
        slow.commit(answer)
    with pytest.raises(LeaseLostError):
        slow.fail(ValueError())
    assert Repair.objects.get().finished_at == done.finished_at
    assert_whole(lossy, receiver)


def test_a_poll_that_is_due_goes_first(lossy: PolledInstance) -> None:
    ask(lossy)
    PollState.objects.update(next_poll_at=timezone.now())
    job = claimed()
    assert not job.commit(job.request()())
    assert lossy.state.lease_token is None
    assert repaired(lossy).status == Status.COMPLETE


def test_it_waits_for_no_sweep_that_will_not_come(lossy: PolledInstance) -> None:
    ask(lossy)
    for _ in range(3):
        step()
        forget_lease()
    assert claim_repairs(16, []) == []
    PollState.objects.update(next_sweep_at=None)
    step()
    assert Repair.objects.get().status == Status.COMPLETE


def test_a_fault_that_passes_is_tried_again(lossy: PolledInstance) -> None:
    ask(lossy)
    lossy.store.fail_next(1, status=503)
    failed = repaired(lossy)
    assert (failed.status, failed.failures, lossy.state.lease_token) == (Status.OPEN, 1, None)
    assert "503" in failed.error
    assert failed.next_try_at is not None
    with time_machine.travel(failed.next_try_at + timedelta(seconds=1), tick=False):
        done = repaired(lossy)
    assert (done.status, done.failures, done.error) == (Status.COMPLETE, 0, "")


def test_a_fault_that_stays_ends_it(lossy: PolledInstance) -> None:
    ask(lossy)
    lossy.store.fail_next(MOST_FAILURES, status=503)
    for _ in range(MOST_FAILURES):
        Repair.objects.update(next_try_at=timezone.now())
        failed = repaired(lossy)
    assert (failed.status, failed.failures, failed.next_try_at) == (Status.FAILED, MOST_FAILURES, None)


def test_what_connectwise_refuses_ends_it_at_once_and_what_was_recorded_stays(lossy: PolledInstance) -> None:
    ask(lossy)
    step()
    forget_lease()
    lossy.store.fail_next(1, status=400)
    failed = repaired(lossy)
    assert (failed.status, failed.failures, failed.done) == (Status.FAILED, 1, 1)
    assert "400" in failed.error
    assert PollRun.objects.get(kind=PollRun.Kind.REPAIR).status == PollRun.Status.FAILED
    assert lossy.recorded() == [("UPDATED", "2")]
    again = ask(lossy)
    assert again.pk != failed.pk


def test_a_rate_limit_holds_it_as_it_holds_the_polls(lossy: PolledInstance) -> None:
    ask(lossy)
    lossy.store.fail_next(1, status=429)
    assert repaired(lossy).status == Status.OPEN
    Repair.objects.update(next_try_at=timezone.now())
    assert repaired(lossy).failures == 1
    Site.objects.all().delete()
    assert repaired(lossy).status == Status.COMPLETE


def test_keys_that_can_not_be_opened_end_it_in_words(lossy: PolledInstance) -> None:
    ask(lossy)
    Instance.objects.update(private_key=Secret("v2:x:x"))
    failed = repaired(lossy)
    assert (failed.status, lossy.state.lease_token) == (Status.FAILED, None)
    assert "CWCONNECT_ENCRYPTION_KEYS" in failed.error


def test_it_waits_while_the_instance_is_disabled(lossy: PolledInstance) -> None:
    ask(lossy)
    set_enabled(lossy.instance, enabled=False)
    assert repaired(lossy).status == Status.OPEN
    set_enabled(lossy.instance, enabled=True)
    nothing_else_is_due()
    assert repaired(lossy).status == Status.COMPLETE


def test_a_poll_that_is_changed_meanwhile_ends_it(lossy: PolledInstance) -> None:
    ask(lossy)
    slow = step()
    stored = config_of(lossy.instance)
    config = read_configuration({"event.poller.configuration": {"contacts": {}}}, base=stored, stored=stored)
    change_instance(lossy.instance, config=config)
    with pytest.raises(LeaseLostError):
        slow.commit(slow.request()())
    failed = Repair.objects.get()
    assert failed.status == Status.FAILED
    assert "verify once more" in failed.error


def test_what_is_asked_for_twice_is_done_once(lossy: PolledInstance) -> None:
    assert ask(lossy) == ask(lossy)


def test_nothing_is_repaired_before_it_was_compared(lossy: PolledInstance) -> None:
    start_verification(lossy.state.resource_poll, timezone.now())
    with pytest.raises(ConflictError, match="is not known yet"):
        ask(lossy)
    Verification.objects.all().delete()
    with pytest.raises(ConflictError, match="is not known yet"):
        ask(lossy)


def test_it_is_kept_as_long_as_its_verification(lossy: PolledInstance) -> None:
    ask(lossy)
    work()
    prune(timezone.now() + timedelta(days=400))
    assert not Repair.objects.exists()
