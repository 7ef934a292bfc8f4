"""Events into notifications of at most ten, in the shape of docs/wire-contract.md#5-the-notification.

The bytes are fixed here, once: every try of a notification sends the same ones.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

import orjson

from cwconnect.core.time import utc_text
from instances.models import Instance
from polling.models import Event, NewEvent, Notification

AnyEvent = TypeVar("AnyEvent", Event, NewEvent)

ELEMENT_KEY = "connectwisecrmrest"
HUB_KEY = "crm"
MOST_EVENTS = 10
MOST_BYTES = 256 * 1024
_FRAME_BYTES = 1024  # what surrounds the events
_EVENT_BYTES = 400  # an event's two objects, without its record and changes


def batches(events: Iterable[AnyEvent]) -> Iterator[list[AnyEvent]]:
    """Cut events into batches for one notification each: ten, and 256 kB unless one record alone is larger."""
    batch: list[AnyEvent] = []
    size = _FRAME_BYTES
    for event in events:
        more = _bytes_of(event.record) + 2 * (_EVENT_BYTES + _bytes_of(_sent_changes(event) or ""))
        if batch and (len(batch) == MOST_EVENTS or size + more > MOST_BYTES):
            yield batch
            batch, size = [], _FRAME_BYTES
        batch.append(event)
        size += more
    if batch:
        yield batch


def _sent_changes(event: Event | NewEvent) -> str | None:
    """Return what is sent of the fields that changed: nothing of what is kept for filters alone."""
    return None if event.changes_for_filters else event.changes


def _bytes_of(text: str) -> int:
    # Whether a text is ASCII is known without looking at it.
    return len(text) if text.isascii() else len(text.encode())


def body_of(instance: Instance, object_type: str, events: Sequence[Event | NewEvent], created_at: datetime) -> bytes:
    """Return the body of the notification that carries `events`; its id is that of the first of them."""
    first = str(events[0].id)
    objects = [event_object(event) for event in events]
    raw: dict[str, Any] = {object_type: [orjson.Fragment(event.record) for event in events]}
    beside = {"instance_id": instance.pk, "eventId": first, "objectType": object_type, "events": objects}
    # A resource may be called `events`: its records stand under its name, and message.events has the event objects.
    raw |= {name: value for name, value in beside.items() if name not in raw}
    message = {
        "elementKey": ELEMENT_KEY,
        "accountId": instance.organization_id,
        "companyId": instance.organization_id,
        "userId": instance.created_by_id or 0,
        "instanceId": instance.pk,
        "instance_id": instance.pk,
        "instanceName": instance.name,
        "instanceTags": instance.tags,
        "eventId": first,
        "events": objects,
        "raw": raw,
    }
    return orjson.dumps(
        {
            "id": events[0].id,
            "severity": "low",
            "topic": f"instance-{instance.pk}-{ELEMENT_KEY}-events",
            "createdDate": utc_text(created_at),
            "message": message,
        }
    )


def event_object(event: Event | NewEvent) -> dict[str, Any]:
    """Return an event as `message.events` has it, for orjson: `changes` is a fragment of JSON.

    Source: docs/wire-contract.md#5-the-notification.
    """
    fields: dict[str, Any] = {
        "objectType": event.object_type,
        "objectId": event.object_id,
        "date": utc_text(event.occurred_at),
        "pollDate": utc_text(event.polled_at),
        "eventType": event.kind,
        "elementKey": ELEMENT_KEY,
        "hubKey": HUB_KEY,
    }
    changes = _sent_changes(event)
    if changes is not None:
        fields["changes"] = orjson.Fragment(changes)
    return fields


def notification_of(
    instance: Instance, object_type: str, events: Sequence[Event | NewEvent], created_at: datetime
) -> Notification:
    """Return the unsaved notification that carries `events`, due at once."""
    return Notification(
        id=events[0].id,
        instance=instance,
        object_type=object_type,
        webhook_id=f"msg_{uuid.uuid4()}",  # a receiver recognises repeats by it
        body=body_of(instance, object_type, events, created_at).decode(),
        event_count=len(events),
        next_attempt_at=created_at,
        created_at=created_at,
    )
