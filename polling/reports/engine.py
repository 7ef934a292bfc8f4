"""Whether the parts that poll and deliver are alive."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Subquery

from cwconnect.core.one_statement import Question, Questions, Row, time_of
from instances.models import Organization, ResourcePoll
from polling.models import Heartbeat, PollState

WORKER_SILENT = timedelta(seconds=60)  # a worker shows itself every 10 s
POLLS_LATE = timedelta(minutes=3)


@dataclass(frozen=True)
class Engine:
    """What is the matter, empty if nothing is; then also when a worker was last seen alive, if one ever was."""

    problem: str = ""
    worker_seen_at: datetime | None = None


def engine(organization: Organization, now: datetime) -> Engine:
    """Look whether a worker lives and polls are on time: one query."""
    found = _ENGINE.ask(organization=organization.pk, late=now - POLLS_LATE)
    return engine_of(found["engine"][0], now)


def engine_question(organization: int, late: datetime) -> dict[str, Question]:
    """Return the query of what `engine_of` judges by, one row. Polls that were due at the time `late` are late."""
    seen = Heartbeat.objects.filter(part=Heartbeat.Part.CLUSTER).order_by("-seen_at").values("seen_at")[:1]
    polls = ResourcePoll.objects.filter(instance__organization=OuterRef("pk"))
    # What is due of anyone, mostly nothing, and of that what is theirs: not the other way round.
    overdue = polls.filter(pk__in=PollState.objects.filter(next_poll_at__lt=late, lease_until=None).values("pk"))
    lately = polls.filter(state__last_good_at__gt=late)
    rows = Organization.objects.filter(pk=organization)
    asked = rows.annotate(seen=Subquery(seen), late=Exists(overdue), lately=Exists(lately))
    return {"engine": (asked, ("seen", "late", "lately"))}


_ENGINE = Questions(engine_question)


def engine_of(row: Row, now: datetime) -> Engine:
    """Judge by a row. A worker that lives is not named with the time: it is seen anew every few seconds."""
    seen = time_of(row["seen"])
    if seen is None:
        return Engine("No worker has been seen: nothing is polled or delivered.")
    if now - seen > WORKER_SILENT:
        return Engine("No worker shows life any more: nothing is polled or delivered.", seen)
    if row["late"] and not row["lately"]:
        return Engine("Polls are due and none is run, though a worker lives.", seen)
    return Engine()
