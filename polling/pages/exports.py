"""What the pages *Events* and *Deliveries* write as CSV: everything that their filters leave."""

from __future__ import annotations

from typing import Final

from cwconnect.core.csv_export import Columns
from polling.delivery.replay.selection import state_in_words
from polling.models import Event

NOT_SENT = "not sent"


def _delivery_of(event: Event) -> str:
    return state_in_words(event.notification.state) if event.notification else NOT_SENT


EVENT_COLUMNS: Final[Columns] = {
    "id": lambda event: event.pk,
    "seen": lambda event: event.polled_at,
    "changed": lambda event: event.occurred_at,
    "kind": lambda event: event.kind,
    "resource": lambda event: event.object_type,
    "object id": lambda event: event.object_id,
    "name": lambda event: event.title,
    "instance id": lambda event: event.instance_id,
    "instance": lambda event: event.instance.name,
    "state": _delivery_of,
    "delivered": lambda event: event.notification and event.notification.delivered_at,
    "webhook-id": lambda event: event.notification and event.notification.webhook_id,
}
DELIVERY_COLUMNS: Final[Columns] = {
    "webhook-id": lambda sent: sent.webhook_id,
    "id": lambda sent: sent.pk,
    "made": lambda sent: sent.created_at,
    "state": lambda sent: state_in_words(sent.state),
    "resource": lambda sent: sent.object_type,
    "events": lambda sent: sent.event_count,
    "instance id": lambda sent: sent.instance_id,
    "instance": lambda sent: sent.instance.name,
    "first attempt": lambda sent: sent.first_attempt_at,
    "next attempt": lambda sent: sent.next_attempt_at,
    "delivered": lambda sent: sent.delivered_at,
    "last error": lambda sent: sent.last_error,
}
