"""A copy and the events that follow it are the source, exactly: whatever is written, deleted, polled and read between.

Each schedule is a list of steps over a handful of contacts, two a page: writes, polls, sweeps, pages of the copy, and
workers that hold an answer while others go on, or die with it. At the end the copy is finished and one poll and one
sweep are made; a program that began with the copy, and then goes by the events, holds what ConnectWise holds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from cwconnect.sandbox import SandboxServer, Store
from instances.models import Instance
from polling.copies.asking import start_copy
from polling.copies.copy_job import claim_copies
from polling.copies.watched import watched
from polling.detection.deletes.deletions import release_held
from polling.detection.poll_loop import POLLS, POLLS_AND_SWEEPS, PollLoop
from polling.detection.polls.runs import PollJob
from polling.models import Copy, LogPosition, PollRun, PollState, Site
from polling.workers.due import make_due
from polling.workers.leases import LeaseLostError
from tests.conftest import Tenant
from tests.polling.test_exactness import LONG
from tests.support.first_load import held_by_a_program, without_nulls
from tests.support.polled_instance import PolledInstance, claimed_state
from tests.support.required import SERVICES_REQUIRED

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STEPS = (
    *("create", "create late", "change", "change", "touch", "delete", "delete", "second", "minutes"),
    *("poll", "sweep", "ask poll", "write poll", "ask copy", "write copy", "copy dies", "copy", "copy", "copy"),
)
SCHEDULES = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 9)), min_size=4, max_size=30)
SETTINGS = settings(
    max_examples=2000 if LONG else 60 if SERVICES_REQUIRED else 25,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)


class Schedule:
    """One instance that watches contacts, its copy, and what happens to both."""

    def __init__(self, tenant: Tenant, server: SandboxServer) -> None:
        self.now = NOON
        self.clock = time_machine.travel(self.now, tick=False)
        self.traveller = self.clock.start()
        self.store = server.store = Store({"contacts": 5}, clock=lambda: self.now)
        self.world = PolledInstance(tenant, server)
        self.world.watch(poll={"detectDeletes": True, "pageSize": 2})
        self.held_poll: tuple[PollJob, Any] | None = None
        self.held_copy: Any = None
        self.made = 0
        self.pass_time(30)

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.traveller.move_to(self.now)

    def do(self, step: str, pick: int) -> None:
        actions: dict[str, Callable[[], object]] = {
            "create": lambda: self.store.create("contacts"),
            "create late": lambda: self.store.create("contacts", visible_after=timedelta(seconds=30 * pick)),
            "change": lambda: self.alter(pick, title=f"Title {self.made}"),
            "touch": lambda: self.alter(pick),
            "delete": lambda: self.on_one(pick, lambda number: self.store.delete("contacts", number)),
            "second": lambda: self.pass_time(0.4),
            "minutes": lambda: self.pass_time(40 * pick),
            "poll": lambda: self.run_polls(sweeps=False),
            "sweep": lambda: self.run_polls(sweeps=True),
            "ask poll": self.ask_poll,
            "write poll": self.write_poll,
            "ask copy": self.ask_copy,
            "write copy": self.write_copy,
            "copy dies": self.forget_copy,
            "copy": self.copy_a_page,
        }
        self.made += 1
        actions[step]()

    def on_one(self, pick: int, act: Callable[[int], object]) -> None:
        ids = self.store.ids("contacts")
        if ids:
            act(ids[-1 - pick % len(ids)])

    def alter(self, pick: int, **fields: str) -> None:
        self.on_one(pick, lambda number: self.store.change("contacts", number, fields))

    def run_polls(self, *, sweeps: bool) -> None:
        self.write_poll()
        Site.objects.all().delete()
        states = PollState.objects.filter(pk=self.world.state.pk)
        make_due(states)
        tomorrow = timezone.now() + timedelta(days=1)
        states.update(next_sweep_at=timezone.now() if sweeps else tomorrow)
        PollLoop(states, deadline=float("inf"), kinds=POLLS_AND_SWEEPS if sweeps else POLLS).run()
        PollState.objects.update(next_poll_at=tomorrow, next_sweep_at=tomorrow)

    def ask_poll(self) -> None:
        self.write_poll()
        job = PollJob(*claimed_state(self.world))
        self.held_poll = job, job.request()()

    def write_poll(self) -> None:
        if self.held_poll is not None:
            job, answer = self.held_poll
            self.held_poll = None
            if job.commit(answer):
                PollState.objects.filter(pk=job.key).end_leases()
            PollState.objects.update(next_poll_at=timezone.now() + timedelta(days=1))

    def ask_copy(self) -> None:
        for job in claim_copies(16, []) if self.held_copy is None else ():
            self.held_copy = job, job.request()()

    def write_copy(self) -> None:
        if self.held_copy is not None:
            job, answer = self.held_copy
            self.held_copy = None
            if job.commit(answer):
                Copy.objects.filter(pk=job.key).end_leases()

    def copy_a_page(self) -> None:
        self.ask_copy()
        self.write_copy()

    def forget_copy(self) -> None:
        """The worker is taken for dead, another goes on, and the first wakes up with its answer."""
        if self.held_copy is None:
            return
        job, answer = self.held_copy
        self.held_copy = None
        Copy.objects.end_leases()
        self.do("copy", 0)
        with pytest.raises(LeaseLostError):
            job.commit(answer)

    def finish(self) -> Copy:
        while Copy.objects.get().is_open:
            Copy.objects.update(next_try_at=self.now)
            self.do("copy", 0)
        self.pass_time(400)  # whatever was to be visible later
        self.run_polls(sweeps=False)
        self.run_polls(sweeps=True)
        if release_held(self.world.state):  # no row is left to vouch for the others: a person says so
            self.run_polls(sweeps=True)
        assert not PollRun.objects.filter(status=PollRun.Status.OPEN).exists()
        return Copy.objects.select_related("instance", "watched_poll").get()

    def close(self) -> None:
        self.clock.stop()
        Instance.objects.all().delete()
        Site.objects.all().delete()
        LogPosition.objects.all().delete()


@pytest.fixture
def _quiet() -> Iterator[None]:
    """What is lost on purpose would fill the log."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(7200 if LONG else 300)
@pytest.mark.usefixtures("_quiet")
@SETTINGS
@given(before=SCHEDULES, schedule=SCHEDULES)
# Created after the last poll, read by the copy alone, and gone before the next.
@example(before=[("poll", 0)], schedule=[("create", 0), *[("copy", 0)] * 4, ("delete", 0)])
# Read by a worker before it was changed, and kept after the poll that saw the change.
@example(before=[("poll", 0)], schedule=[("ask copy", 0), ("second", 0), ("change", 9), ("poll", 0), ("write copy", 0)])
# A poll that had read before the copy did, and is written after it.
@example(before=[("poll", 0)], schedule=[("change", 0), ("ask poll", 0), ("change", 0), *[("copy", 0)] * 4])
def test_a_copy_and_the_events_after_it_are_the_source(
    tenant: Tenant,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
    before: list[tuple[str, int]],
    schedule: list[tuple[str, int]],
) -> None:
    monkeypatch.setattr("cwconnect.connectwise.client.LARGEST_PAGE", 2)
    happening = Schedule(tenant, sandbox)
    try:
        for step, pick in before:
            happening.do(step, pick)
        start_copy(happening.world.instance, "select * from contacts")
        for step, pick in schedule:
            happening.do(step, pick)
        copy = happening.finish()
        source = {number: happening.store.get("contacts", number) for number in happening.store.ids("contacts")}
        assert held_by_a_program(copy) == {number: without_nulls(record) for number, record in source.items()}
        assert watched(copy).words == ""
    finally:
        happening.close()
