"""The order in which a replay sends: a record's later events go after its earlier ones.

A notification can wait for one other at a time. Those of a batch are strung into chains. What shares records with
earlier batches may have to wait for several: it waits for the last of these that is still to be sent, and when that is
over, looks again. Waits lead along a chain or to an earlier batch of the same replay, so never round in a circle: what
another replay sends is not waited for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from django.db.models import QuerySet

from polling.delivery.carried import carried_by, records_of
from polling.delivery.replay.chains import Chains
from polling.models import Notification, Subscription

BATCH_SIZE = 500
Record = tuple[int, str, str, int]
"""A subscription's id, the object's id and type, and ConnectWise's own id."""
Item = TypeVar("Item")
_COLUMNS = ("object_id", "object_type", "record_id")


def link_chains(keys: Sequence[int]) -> None:
    """Have each notification of a batch follow the one before it that carries events of the same records."""
    chains = Chains()
    for notification, records in _grouped(carried_by(keys, *_COLUMNS)):
        chains.add(notification, records)
    _link(chains.follows)


def _grouped(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[int, list[Record]]]:
    groups: dict[int, list[Record]] = {}
    for notification, *record in rows:
        groups.setdefault(notification, []).append((record[0], record[1], record[2], record[3]))
    yield from groups.items()


def line_up(replayed: QuerySet[Notification]) -> None:
    """Have each of these follow the last earlier one of its replay that shares a record with it, if there is one.

    To be asked before they are made due; by `rearm_stranded` within a minute if the other was over just then.
    """
    waiting = dict(replayed.values_list("pk", "replay_id"))
    carriers: dict[Record, list[int]] = defaultdict(list)
    for key, *record in carried_by(list(waiting), *_COLUMNS):
        carriers[(record[0], record[1], record[2], record[3])].append(key)
    follows: dict[int, int] = {}
    for records in _batches(sorted(carriers)):
        # By an index of events alone: joined with what is still to be sent, a database may begin with all of that.
        rows = _records_of(records)
        pairs = [(before, key) for before, record in rows for key in carriers.get(record, ()) if before < key]
        replays = _still_to_be_sent({before for before, _ in pairs})
        for before, key in pairs:
            if before in replays and replays[before] == waiting[key]:
                follows[key] = max(before, follows.get(key, before))
    _link(follows)


def _records_of(records: Sequence[Record]) -> Iterator[tuple[int, Record]]:
    """Return the notifications that carry events of these objects for these subscriptions, each with its record."""
    subscriptions, objects = {record[0] for record in records}, {record[1] for record in records}
    # A first subscription has its instance's id, so what carries its events is asked by that.
    instances = set(Subscription.objects.filter(pk__in=subscriptions).values_list("instance_id", flat=True))
    of_event = {"instance__in": subscriptions, "object_id__in": objects}
    of_judged = {"subscription__in": subscriptions, "event__instance__in": instances, "event__object_id__in": objects}
    for notification, *record in records_of(of_event, of_judged, *_COLUMNS):
        yield notification, (record[0], record[1], record[2], record[3])


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
