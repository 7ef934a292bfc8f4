"""The reconciliation report: ConnectWise's ids and stamps against snapshots, the event log and what was delivered.

| Finding | Means |
|---|---|
| missed | rows that the poll's filter selects, written before the last good poll began, and not recorded or not known |
| stale | ConnectWise's stamp is newer than the one known, and older than the last good poll |
| deleted | rows that are gone, where deletes are asked for, whose delete is not in the log (see lost_deletes.py) |
| undelivered | events of which a notification has not arrived: waiting, exhausted, given up, or lost |
| repeated | an event like the one before it of the same record: same kind, same stamp, same content |
| coming | rows written since the last good poll, or gone or back since the last sweep: the next one records them |

A row was to be recorded that is above the high-water id, or was written since watching began: it is missed when it is
not known, or when the event of its known state is not in the log. Missed, stale, deleted and undelivered are what is
missing, and what is lost for a subscription (of_subscriptions.py). Events older than the retention may have been
pruned, and are not missed. Memory holds one page, and the ids that are missing.

`start_verification` leaves the comparison to the workers, which carry it out beside the polls (verification_job.py),
and gives the row that shows how far it came: for pages and `/v1`, which then read the row until it is no longer open,
and take what was found by `finding_of`. `verify` compares at once, for the foreground.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import pairwise
from typing import Any

from django.db import transaction
from django.db.models import Count, OuterRef, Q, QuerySet
from django.utils import timezone

from cwconnect.core.errors import ConflictError
from cwconnect.core.hanging_rows import there_is
from instances.models import ResourcePoll
from polling.delivery.first_subscriptions import lost_notifications
from polling.delivery.pausing import subscriptions_of
from polling.detection.deletes.missing_records import Status, missing_records
from polling.models import Event, Notification, RecordSnapshot, SubscriptionEvent, Verification
from polling.verification.comparison import Comparison
from polling.verification.of_subscriptions import SubscriptionFinding, account_for

State = Notification.State
_NOT_ARRIVED = Q(notification__state__in=(*Notification.UNDELIVERED, State.FAILED))
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Finding:
    """What was found of one resource poll: counts of rows and events, and the ids of rows that are missing."""

    poll: ResourcePoll
    source: int
    known: int
    missed: tuple[int, ...]
    stale: tuple[int, ...]
    deleted: tuple[int, ...]
    coming: int
    undelivered: int
    repeated: int
    held: int
    undated: tuple[int, ...] = ()
    subscriptions: tuple[SubscriptionFinding, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing is missing, as far as stamps show: rows of which they don't are not passed over."""
        return not (self.missed or self.stale or self.deleted or self.undelivered or self.undated or self.lost)

    @property
    def lost(self) -> int:
        """How many events are lost for subscriptions that read the log; a first one's others are undelivered."""
        return sum(each.lost for each in self.subscriptions if each.reads_log)

    @property
    def is_several(self) -> bool:
        """Whether what became of events for subscriptions says more than the counts of all: several, or of the log."""
        return len(self.subscriptions) > 1 or any(each.reads_log for each in self.subscriptions)

    @property
    def not_known(self) -> int:
        """How many records of ConnectWise were never read here: nothing is known of them but that they are there.

        Of those known, the ones whose deletes are held back are not in ConnectWise.
        """
        return max(0, self.source - max(0, self.known - self.held))

    def as_json(self) -> dict[str, object]:
        """Return it for a reader of JSON, the missing ids included."""
        return {
            "instance": self.poll.instance_id,
            "resource": self.poll.name,
            "source": self.source,
            "known": self.known,
            "missed": list(self.missed),
            "stale": list(self.stale),
            "deleted": list(self.deleted),
            "undated": list(self.undated),
            "coming": self.coming,
            "undelivered": self.undelivered,
            "repeated": self.repeated,
            "held": self.held,
            "subscriptions": [each.as_json() for each in self.subscriptions],
            "whole": self.whole,
        }

    @classmethod
    def from_json(cls, poll: ResourcePoll, found: Mapping[str, Any]) -> Finding:
        """Read what `as_json` gave."""
        given = {item.name: found[item.name] for item in fields(cls) if item.name in found}
        ids = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
        of_each = tuple(SubscriptionFinding(**each) for each in found.get("subscriptions", ()))
        return cls(poll=poll, **(given | ids | {"subscriptions": of_each}))


def verify(poll: ResourcePoll, now: datetime, *, progress: Progress = lambda rows: None) -> Finding:
    """Compare a poll's resource with what is recorded of it; `progress` hears of the rows read. Changes nothing.

    Asks one request for each 1,000 rows and for each 200 that look as if they were missing. Raises ConnectWiseError.
    To be run beside polls: what they do meanwhile is not taken for a fault.
    """
    comparison = Comparison.begin(poll, now)
    while (request := comparison.request()) is not None:
        comparison.take(request())
        progress(comparison.source)
    return conclude(comparison)


def conclude(comparison: Comparison) -> Finding:
    """Return what a comparison found, once it is at its end."""
    poll = comparison.poll
    return Finding(
        poll=poll,
        source=comparison.source,
        known=RecordSnapshot.objects.filter(resource_poll=poll, gone=False).count(),
        missed=tuple(sorted(comparison.missed)),
        stale=tuple(sorted(comparison.stale)),
        undated=tuple(sorted(comparison.undated)),
        deleted=tuple(comparison.deleted),
        coming=comparison.coming,
        undelivered=undelivered_events(poll).count(),
        repeated=count_repeated(poll),
        held=missing_records(poll.pk, Status.HELD).count(),
        subscriptions=account_for(poll, timezone.now()),
    )


def start_verification(poll: ResourcePoll, now: datetime) -> Verification:
    """Have the workers compare; give the row that shows how far it came: the open one, if there is one already.

    Raises ConflictError where there is nothing to compare: the instance is disabled, or watching has not begun.
    """
    if poll.instance.disabled:
        raise ConflictError("The instance is disabled; PUT /instances/{id}/enabled lets it go on.")
    if poll.since is None:
        raise ConflictError("Watching of this resource has not begun.")
    with transaction.atomic():
        found, _ = Verification.objects.get_or_create(
            resource_poll=poll, status=Verification.Status.OPEN, defaults={"asked_at": now, "next_try_at": now}
        )
    return found


def finding_of(verification: Verification) -> Finding | None:
    """Return what a verification found; None unless it is complete."""
    found = verification.finding
    return None if found is None else Finding.from_json(verification.resource_poll, found)


def undelivered_events(poll: ResourcePoll) -> QuerySet[Event]:
    """Return the events of a poll of which a notification that was made has not arrived, or is lost; oldest first.

    Those excepted that are lost for a subscription that reads the log (of_subscriptions.py).
    """
    wanted = _NOT_ARRIVED | lost_notifications(poll.instance)
    if any(each.reads_log for each in subscriptions_of(poll.instance)):
        judged = SubscriptionEvent.objects.filter(_NOT_ARRIVED, event=OuterRef("pk"), subscription__deleted_at=None)
        wanted |= there_is(judged)
    return Event.objects.filter(wanted, resource_poll=poll).order_by("pk")


def count_repeated(poll: ResourcePoll) -> int:
    """Count events like the one before them of the same record."""
    same = Event.objects.filter(resource_poll=poll).order_by().values("record_id", "kind", "occurred_at")
    suspects = same.annotate(n=Count("pk")).filter(n__gt=1).values_list("record_id", flat=True).distinct()
    repeated = 0
    for record_id in suspects:
        # Neighbours only: a record may change and change back within one second, and both were recorded rightly.
        events = Event.objects.filter(resource_poll=poll, record_id=record_id).order_by("pk")
        repeated += sum(one == next_ for one, next_ in pairwise(events.values_list("kind", "occurred_at", "record")))
    return repeated
