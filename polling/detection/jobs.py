"""A claimed poll state and the run that is carried out on it: what polls and sweeps have in common.

The loop (poll_loop.py) makes a job, carries its requests to threads and hands their answers back; everything here runs
in the loop's own thread, and every write is fenced by the lease.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

import orjson
from django.db.models import F, QuerySet
from django.utils import timezone

from cwconnect.tracing import Span
from instances.configuration.polls import plan_of
from instances.connections import client_for
from instances.models import ResourcePoll
from instances.plans import Plan
from polling.models import Leased, PollRun, PollState
from polling.workers.leases import LeaseLostError

LEASE = timedelta(seconds=150)  # the longest request, 120 s, and 30 s to write what it brought
MOST_NOTES = 20


def plan_of_poll(poll: ResourcePoll) -> Plan:
    """Return how a poll's configuration, and what filters ask of it, have it polled."""
    return _plan(poll.name, orjson.dumps(poll.configuration), poll.tracks_for_filters)


@lru_cache(maxsize=4096)
def _plan(name: str, configuration: bytes, tracks_for_filters: bool) -> Plan:
    """Compile a configuration once: it costs as much as an idle poll's request, and few polls differ."""
    return replace(plan_of(name, orjson.loads(configuration)), tracks_for_filters=tracks_for_filters)


def open_runs(poll: ResourcePoll) -> list[PollRun]:
    """Return a poll's open runs: those read with the claim, else as stored now."""
    read: list[PollRun] | None = vars(poll).get("open_runs")
    return list(poll.runs.filter(status=PollRun.Status.OPEN)) if read is None else read


class Claimed(ABC):
    """A claimed state and the run that is carried out on it."""

    def __init__(self, state: PollState, token: str) -> None:
        self.poll: ResourcePoll = state.resource_poll
        self.instance = self.poll.instance
        self.site, self.host = state.site, state.host
        self.key, self.token = state.pk, token
        self.state = state
        if self.poll.since is None:
            raise LeaseLostError(f"{self.poll} has not begun to watch.")
        self.since = self.poll.since
        self.plan = plan_of_poll(self.poll)
        self.client = client_for(self.instance)
        self.started_at = timezone.now()
        self.run = self.open_run()

    @property
    def progress(self) -> PollRun:
        """The run as far as it has come."""
        return self.run

    @abstractmethod
    def open_run(self) -> PollRun:
        """Return the run to carry on, or a new one, not yet stored."""

    def current_run(self) -> PollRun:
        """Return the run as stored, stored now if it is new; LeaseLostError if it went on without us.

        To be called inside the transaction that writes the run's next step.
        """
        run = self.run
        if run.pk is None:
            return PollRun.objects.create(
                resource_poll=self.poll,
                kind=run.kind,
                opening=run.opening,
                started_at=run.started_at,
                traceparent=run.traceparent,
            )
        if not PollRun.objects.filter(pk=run.pk, status=PollRun.Status.OPEN, page=run.page).update(page=F("page")):
            raise LeaseLostError(f"Run {run.pk} has gone on without us.")
        return PollRun.objects.get(pk=run.pk)


class Work(ABC):
    """What the loop carries out, request by request: a run, or a verification, under the lease of a row.

    `commit` and `fail` raise LeaseLostError when the row was taken over.
    """

    row: type[Leased] = PollState
    key: int
    token: str
    site: str
    host: str
    poll: ResourcePoll
    span: Span | None = None  # of what the loop does for it, while traces are on

    @property
    def subject(self) -> str:
        """What log lines call it."""
        return str(self.poll)

    @property
    @abstractmethod
    def about(self) -> Mapping[str, int | None]:
        """The ids that log lines about it carry."""

    @abstractmethod
    def request(self) -> Callable[[], Any]:
        """Return the next request, ready for a thread: it touches no database."""

    @abstractmethod
    def commit(self, answer: Any) -> bool:
        """Write what a request brought; give whether it goes on here and now."""

    @abstractmethod
    def fail(self, error: Exception) -> None:
        """Write that it did not go on."""


class Job(Claimed, Work):
    """A run that the loop carries out."""

    @property
    def about(self) -> Mapping[str, int | None]:
        """The instance and the run."""
        return {"instance_id": self.instance.pk, "run_id": self.run.pk}


def abandon(runs: QuerySet[PollRun]) -> None:
    """End those of these runs that are open, as they are; whoever carries one on finds that it has gone on."""
    open_ones = runs.filter(status=PollRun.Status.OPEN)
    open_ones.update(status=PollRun.Status.ABANDONED, finished_at=timezone.now())


def more_notes(notes: str, problems: list[str]) -> str:
    """Add problems to a run's notes, the first few of them."""
    lines = notes.splitlines() + [problem.replace("\x00", "\\0").replace("\n", " ") for problem in problems]
    if len(lines) > MOST_NOTES:
        lines = [*lines[:MOST_NOTES], "… and more of the kind."]
    return "\n".join(lines)
