"""The index of names: the words of records' titles, written as events come, by whichever worker's turn it is.

A periodic job reads the titles of new events (`advance`); polls neither write it nor wait for it. A record is found by
the beginnings of words of any title that it had, for as long as an event of it is kept (polling/maintenance).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Exists, Max, OuterRef, Q, QuerySet

from cwconnect.core.bulk_sql import insert_missing
from instances.models import Organization
from polling.detection.titles import any_record
from polling.log.event_ids import complete_upto
from polling.models import Event, RecordWord, StoredCounter
from polling.reports.counters import step_on

CANDIDATES = 2000  # records with a word that begins so, among which the others are looked for
MOST_RECORDS = 100
STEP = 10_000
_STEPS = 20  # of one run, so that the job ends in time also over a log from before there was an index
_MOST_WORDS, _LONGEST_WORD = 12, 40
_NAME = "names"
_COLUMNS = ("resource_poll_id", "record_id", "word", "organization_id")
Records = Mapping[int, list[int]]


def words_in(text: str) -> list[str]:
    """Return the words of a title or of what is searched for, in small letters, each once."""
    found = re.findall(r"\w+", text.casefold())
    return list(dict.fromkeys(word[:_LONGEST_WORD] for word in found))[:_MOST_WORDS]


def indexed_upto() -> int | None:
    """Return the last event whose title is in the index; None before the job has run."""
    return StoredCounter.objects.filter(name=_NAME).values_list("upto", flat=True).first()


def find_records(organization: Organization, words: list[str]) -> Records:
    """Return records by their polls, `MOST_RECORDS` at most, that have words which begin with all of these: one query.

    The longest word says where to look, among `CANDIDATES` at most.
    """
    first, *others = sorted(words, key=len, reverse=True)
    near = RecordWord.objects.filter(_begins(first), organization=organization).order_by("word")
    of_record = RecordWord.objects.filter(resource_poll=OuterRef("resource_poll"), record_id=OuterRef("record_id"))
    has = {f"has_{place}": Exists(of_record.filter(_begins(word))) for place, word in enumerate(others)}
    rows = near.annotate(**has).values_list("resource_poll_id", "record_id", *has)[:CANDIDATES]
    records: dict[int, list[int]] = {}
    kept = dict.fromkeys((poll, record) for poll, record, *has in rows if all(has))
    for poll, record in list(kept)[:MOST_RECORDS]:
        records.setdefault(poll, []).append(record)
    return records


def events_of(records: Records) -> QuerySet[Event]:
    """Return the events of these records."""
    return Event.objects.filter(any_record(records))


def newest_of(records: Records, most: int) -> list[int]:
    """Return the newest event of each of these records, the newest first."""
    newest = events_of(records).order_by().values("resource_poll_id", "record_id").annotate(newest=Max("pk"))
    return list(newest.order_by("-newest").values_list("newest", flat=True)[:most])


def _begins(word: str) -> Q:
    """Return the condition that a word begins so, in the form for which the database takes the index."""
    if connection.vendor == "postgresql":
        return Q(word__startswith=word)
    return Q(word__gte=word, word__lt=word + "\U0010ffff")


def advance(now: datetime) -> None:
    """Put the titles of new events into the index."""
    for _ in range(_STEPS):
        if not _advance():
            return


@transaction.atomic
def _advance() -> bool:
    """Read `STEP` events at most; give whether there are more."""
    if indexed_upto() is None:
        StoredCounter.objects.bulk_create([StoredCounter(name=_NAME)], ignore_conflicts=True)
    counter = StoredCounter.objects.select_for_update().get(name=_NAME)
    complete = complete_upto()
    newest = Event.objects.aggregate(last=Max("pk"))["last"] or 0 if complete is None else complete
    last = max(counter.upto, newest)
    upto = step_on(Event.objects.all(), counter.upto, last, STEP)
    titled = Event.objects.filter(pk__gt=counter.upto, pk__lte=upto, resource_poll__isnull=False).exclude(title="")
    owned = titled.filter(instance__organization__isnull=False).order_by()
    rows = owned.values_list("resource_poll_id", "record_id", "title", "instance__organization_id").distinct()
    insert_missing(RecordWord, _COLUMNS, list(_words(rows)), key=_COLUMNS[:3])
    counter.upto = upto
    counter.save(update_fields=["upto"])
    return upto < last


def _words(rows: Iterable[tuple[int | None, int, str, int | None]]) -> Iterable[tuple[object, ...]]:
    found = {
        (poll, record, word): organization for poll, record, title, organization in rows for word in words_in(title)
    }
    return ((*key, organization) for key, organization in sorted(found.items()))
