"""A world whose contacts are swept for deletes when a test wants."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from polling.detection.poll_loop import POLLS_AND_SWEEPS, PollLoop
from polling.models import MissingRecord, PollRun, PollState, RecordSnapshot, Site
from tests.support.polled_instance import PolledInstance


def watch_deletes(world: PolledInstance, *, poll: dict[str, Any] | None = None, **keys: Any) -> PolledInstance:
    """Create the instance with deletes asked for, poll once and take the baseline."""
    world.watch(poll={"detectDeletes": True, **(poll or {})}, **keys)
    world.poll()
    sweep(world)
    assert world.recorded() == []
    world.store.clear_requests()
    return world


def watch_companies(world: PolledInstance, *, callback_url: str = "http://127.0.0.1:9/", **poll: Any) -> None:
    """Watch organizations in place of contacts, with deletes asked for."""
    world.store.table("organizations").fill(5, world.store.now() - 1000)
    keys = {"detectDeletes": True, "url": "/hubs/crm/organizations?fields=id,name&where=lastUpdated>'${date}'"}
    world.watch(poll=keys | poll, callback_url=callback_url)
    world.poll()
    if poll.get("detectDeletes", True):
        sweep(world)
    assert world.recorded() == []


def sweep(world: PolledInstance) -> PollRun:
    """Sweep now, whatever waits stand in the way; give the run."""
    Site.objects.all().delete()
    PollState.objects.filter(next_sweep_at__isnull=False).update(next_sweep_at=timezone.now())
    PollLoop(PollState.objects.all(), deadline=float("inf"), kinds=POLLS_AND_SWEEPS).run()
    return PollRun.objects.filter(kind=PollRun.Kind.SWEEP).latest("id")


def delete(world: PolledInstance, *ids: int) -> None:
    """Delete contacts."""
    for record_id in ids:
        world.store.delete("contacts", record_id)


def status(world: PolledInstance) -> dict[int, str]:
    """Return the status of every missing record."""
    return dict(MissingRecord.objects.order_by("record_id").values_list("record_id", "status"))


def known(record_id: int) -> RecordSnapshot | None:
    """Return what is known of a contact."""
    return RecordSnapshot.objects.filter(record_id=record_id).first()
