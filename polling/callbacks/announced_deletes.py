"""Announced deletes: asked for one by one, then a row known to live; recorded or held as a sweep's are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from cwconnect.connectwise.client import Client
from cwconnect.connectwise.errors import ConnectWiseError
from instances.models import ResourcePoll
from instances.plans import Plan
from polling.detection.deletes.deletions import judge_missing, record_deletes
from polling.detection.deletes.missing_records import Status, calm_health, missing_records, note_missing
from polling.detection.deletes.sweeps import answers_as_canary, is_there
from polling.models import AnnouncedRecord, Event, Health, PollRun, RecordSnapshot

Answer = bool | ConnectWiseError


class Confirmation:
    """One round of questions for records that are said to be gone; the canary's answer, the last, ends it.

    Afterwards `there` and `absent` have the ids by their answers, and `confirmed` those not found for the second time.
    Without the canary's good answer nothing is known of those not found: all of them count as still there.
    """

    def __init__(self, poll_id: int, rows: Sequence[AnnouncedRecord]) -> None:
        self._not_found = {row.record_id: row.not_found for row in rows}
        self._to_ask = [row.record_id for row in rows]
        self._canary = _canary_of(poll_id, self._to_ask) if rows else 0
        self.there: list[int] = []
        self.absent: list[int] = []

    @property
    def ids(self) -> list[int]:
        """All that the round asks for."""
        return list(self._not_found)

    @property
    def anyone_left(self) -> bool:
        """Whether there is a row known to live that could answer for the others."""
        return bool(self._canary)

    @property
    def confirmed(self) -> list[int]:
        """Those that were not found by an earlier round either."""
        return [number for number in self.absent if self._not_found[number]]

    def request(self, client: Client, path: str) -> Callable[[], Answer]:
        """Return the next question, ready for a thread."""
        if self._to_ask:
            number = self._to_ask[0]
            return lambda: is_there(client, path, number, patient=True)
        canary = self._canary
        return lambda: answers_as_canary(client, path, canary, patient=True)

    def take(self, answer: Answer) -> bool:
        """Note an answer; give whether the round is over."""
        if self._to_ask:
            number = self._to_ask.pop(0)
            (self.absent if answer is False else self.there).append(number)
            return not self._to_ask and not self.absent
        if answer is not True:
            self.there, self.absent = self.there + self.absent, []
        return True


def _canary_of(poll_id: int, ids: Sequence[int]) -> int:
    """Return the id of a row that should be there; 0 if none is known: then the list must be empty."""
    living = RecordSnapshot.objects.filter(resource_poll_id=poll_id, gone=False).exclude(record_id__in=ids)
    said_gone = AnnouncedRecord.objects.filter(resource_poll_id=poll_id, deleted=True)
    living = living.exclude(record_id__in=said_gone.values("record_id"))
    living = living.exclude(record_id__in=missing_records(poll_id).values("record_id"))
    return living.order_by("-record_id").values_list("record_id", flat=True).first() or 0


def hold_or_record(
    poll: ResourcePoll, plan: Plan, run: PollRun, ids: Sequence[int], now: datetime, *, anyone_left: bool
) -> Health:
    """Record these rows as deleted, or hold them where very many are gone; return the poll's health by now.

    In a fenced transaction; `run` is stored. Those that callbacks had recorded since the last sweep count as gone too.
    `anyone_left`: some row known to live answered for them.
    """
    note_missing(poll.pk, ids, Status.MISSED)
    run.held = judge_missing(poll.pk, anyone_left=anyone_left, gone_before=_gone_since_the_sweep(poll))
    if not run.held:
        run.events += record_deletes(poll, plan, run, ids, now=now, seen=now)
    return calm_health(poll.pk)


def _gone_since_the_sweep(poll: ResourcePoll) -> int:
    """Return how many rows callbacks have recorded as deleted since the last complete sweep began."""
    sweeps = PollRun.objects.filter(resource_poll=poll, kind=PollRun.Kind.SWEEP, status=PollRun.Status.COMPLETE)
    last = sweeps.order_by("-pk").values_list("pk", flat=True).first() or 0
    runs = PollRun.objects.filter(resource_poll=poll, kind=PollRun.Kind.ANNOUNCED, pk__gt=last, events__gt=0)
    return Event.objects.filter(run__in=runs, kind=Event.Kind.DELETED).count()
