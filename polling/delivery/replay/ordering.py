"""The order in which a replay sends: a record's later events go after its earlier ones.

A notification can wait for one other at a time. Those of a batch are strung into chains. What shares records with
earlier batches may have to wait for several: it waits for the last of these that is still to be sent, and when that is
over, looks again. Waits lead along a chain or to an earlier batch of the same replay, so never round in a circle: what
another replay sends is not waited for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from django.db.models import QuerySet

from polling.delivery.replay.chains import Chains
from polling.models import Event, Notification

BATCH_SIZE = 500
Record = tuple[int, str, str, int]
"""An instance's id, the object's id and type, and ConnectWise's own id."""
Item = TypeVar("Item")


def link_chains(keys: Sequence[int]) -> None:
    """Have each notification of a batch follow the one before it that carries events of the same records."""
    chains = Chains()
    events = Event.objects.filter(notification__in=keys).order_by("notification_id")
    for notification, records in _grouped(events.values_list("notification_id", "object_type", "record_id")):
        chains.add(notification, records)
    _link(chains.follows)


def _grouped(rows: Iterable[tuple[int | None, str, int]]) -> Iterator[tuple[int, list[tuple[str, int]]]]:
    groups: dict[int, list[tuple[str, int]]] = {}
    for notification, object_type, record_id in rows:
        if notification is not None:
            groups.setdefault(notification, []).append((object_type, record_id))
    yield from groups.items()


def line_up(replayed: QuerySet[Notification]) -> None:
    """Have each of these follow the last earlier one of its replay that shares a record with it, if there is one.

    To be asked before they are made due; by `rearm_stranded` within a minute if the other was over just then.
    """
    waiting = dict(replayed.values_list("pk", "replay_id"))
    carriers: dict[Record, list[int]] = defaultdict(list)
    for key, record in _records_of(notification__in=list(waiting)):
        carriers[record].append(key)
    follows: dict[int, int] = {}
    for records in _batches(sorted(carriers)):
        # By an index of events alone: joined with what is still to be sent, a database may begin with all of that.
        rows = _records_of(
            instance__in={record[0] for record in records}, object_id__in={record[1] for record in records}
        )
        pairs = [(before, key) for before, record in rows for key in carriers.get(record, ()) if before < key]
        replays = _still_to_be_sent({before for before, _ in pairs})
        for before, key in pairs:
            if before in replays and replays[before] == waiting[key]:
                follows[key] = max(before, follows.get(key, before))
    _link(follows)


def _records_of(**events: object) -> Iterator[tuple[int, Record]]:
    """Return notification and record of each of these events."""
    columns = ("notification_id", "instance_id", "object_id", "object_type", "record_id")
    for notification, *record in Event.objects.filter(**events, notification__isnull=False).values_list(*columns):
        yield notification, tuple(record)


def _still_to_be_sent(keys: Collection[int]) -> dict[int, int | None]:
    """Give, of these notifications, those that a replay still has to send, and which."""
    found: dict[int, int | None] = {}
    for batch in _batches(sorted(keys)):
        rows = Notification.objects.filter(
            pk__in=batch, replay__isnull=False, state__in=Notification.DELIVERED_OR_GIVEN_UP
        )
        found.update(rows.values_list("pk", "replay_id"))
    return found


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[first : first + BATCH_SIZE] for first in range(0, len(items), BATCH_SIZE))


def _link(follows: Mapping[int, int]) -> None:
    links = [Notification(pk=key, follows_id=before) for key, before in sorted(follows.items())]
    Notification.objects.bulk_update(links, ["follows"], batch_size=500)
