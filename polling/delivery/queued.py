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

from django.db.models import BigIntegerField, Case, F, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Coalesce

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
from polling.delivery.pausing import release
from polling.models import DeliveryState, Notification

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


def queued_deliveries(instances: QuerySet[Instance], url: str | None = None) -> QuerySet[Any]:
    """Return the queued deliveries of these instances, to one `url` alone where it is given, oldest first."""
    undelivered = Notification.objects.filter(state__in=Notification.UNDELIVERED).of_living()
    waiting = undelivered.filter(instance__in=instances.values("pk"))
    to = Coalesce(OuterRef("subscription_id"), OuterRef("instance_id"), output_field=BigIntegerField())
    state = DeliveryState.objects.filter(pk=to)
    own = Q(subscription__isnull=False) & ~Q(subscription=F("instance"))
    found = waiting.annotate(
        url=Case(When(own, then=F("subscription__callback_url")), default=F("instance__callback_url")),
        paused_at=Subquery(state.values("paused_at")),
        pause_reason=Subquery(state.values("pause_reason")),
    )
    return (found if url is None else found.filter(url=url)).defer("body").order_by("pk")


def release_all(instances: QuerySet[Instance], url: str | None, now: datetime) -> int:
    """Release these instances' paused deliveries, those to one `url` where given; return how many are to be sent."""
    paused = DeliveryState.objects.filter(paused_at__isnull=False, subscription__instance__in=instances.values("pk"))
    if url is not None:
        of_instance = Q(pk=F("subscription__instance_id"), subscription__instance__callback_url=url)
        paused = paused.filter(Q(subscription__callback_url=url) | of_instance)
    found = paused.select_related("subscription__instance__organization").order_by("pk")
    return sum(release(state.subscription, now) for state in found)


def delivery_row(notification: Any) -> dict[str, Any]:
    """Return a queued delivery, one of `queued_deliveries`, as the API shows it."""
    return {
        "id": notification.pk,
        "channel": "webhook",
        "status": "queued",
        "webhookId": notification.webhook_id,
        "instanceId": notification.instance_id,
        "objectType": notification.object_type,
        "events": notification.event_count,
        "createdDate": utc_text(notification.created_at),
        "url": notification.url,
        "config": {"url": notification.url},
        "tries": notification.step,
        "nextTryDate": utc_text(notification.next_attempt_at) if notification.next_attempt_at else None,
        "lastError": notification.last_error or None,
        "paused": notification.paused_at is not None,
        "pauseReason": notification.pause_reason or None,
    }
