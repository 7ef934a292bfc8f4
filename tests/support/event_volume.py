"""A log of some size that is nobody's concern here: other polls, their known rows, and their events of long ago."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from cwconnect.core.bulk_sql import db_timestamp, insert
from instances.models import Organization, ResourcePoll
from polling.models import DeliveryAttempt, Event, Notification, PollRun, PollState, RecordSnapshot
from tests.support.notifications import make_instance

LARGE = (ResourcePoll, PollState, PollRun, RecordSnapshot, Notification, Event, DeliveryAttempt)
FIRST_ID = 10_000_000  # beyond what the events of a test take
EVENTS_EACH = 4


def fill(organization: Organization, *, polls: int, notifications: int, now: datetime | None = None) -> None:
    """Write `polls` polls, not due, each with a run; and `notifications` delivered ones of four events."""
    at = (now or timezone.now()) - timedelta(hours=1)
    with transaction.atomic():
        keys = _poll(organization, polls, at)
    for first in range(0, notifications, 10_000):
        with transaction.atomic():
            _notify(keys, range(first, min(first + 10_000, notifications)), db_timestamp(at))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _poll(organization: Organization, polls: int, at: datetime) -> list[int]:
    instance = make_instance(organization, "http://127.0.0.1:9/", "Of the past")
    ResourcePoll.objects.bulk_create(
        [
            ResourcePoll(instance=instance, name=f"r{number}", since=at, configuration={"url": "/hubs/crm/contacts"})
            for number in range(polls)
        ]
    )
    keys = list(ResourcePoll.objects.filter(instance=instance).values_list("pk", flat=True))
    PollState.objects.bulk_create(
        [
            PollState(
                resource_poll_id=key,
                site=f"site {key % 997}",
                host=f"host {key % 97}",
                next_poll_at=at + timedelta(days=1, seconds=key % 900),
            )
            for key in keys
        ]
    )
    PollRun.objects.bulk_create(
        [PollRun(resource_poll_id=key, status="complete", started_at=at, finished_at=at) for key in keys]
    )
    return keys


def _notify(keys: list[int], numbers: range, at: object) -> None:
    instance_id = ResourcePoll.objects.values_list("instance_id", flat=True).get(pk=keys[0])
    known = [(keys[number % len(keys)], number, 1, bytes(16), False) for number in numbers]
    insert(RecordSnapshot, ("resource_poll_id", "record_id", "stamp", "digest", "gone"), known)
    ids = {number: FIRST_ID + EVENTS_EACH * number for number in numbers}
    columns = ("id", "instance_id", "object_type", "webhook_id", "body", "event_count", "state", "step")
    sent = [
        (key, instance_id, "r", f"past {key}", "{}", EVENTS_EACH, "delivered", 1, "", at, at) for key in ids.values()
    ]
    insert(Notification, (*columns, "last_error", "created_at", "delivered_at"), sent)
    of_event = ("id", "notification_id", "instance_id", "resource_poll_id", "record_id", "object_type", "object_id")
    events = [
        (key + offset, key, instance_id, keys[number % len(keys)], number, "r", str(number), "UPDATED", at, at, "{}")
        for number, key in ids.items()
        for offset in range(EVENTS_EACH)
    ]
    insert(Event, (*of_event, "kind", "occurred_at", "polled_at", "record"), events)
    tried = ("notification_id", "url", "started_at", "finished_at", "seconds", "status", "replay")
    rest = {"error_kind": "", "error": "", "request_headers": "{}", "response": ""}
    attempts = [(key, "http://127.0.0.1:9/", at, at, 0.1, 204, False, *rest.values()) for key in ids.values()]
    insert(DeliveryAttempt, (*tried, *rest), attempts)
