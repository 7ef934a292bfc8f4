"""Deliveries that wait, listed and released by `where=channel='webhook' and status='queued'`.

Source: docs/wire-contract.md#waiting-deliveries.

Queued is what was not delivered yet: what is on its way, what is exhausted, what a pause keeps. `instanceId` narrows it
down, and `config.url` to the receiver at that callback URL. Anything else in the `where` is refused: a release that
misread its bounds would send what nobody asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from cwconnect.connectwise.ceql.conditions import (
    And,
    Comparison,
    Node,
    Number,
    Text,
    WhereError,
    Word,
    parse_where,
)
from cwconnect.core.errors import DomainError
from cwconnect.core.time import utc_text
from instances.models import Instance
from polling.delivery.pausing import release_delivery
from polling.models import Notification

_EXAMPLE = "channel='webhook' and status='queued'"


@dataclass(frozen=True)
class Queued:
    """What a `where` asks for: the queued deliveries of all instances, of one, or of those with one callback URL."""

    instance_id: int | None = None
    callback_url: str | None = None


def read_where(text: str) -> Queued:
    """Read the `where` of deliveries; DomainError that says what can be asked for."""
    try:
        found = dict(_comparisons(parse_where(text)))
    except WhereError as error:
        raise DomainError(str(error)) from None
    if found.pop("channel", "webhook").lower() != "webhook":
        raise DomainError("channel must be 'webhook': there is no other.")
    if found.pop("status", "").lower() != "queued":
        raise DomainError(f"status must be 'queued'. Write where={_EXAMPLE}.")
    number = found.pop("instanceid", None)
    url = found.pop("config.url", None)
    if found:
        names = ", ".join(sorted(found))
        raise DomainError(f"{names} can't be asked for; channel, status, instanceId and config.url can.")
    if number is not None and not (number.isascii() and number.isdigit() and len(number) <= 18):
        raise DomainError("instanceId must be the id of an instance.")
    return Queued(None if number is None else int(number), url)


def _comparisons(node: Node) -> Iterator[tuple[str, str]]:
    if isinstance(node, And):
        for part in node.parts:
            yield from _comparisons(part)
        return
    if not isinstance(node, Comparison) or node.operator != "=":
        raise DomainError(f"Only comparisons with = joined by and can be used here. Write where={_EXAMPLE}.")
    if isinstance(node.value, Text | Word):
        yield node.field.lower(), node.value.value
    elif isinstance(node.value, Number):
        yield node.field.lower(), f"{node.value.value:f}"
    else:
        raise DomainError(f"{node.field} must be compared with a text or a number.")


def queued_deliveries(instances: QuerySet[Instance]) -> QuerySet[Notification]:
    """Return the queued deliveries of these instances, oldest first."""
    waiting = Notification.objects.filter(instance__in=instances.values("pk"), state__in=Notification.UNDELIVERED)
    return waiting.select_related("instance__delivery_state").defer("body").order_by("pk")


def release_all(instances: QuerySet[Instance], now: datetime) -> int:
    """Release these instances' paused deliveries; give how many notifications are to be sent."""
    paused = instances.filter(delivery_state__paused_at__isnull=False).order_by("pk")
    return sum(release_delivery(instance, now) for instance in paused)


def delivery_row(notification: Notification) -> dict[str, Any]:
    """Return a queued delivery as the API shows it."""
    state = getattr(notification.instance, "delivery_state", None)
    return {
        "id": notification.pk,
        "channel": "webhook",
        "status": "queued",
        "webhookId": notification.webhook_id,
        "instanceId": notification.instance_id,
        "objectType": notification.object_type,
        "events": notification.event_count,
        "createdDate": utc_text(notification.created_at),
        "url": notification.instance.callback_url,
        "config": {"url": notification.instance.callback_url},
        "tries": notification.step,
        "nextTryDate": utc_text(notification.next_attempt_at) if notification.next_attempt_at else None,
        "lastError": notification.last_error or None,
        "paused": bool(state and state.paused_at),
        "pauseReason": (state.pause_reason or None) if state else None,
    }
