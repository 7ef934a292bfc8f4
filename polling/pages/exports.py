"""What the pages *Events* and *Deliveries* write as CSV: everything that their filters leave."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from cwconnect.core.csv_export import Columns
from polling.delivery.replay.selection import GIVEN_UP, state_in_words
from polling.reports.event_states import DISCARDED, carriers_of, state_of


def _delivered_at(event: Any) -> datetime | None:
    """Return when the last of those that are notified of an event was, if all were."""
    carriers = carriers_of(event)
    times = [each.delivered_at for each in carriers if each.delivered_at is not None]
    return max(times) if times and len(times) == len(carriers) else None


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
    "state": lambda event: GIVEN_UP if (word := state_of(event).word) == DISCARDED else word,
    "delivered": _delivered_at,
    "webhook-id": lambda event: " ".join(each.webhook_id for each in carriers_of(event)),
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
    "subscription id": lambda sent: sent.to,
    "subscription": lambda sent: sent.to_name,
    "first attempt": lambda sent: sent.first_attempt_at,
    "next attempt": lambda sent: sent.next_attempt_at,
    "delivered": lambda sent: sent.delivered_at,
    "last error": lambda sent: sent.last_error,
}
