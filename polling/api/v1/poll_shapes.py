"""A resource poll as `/v1` shows it: what is asked for, how it fares, and its latest run."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from django.db.models import OuterRef, QuerySet, Subquery

from instances.missing_fields import warnings_of
from instances.models import ResourcePoll
from polling.api.v1.base import Shape
from polling.models import PollRun, PollState

HealthWord = Literal["healthy", "retrying", "rate limited", "rejected", "unauthorized", "held", "paused"]


class RunShape(Shape):
    """One run over a window."""

    id: int
    kind: str
    status: str
    opening: datetime | None
    started_at: datetime
    finished_at: datetime | None
    records: int
    events: int
    skipped: int
    notes: str | None
    error: str | None


class PollShape(Shape):
    """One resource poll.

    `lag_seconds` is how far the last complete run lies behind the present, `error` what ConnectWise or the network
    said last. All of this is null where watching has not begun. `warnings` name configured fields that no record has.
    """

    id: int
    resource: str
    enabled: bool
    configuration: dict[str, Any]
    since: datetime | None
    health: HealthWord | None
    error: str | None
    warnings: list[str]
    failures: int
    cursor: datetime | None
    lag_seconds: int | None
    last_good_at: datetime | None
    next_poll_at: datetime | None
    next_sweep_at: datetime | None
    last_run: RunShape | None


class PollPage(Shape):
    """All polls of an instance."""

    items: list[PollShape]


def poll_shapes(polls: QuerySet[ResourcePoll], now: datetime) -> list[PollShape]:
    """Return polls as `/v1` shows them: two queries, however many there are."""
    latest = PollRun.objects.filter(resource_poll=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    rows = list(polls.select_related("state").annotate(last_run_id=Subquery(latest)))
    runs = PollRun.objects.in_bulk([row.last_run_id for row in rows if row.last_run_id is not None])
    return [_poll_shape(row, runs.get(row.last_run_id), now) for row in rows]


def _poll_shape(poll: ResourcePoll, run: PollRun | None, now: datetime) -> PollShape:
    state: PollState | None = getattr(poll, "state", None)
    return PollShape(
        id=poll.pk,
        resource=poll.name,
        enabled=poll.enabled,
        configuration=poll.configuration,
        since=poll.since,
        health=state.health if state else None,
        error=(state.last_error or None) if state else None,
        warnings=warnings_of(poll),
        failures=state.failures if state else 0,
        cursor=state.cursor if state else None,
        lag_seconds=max(0, round((now - state.cursor).total_seconds())) if state and state.cursor else None,
        last_good_at=state.last_good_at if state else None,
        next_poll_at=state.next_poll_at if state else None,
        next_sweep_at=state.next_sweep_at if state else None,
        last_run=_run_shape(run) if run else None,
    )


def _run_shape(run: PollRun) -> RunShape:
    return RunShape(
        id=run.pk,
        kind=run.kind,
        status=run.status,
        opening=run.opening,
        started_at=run.started_at,
        finished_at=run.finished_at,
        records=run.records,
        events=run.events,
        skipped=run.skipped,
        notes=run.notes or None,
        error=run.error or None,
    )
