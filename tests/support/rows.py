"""Rows as the service would have written them, for tests of what is shown of them."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from instances.models import Instance, Organization, ResourcePoll
from instances.secrets import Secret
from polling.copies.page_bodies import columns_of, pack
from polling.models import Copy, CopyPage, DeliveryAttempt, Notification, PollRun, PollState, Subscription
from polling.models.subscriptions import FURTHER_FROM


def make_instance(organization: Organization, **columns: Any) -> Instance:
    """Make an instance that has all its secrets."""
    given = {
        "name": "API_Polling",
        "base_url": "http://127.0.0.1:9/v4_6_release/apis/3.0",
        "company": "acme",
        "public_key": Secret.of("the public key"),
        "private_key": Secret.of("the private key"),
        "signature_key": Secret.of("the signature key"),
        "callback_url": "http://127.0.0.1:9/",
        "events_enabled": True,
        "token_hash": secrets.token_hex(32),
    }
    return Instance.objects.create(organization=organization, **(given | columns))


def make_poll(instance: Instance, *, due_at: datetime | None) -> ResourcePoll:
    """Make a watched resource, due at a time."""
    poll = ResourcePoll.objects.create(instance=instance, name="contacts")
    PollState.objects.create(resource_poll=poll, site="site", host="127.0.0.1", next_poll_at=due_at)
    return poll


def make_run(poll: ResourcePoll, started_at: datetime, *, seconds: float | None = 1.0, **columns: Any) -> PollRun:
    """Make a run that took so many seconds; None leaves it open."""
    if seconds is None:
        return PollRun.objects.create(resource_poll=poll, started_at=started_at, **columns)
    status = columns.pop("status", PollRun.Status.COMPLETE)
    finished_at = started_at + timedelta(seconds=seconds)
    return PollRun.objects.create(
        resource_poll=poll, started_at=started_at, finished_at=finished_at, status=status, **columns
    )


def make_notification(instance: Instance, number: int, now: datetime, **columns: Any) -> Notification:
    """Make a notification that is pending."""
    return Notification.objects.create(
        id=number,
        instance=instance,
        object_type="contacts",
        webhook_id=f"msg_{number}",
        body="{}",
        event_count=1,
        created_at=now,
        **columns,
    )


def make_attempt(notification: Notification, started_at: datetime, **columns: Any) -> DeliveryAttempt:
    """Make an attempt; without `finished_at` it is under way, or was cut off."""
    return DeliveryAttempt.objects.create(notification=notification, url="", started_at=started_at, **columns)


def further_subscription(instance: Instance, number: int = 1, **columns: Any) -> Subscription:
    """Make a further subscription of an instance that reads the log, by its number among all there are."""
    given = {"name": f"Further {number}", "callback_url": "http://127.0.0.1:9/", "reads_log": True}
    return Subscription.objects.create(id=FURTHER_FROM + 10**9 + number, instance=instance, **(given | columns))


def complete_copy(instance: Instance, *records: dict[str, Any], **columns: Any) -> Copy:
    """Store a complete copy of an instance's contacts, of one page."""
    found: tuple[dict[str, Any], ...] = records or ({"id": 17, "firstName": "Ada", "company": {"id": 250}},)
    now = timezone.now()
    copy = Copy.objects.create(
        instance=instance,
        **{"query": "select * from contacts", "resource": "contacts", "path": "/company/contacts", "site": "s"}
        | {"status": Copy.Status.COMPLETED, "asked_at": now, "finished_at": now, "records": len(found), "pages": 1}
        | {"columns": [*columns_of(found).items()]}
        | columns,
    )
    CopyPage.objects.create(copy=copy, number=1, body=pack(found))
    return copy
