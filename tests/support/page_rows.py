"""Rows in numbers, made without ConnectWise: instances that were polled just now, and events."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from instances.models import Instance, Organization, ResourcePoll
from instances.secrets import Secret
from polling.log.event_ids import go_on_after
from polling.models import Event, Health, Notification, PollState


def add_instances(organization: Organization, count: int, *, health: Health = Health.HEALTHY) -> list[Instance]:
    """Add instances with one resource each, polled just now."""
    now, key, first = timezone.now(), Secret.of("key"), Instance.objects.count()
    instances = [
        Instance.objects.create(
            organization=organization,
            name=f"Company {number}",
            token_hash=f"hash {number}",
            base_url="https://api-na.myconnectwise.net/v4_6_release/apis/3.0",
            company="acme",
            public_key=key,
            private_key=key,
            events_enabled=True,
            callback_url="https://example.com/hook?code=hush",
        )
        for number in range(first, first + count)
    ]
    polls = ResourcePoll.objects.bulk_create(
        ResourcePoll(instance=instance, name="contacts", since=now) for instance in instances
    )
    PollState.objects.bulk_create(
        PollState(resource_poll=poll, site="s", host="h", health=health, cursor=now, last_good_at=now) for poll in polls
    )
    return instances


def _last_of(model: type[Event | Notification]) -> int:
    last: int | None = model._default_manager.order_by("-pk").values_list("pk", flat=True).first()
    return last or 0


@transaction.atomic  # beside a service that records and delivers
def add_events(instance: Instance, count: int, *, at: datetime | None = None, delivered: bool = False) -> None:
    """Add events of one instance, each in a notification of its own; every other one, from the second on, CREATED."""
    seen = at or timezone.now()
    poll = instance.resource_polls.get()
    first = max(_last_of(Event), _last_of(Notification)) + 1
    state = Notification.State.DELIVERED if delivered else Notification.State.PENDING
    Notification.objects.bulk_create(
        Notification(
            id=number,
            instance=instance,
            object_type="contacts",
            webhook_id=f"msg_{number}",
            body="{}",
            event_count=1,
            state=state,
            created_at=seen,
        )
        for number in range(first, first + count)
    )
    Event.objects.bulk_create(
        Event(
            id=number,
            instance=instance,
            resource_poll=poll,
            notification_id=number,
            object_type="contacts",
            object_id=str(number % 1000),
            record_id=number % 1000,
            kind=Event.Kind.CREATED if (number - first) % 2 else Event.Kind.UPDATED,
            occurred_at=seen,
            polled_at=seen,
            record='{"id":1}',
        )
        for number in range(first, first + count)
    )
    go_on_after(first + count - 1)
