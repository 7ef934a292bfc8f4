"""Sending whole notifications again: the same id and bytes, marked `Elements-Webhook-Replay: true`.

A replay is a queued delivery beside the notification's own: what was delivered stays delivered, what was given up
stays so until its replay arrives, and neither holds up later events or pauses the instance. What is still on its way is
hurried, with a fresh schedule. Within a batch no record's events are sent again out of order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from instances import audit
from instances.audit import Action
from instances.models import Instance
from polling.delivery.chains import Chains
from polling.delivery.notifications import utc_text
from polling.delivery.pausing import BLOCKED, PENDING, REPLAYED, is_resting
from polling.models import Event, Notification, Replay

State = Notification.State
BATCH = 5000
_FAILED = Q(state__in=(State.FAILED, State.EXHAUSTED)) | Q(state=PENDING, step__gt=0)

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Selection:
    """Which notifications of an instance: all that are given must hold. Times are of the notification's making.

    `failed`: given up, exhausted, or failing at present. `kind` is an event's: CREATED, UPDATED, DELETED.
    """

    failed: bool = False
    since: datetime | None = None
    until: datetime | None = None
    event_id: int | None = None
    resource: str = ""
    kind: str = ""
    object_id: str = ""

    @property
    def is_everything(self) -> bool:
        """Whether nothing narrows it down."""
        return not any(getattr(self, column.name) for column in fields(self))

    def __str__(self) -> str:
        parts = ["failed notifications" if self.failed else "notifications"]
        parts += [f"of event {self.event_id}"] if self.event_id else []
        parts += [f"of {self.resource}"] if self.resource else []
        parts += [f"with {self.kind}"] if self.kind else []
        parts += [f"of object {self.object_id}"] if self.object_id else []
        parts += [f"since {utc_text(self.since)}"] if self.since else []
        parts += [f"until {utc_text(self.until)}"] if self.until else []
        return " ".join(parts)


def select(instance: Instance, selection: Selection) -> QuerySet[Notification]:
    """Give the notifications of the selection; discarded ones are not sent again."""
    found = Notification.objects.filter(instance=instance).exclude(state=State.DISCARDED)
    if selection.failed:
        found = found.filter(_FAILED)
    if selection.since:
        found = found.filter(created_at__gte=selection.since)
    if selection.until:
        found = found.filter(created_at__lt=selection.until)
    if selection.resource:
        found = found.filter(object_type=selection.resource)
    told = {"pk": selection.event_id, "kind": selection.kind, "object_id": selection.object_id}
    wanted = {name: value for name, value in told.items() if value}
    if wanted:
        found = found.filter(Exists(Event.objects.filter(notification=OuterRef("pk"), **wanted)))
    return found


def count_selected(instance: Instance, selection: Selection) -> int:
    """Give how many notifications a replay of the selection would send."""
    return select(instance, selection).count()


def start_replay(
    instance: Instance, selection: Selection, now: datetime, *, progress: Progress = lambda count: None
) -> Replay:
    """Queue the selection to be sent again; give the row that counts what came of it.

    While the instance rests (disabled, events off, paused) they wait for its release like everything else. `progress`
    hears how many are queued. Queued in batches, each whole or not at all: a crash half-way leaves a smaller replay.
    """
    return _start(instance, str(selection), select(instance, selection), now, progress)


def replay_notifications(chosen: QuerySet[Notification], now: datetime) -> list[Replay]:
    """Queue these very notifications to be sent again, discarded ones left out; give one replay an instance."""
    found = chosen.exclude(state=State.DISCARDED)
    ids = sorted(set(found.order_by().values_list("instance_id", flat=True)))
    return [
        _start(instance, "chosen notifications", found.filter(instance=instance), now, lambda count: None)
        for instance in Instance.objects.select_related("organization").filter(pk__in=ids).order_by("pk")
    ]


def _start(
    instance: Instance, what: str, selected: QuerySet[Notification], now: datetime, progress: Progress
) -> Replay:
    with transaction.atomic():
        replay = Replay.objects.create(instance=instance, asked_at=now, what=what)
        audit.record(Action.REPLAY, instance, organization=instance.organization, details={"what": what})
    for keys in _batches(selected):
        with transaction.atomic():
            count = _queue(replay, keys, now)
            Replay.objects.filter(pk=replay.pk).update(total=F("total") + count)
        progress(count)
    replay.refresh_from_db()
    return replay


def _batches(selected: QuerySet[Notification]) -> Iterator[Sequence[int]]:
    last = 0
    while keys := list(selected.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        yield keys
        last = keys[-1]


def _queue(replay: Replay, keys: Sequence[int], now: datetime) -> int:
    chosen = Notification.objects.filter(pk__in=keys)
    again = list(
        chosen.filter(state__in=Notification.TOLD_OR_GIVEN_UP)
        .order_by("pk")
        .select_for_update()
        .values_list("pk", flat=True)
    )
    for earlier in chosen.filter(replay__isnull=False).order_by().values("replay").annotate(count=Count("pk")):
        # Asked for twice and not sent yet: it is sent once, and counts for the later of both.
        Replay.objects.filter(pk=earlier["replay"]).update(total=F("total") - earlier["count"])
    count = chosen.update(replay=replay, step=0)
    Notification.objects.filter(pk__in=again).update(follows=None, next_attempt_at=None)
    _string(again)
    if not is_resting(replay.instance):
        waiting = Notification.objects.filter(pk__in=keys).filter(Q(state=PENDING) | REPLAYED)
        waiting.exclude(BLOCKED).update(next_attempt_at=now)
    return count


def _string(keys: Sequence[int]) -> None:
    """Have each notification follow the one before it that tells of the same records."""
    chains = Chains()
    events = Event.objects.filter(notification__in=keys).order_by("notification_id")
    for notification, records in _grouped(events.values_list("notification_id", "object_type", "record_id")):
        chains.add(notification, records)
    links = [Notification(pk=key, follows_id=follows) for key, follows in sorted(chains.follows.items())]
    Notification.objects.bulk_update(links, ["follows"], batch_size=500)


def _grouped(rows: Iterable[tuple[int | None, str, int]]) -> Iterator[tuple[int, list[tuple[str, int]]]]:
    groups: dict[int, list[tuple[str, int]]] = {}
    for notification, object_type, record_id in rows:
        if notification is not None:
            groups.setdefault(notification, []).append((object_type, record_id))
    yield from groups.items()


def progress_of(replay: Replay) -> Mapping[str, int]:
    """Give how far a replay came: `total`, `delivered`, `failed`, `left`."""
    replay.refresh_from_db()
    return {"total": replay.total, "delivered": replay.delivered, "failed": replay.failed, "left": replay.left}
