"""Whether the parts that poll and deliver are alive, and as of when states are known if not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import BooleanField, Exists, Max, QuerySet, Subquery, Value
from django.db.models.expressions import RawSQL

from cwconnect.core.database_writes import refusal_to_write
from cwconnect.core.layout import PROGRAM
from cwconnect.core.one_statement import Question, Questions, Row, time_of
from instances.models import Organization, ResourcePoll
from polling.models import Health, Heartbeat, PollState

WORKER_SILENT = timedelta(seconds=60)  # a worker shows itself every 10 s
POLLS_LATE = timedelta(minutes=3)
START = f"Start {PROGRAM} work, or {PROGRAM} up; if one runs, its log says what is wrong."
MAY_NOT_WRITE = "The database takes no writes: nothing is polled or delivered, and nothing can be changed."
ASK_SERVER = "It is a standby, or was made read-only: point CWCONNECT_DATABASE_URL to a server that takes writes."
# What such a word says holds for as long as a worker sees it anew: all others are facts, or wait for a person.
PASSING_STATES = frozenset(
    {*(Health.HEALTHY, Health.RETRYING, Health.RATE_LIMITED), "registered", "notified", "delivering"}
)


@dataclass(frozen=True)
class Engine:
    """What is the matter, and what to do; empty if nothing is.

    Then also when a worker was last seen alive, if one ever was, and the time up to which states are known.
    """

    problem: str = ""
    worker_seen_at: datetime | None = None
    remedy: str = ""
    known_until: datetime | None = None

    def knows(self, word: str) -> bool:
        """Return whether a state is as that word says: none that a worker must see anew, or one that lives."""
        return not self.problem or word not in PASSING_STATES


def engine(organization: Organization, now: datetime) -> Engine:
    """Look whether a worker lives and polls are on time: one query, a second or third where that is not so."""
    found = _ENGINE.ask(organization=organization.pk, late=now - POLLS_LATE)
    return engine_of(found["engine"][0], organization, now)


def engine_question(organization: int, late: datetime) -> dict[str, Question]:
    """Return the query of what `engine_of` judges by, one row. Polls that were due at the time `late` are late."""
    seen = Heartbeat.objects.filter(part=Heartbeat.Part.CLUSTER).order_by("-seen_at").values("seen_at")[:1]
    # What is due of anyone, mostly nothing, and of that what is theirs: not the other way round.
    due = PollState.objects.filter(next_poll_at__lt=late, lease_until=None).values("pk")
    overdue = ResourcePoll.objects.filter(instance__organization=organization, pk__in=due)
    asked = Organization.objects.filter(pk=organization).annotate(
        seen=Subquery(seen), late=Exists(overdue), read_only=_read_only()
    )
    return {"engine": (asked, ("seen", "late", "read_only"))}


def _read_only() -> RawSQL | Value:
    """On PostgreSQL: true on a standby, and where an administrator has made server, database or role read-only."""
    if connection.vendor == "postgresql":
        return RawSQL("current_setting('transaction_read_only') = 'on'", [], output_field=BooleanField())
    return Value(value=False)


_ENGINE = Questions(engine_question)


def engine_of(row: Row, organization: Organization, now: datetime) -> Engine:
    """Judge by a row. A worker that lives is not named with the time: it is seen anew every few seconds."""
    seen = time_of(row["seen"])
    refusal = ASK_SERVER if row["read_only"] else refusal_to_write(connection)
    if refusal:
        return Engine(MAY_NOT_WRITE, seen, refusal, seen or _last_good(organization))
    if seen is None:
        nobody = "No worker has been seen: nothing is polled or delivered."
        return Engine(nobody, None, START, _last_good(organization))
    if now - seen > WORKER_SILENT:
        return Engine("No worker shows life any more: nothing is polled or delivered.", seen, START, seen)
    # Planning this takes PostgreSQL as long as all of the row, which nearly always says that nothing is late.
    if row["late"] and not _polled_since(organization, now - POLLS_LATE):
        idle = "Polls are due and none is run, though a worker lives."
        return Engine(idle, seen, "Its log says what is wrong; start it anew.", _last_good(organization))
    return Engine()


def _polled_since(organization: Organization, moment: datetime) -> bool:
    return _polls_of(organization).filter(last_good_at__gt=moment).exists()


def _last_good(organization: Organization) -> datetime | None:
    """Return when any poll last went well: read of all of them, and only where something is wrong."""
    last: datetime | None = _polls_of(organization).aggregate(last=Max("last_good_at"))["last"]
    return last


def _polls_of(organization: Organization) -> QuerySet[PollState]:
    return PollState.objects.filter(resource_poll__instance__organization=organization)
