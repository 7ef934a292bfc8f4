"""The form `thin`: which records changed and how, for receivers that read them back. Nothing of a record is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from cwconnect.core.time import utc_text
from polling.delivery.forms.shapes import copied
from polling.models import Event, NewEvent


def without_record(event: Event | NewEvent) -> NewEvent:
    """Return an event without its record and changes, so that a batch is measured by what is sent of it."""
    return copied(event, record="", changes=None)


def write(instance_id: int, events: Sequence[NewEvent]) -> bytes:
    """Return the body of a notification. `recordId` is ConnectWise's own id, by which the hub reads a record back."""
    return orjson.dumps({"instanceId": instance_id, "events": [_event(event) for event in events]})


def _event(event: NewEvent) -> dict[str, Any]:
    return {
        "eventId": str(event.id),
        "objectType": event.object_type,
        "objectId": event.object_id,
        "recordId": event.record_id,
        "eventType": event.kind,
        "date": utc_text(event.occurred_at),
        "pollDate": utc_text(event.polled_at),
    }
