"""Whether the parts that poll and deliver are alive."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, Subquery

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
    """Look whether a worker lives and polls are on time: one query, a second where some are late."""
    found = _ENGINE.ask(organization=organization.pk, late=now - POLLS_LATE)
    return engine_of(found["engine"][0], organization, now)


def engine_question(organization: int, late: datetime) -> dict[str, Question]:
    """Return the query of what `engine_of` judges by, one row. Polls that were due at the time `late` are late."""
    seen = Heartbeat.objects.filter(part=Heartbeat.Part.CLUSTER).order_by("-seen_at").values("seen_at")[:1]
    # What is due of anyone, mostly nothing, and of that what is theirs: not the other way round.
    due = PollState.objects.filter(next_poll_at__lt=late, lease_until=None).values("pk")
    overdue = ResourcePoll.objects.filter(instance__organization=organization, pk__in=due)
    asked = Organization.objects.filter(pk=organization).annotate(seen=Subquery(seen), late=Exists(overdue))
    return {"engine": (asked, ("seen", "late"))}


_ENGINE = Questions(engine_question)


def engine_of(row: Row, organization: Organization, now: datetime) -> Engine:
    """Judge by a row. A worker that lives is not named with the time: it is seen anew every few seconds."""
    seen = time_of(row["seen"])
    if seen is None:
        return Engine("No worker has been seen: nothing is polled or delivered.")
    if now - seen > WORKER_SILENT:
        return Engine("No worker shows life any more: nothing is polled or delivered.", seen)
    # Planning this takes PostgreSQL as long as all of the row, which nearly always says that nothing is late.
    if row["late"] and not _polled_since(organization, now - POLLS_LATE):
        return Engine("Polls are due and none is run, though a worker lives.", seen)
    return Engine()


def _polled_since(organization: Organization, moment: datetime) -> bool:
    polls = PollState.objects.filter(resource_poll__instance__organization=organization)
    return polls.filter(last_good_at__gt=moment).exists()
