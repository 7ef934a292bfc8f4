"""A worker killed between any two steps of what callbacks have it do: nothing lost, nothing doubled, nothing stuck.

Each scenario is carried out once for each write of it, which the worker does not live to see; another goes on then.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from instances.provisioning import delete_instance, set_enabled
from polling.detection.poll_loop import poll_due
from polling.models import AnnouncedRecord, CallbackCount, CallbackEndpoint, CallbackHint, Event, PollState
from polling.workers.due import poll_due_at
from tests.support.callbacks import Announcer, enable_callbacks, keep_known_key
from tests.support.polled_instance import PolledInstance
from tests.support.required import lengthy

Scenario = Callable[[PolledInstance], tuple[str, str]]
WRITES = ("INSERT", "UPDATE", "DELETE", "WITH", "COPY")
OF_TRANSACTIONS = ("SAVEPOINT", "RELEASE", "ROLLBACK")


class KilledError(BaseException):
    """The process ends here: no handler of ours may see it."""


class Killer:
    """Lets `count` writes pass; what a transaction had written until then is rolled back, as the database does.

    To die before a read is to die before the write that follows.
    """

    def __init__(self, count: int) -> None:
        self._left = count

    def __call__(self, execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        self._left -= sql.startswith(WRITES)
        if self._left < 0 and not sql.startswith(OF_TRANSACTIONS):
            raise KilledError
        return execute(sql, *arguments)


def changed(world: PolledInstance) -> tuple[str, str]:
    """A change that the woken poll brings."""
    world.change(17, "Owner")
    return "updated", "UPDATED"


def changed_in_silence(world: PolledInstance) -> tuple[str, str]:
    """A change that no window shows: the record is known, and its stamp stands still."""
    world.change(17, "Owner")
    stamp = (world.store.get("contacts", 17) or {})["_info"]["lastUpdated"]
    world.poll()
    world.store.clock_offset = 3600
    world.poll()
    world.recorded()
    world.change(17, "Noted", stamp=stamp)
    return "updated", "UPDATED"


def deleted(world: PolledInstance) -> tuple[str, str]:
    """A delete, which two questions confirm."""
    world.store.delete("contacts", 17)
    return "deleted", "DELETED"


@pytest.fixture
def announcer(world: PolledInstance) -> Announcer:
    world.watch(poll={"detectDeletes": True})
    world.poll()
    poll_due(deadline=float("inf"))
    found = enable_callbacks(world.instance)
    keep_known_key(found)
    return found


def work_through() -> None:
    """Judge, poll, and read what was announced, as if the seconds between those had passed."""
    for _ in range(3):
        poll_due(deadline=float("inf"))
        AnnouncedRecord.objects.update(next_read_at=timezone.now())


def survive(count: int) -> bool:
    """Have a worker be killed at that write, and its leases freed; give whether it came to its end before."""
    try:
        with connection.execute_wrapper(Killer(count)):
            work_through()
    except KilledError:
        transaction.set_rollback(False)  # Django's mark of a statement of its own that failed; it wrote nothing
        for row in (PollState, CallbackEndpoint):
            row.objects.update(lease_token=None, lease_until=None)
        return False
    return True


@contextmanager
def undone() -> Iterator[None]:
    """Take back what the block wrote."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def is_due() -> bool:
    now = timezone.now()
    at = poll_due_at(now)
    return at is not None and at <= now


def counts() -> dict[str, int]:
    found = dict(CallbackCount.objects.values_list("name", "count"))
    return {name: found.get(name, 0) for name in ("received", "verified")}


@pytest.mark.parametrize(
    "scenario", [changed, pytest.param(changed_in_silence, marks=lengthy), pytest.param(deleted, marks=lengthy)]
)
def test_another_worker_goes_on_where_one_was_killed(
    world: PolledInstance, announcer: Announcer, scenario: Scenario
) -> None:
    action, kind = scenario(world)
    announcer.announce(17, action)
    for count in itertools.count():
        with undone():
            ended = survive(count)
            work_through()
            found = list(Event.objects.order_by("-pk").values_list("kind", "record_id", "run__kind")[:2])
            assert found[0][:2] == (kind, 17), count
            assert found[1:] == [] or scenario is changed_in_silence, count
            assert found[1:2] != found[:1], count
            assert list(CallbackHint.objects.values_list("status", "body")) == [("verified", None)], count
            assert counts() == {"received": 1, "verified": 1}, count
            assert not AnnouncedRecord.objects.exists(), count
            assert not is_due(), count
        if ended:
            break
    assert count > 10


def disable(world: PolledInstance) -> None:
    set_enabled(world.instance, enabled=False)


def delete(world: PolledInstance) -> None:
    delete_instance(world.instance)


@lengthy
@pytest.mark.parametrize(("scenario", "act"), [(changed_in_silence, disable), (deleted, delete)])
def test_nothing_stays_due_of_what_was_switched_off_meanwhile(
    world: PolledInstance, announcer: Announcer, scenario: Scenario, act: Callable[[PolledInstance], None]
) -> None:
    action, _ = scenario(world)
    announcer.announce(17, action)
    CallbackEndpoint.objects.update(next_compare_at=None)
    for count in itertools.count(0, 4):
        with undone():
            ended = survive(count)
            before = Event.objects.count()
            act(world)
            CallbackEndpoint.objects.update(next_compare_at=None)  # what is registered is another matter
            work_through()
            assert Event.objects.count() == before, count
            assert not CallbackHint.objects.filter(status="waiting").exists(), count
            assert not is_due(), count
        if ended:
            break
    assert count > 10
