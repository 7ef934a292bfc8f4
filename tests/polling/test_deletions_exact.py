"""Random schedules of writes, deletes, lost rows, failures, polls and sweeps: each story is right in the end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cwconnect.sandbox import Store
from instances.models import Instance
from polling.detection.poll_loop import POLLS_AND_SWEEPS, PollLoop
from polling.models import Event, PollState, Site
from tests.support.polled_instance import PolledInstance
from tests.support.sweeps import sweep, watch_deletes

STOOD = 6
CANARY = 1  # is never deleted: without any row left a person decides
FAULTS = ({"status": 500}, {"status": 429}, {"status": 404}, {"status": 403}, {"broken_json": True}, {"drop": True})
STEPS = st.tuples(
    st.sampled_from(
        (*("sweep",) * 4, *("hide",) * 3, *("delete",) * 2, "poll", "due", "create", "change", "show", "blink", "fault")
    ),
    st.integers(0, 8 * len(FAULTS) - 1),
)


@settings(
    max_examples=25, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=st.lists(STEPS, min_size=8, max_size=25))
def test_every_record_s_story_is_right_in_the_end(world: PolledInstance, steps: Sequence[tuple[str, int]]) -> None:
    world.sandbox.store = world.store = Store({"contacts": STOOD})
    Instance.objects.all().delete()
    watch_deletes(world)
    story = Story(world)
    for step, pick in steps:
        story.take(step, pick)
    story.settle()
    for record_id in range(1, world.store.table("contacts").next_id):
        story.check(record_id)


class Story:
    """The steps of one schedule, and what may be recorded of them."""

    def __init__(self, world: PolledInstance) -> None:
        self._world, self._store = world, world.store
        self._vanished: dict[int, int] = {}
        self._written: dict[int, int] = {}

    def take(self, step: str, pick: int) -> None:
        """Take a step; `pick` chooses a record, or a fault and the request that it befalls."""
        ids = [record_id for record_id in self._store.ids("contacts") if record_id != CANARY]
        if step in ("change", "delete", "hide", "blink"):
            if ids:
                getattr(self, f"_{step}")(ids[pick % len(ids)])
        elif step == "create":
            self._store.create("contacts")
        elif step == "show":
            self._store.show("contacts")
        elif step == "fault":
            self._store.fail_next(1, skip=pick % 8, **FAULTS[pick // 8])
        elif step == "due":
            PollState.objects.update(next_poll_at=timezone.now(), next_sweep_at=timezone.now())
            PollLoop(PollState.objects.all(), deadline=float("inf"), kinds=POLLS_AND_SWEEPS).run()
        elif step == "poll":
            self._world.poll()
        else:
            sweep(self._world)

    def _change(self, record_id: int) -> None:
        self._written[record_id] = self._written.get(record_id, 0) + 1
        self._world.change(record_id, f"Title {self._written[record_id]}")

    def _delete(self, record_id: int) -> None:
        self._vanished[record_id] = self._vanished.get(record_id, 0) + 1
        self._store.delete("contacts", record_id)

    def _hide(self, record_id: int) -> None:
        self._vanished[record_id] = self._vanished.get(record_id, 0) + 1
        self._store.hide("contacts", [record_id])

    def _blink(self, record_id: int) -> None:
        """Have a row missed by the list, and there when it is asked for."""
        self._store.hide("contacts", [record_id])
        stop = self._store.on_request(
            lambda request: self._store.show("contacts") if "contacts/" in request.path else None
        )
        sweep(self._world)
        stop()
        self._store.show("contacts")

    def settle(self) -> None:
        """Let all be as it is, and look at it once more."""
        self._store.clear_faults()
        self._store.show("contacts")
        Site.objects.all().delete()
        for _ in range(2):
            self._world.poll()
            sweep(self._world)

    def check(self, record_id: int) -> None:
        """Look at what was recorded of one record."""
        kinds = list(Event.objects.filter(record_id=record_id).order_by("pk").values_list("kind", flat=True))
        lives = record_id in self._store.ids("contacts")
        if record_id > STOOD:
            assert kinds.count("CREATED") == (1 if lives else min(len(kinds), 1)), kinds
            assert not kinds or kinds[0] == "CREATED", kinds
        else:
            assert "CREATED" not in kinds, kinds
            assert lives or kinds, kinds
        if kinds:
            assert lives == (kinds[-1] != "DELETED"), kinds
        deletes = kinds.count("DELETED")
        assert ("DELETED", "DELETED") not in pairwise(kinds), kinds
        assert deletes <= self._vanished.get(record_id, 0), kinds
        assert kinds.count("UPDATED") <= self._written.get(record_id, 0) + deletes, kinds
        if lives and self._written.get(record_id) and record_id <= STOOD:
            assert "UPDATED" in kinds
