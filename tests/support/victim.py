"""An organization whose rows hold a word that no answer to an attacker may hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from django.core import serializers
from django.utils import timezone

from instances.models import ApiUser, Instance, ResourcePoll
from instances.secrets import hash_token, new_token
from polling.models import BulkJob, BulkRefusal, Copy, Event, Notification, Replay, Subscription, Verification
from tests.conftest import Tenant
from tests.support.routes import VALUES
from tests.support.rows import complete_copy, further_subscription, make_instance, make_notification, make_poll

WORD = "Kronjuwelen"


@dataclass(frozen=True)
class Victim:
    """What is to be kept from everybody else."""

    tenant: Tenant
    instance: Instance
    poll: ResourcePoll
    event: Event
    notification: Notification
    replay: Replay
    verification: Verification
    copy: Copy
    subscription: Subscription
    token: str

    @property
    def arguments(self) -> dict[str, Any]:
        """The victim's ids, by the names that routes give them."""
        return VALUES | {
            "number": self.instance.pk,
            "poll": self.poll.pk,
            "event": self.event.pk,
            "delivery": self.notification.pk,
            "secret": self.tenant.user.pk,
            "replay": self.replay.pk,
            "verification": self.verification.pk,
            "copy": self.copy.pk,
            "subscription": self.subscription.pk,
            "key": "baseUrl",
            "name": "contacts",
        }

    def snapshot(self) -> str:
        """All that is stored of the victim."""
        rows: list[Any] = [self.tenant.organization, *ApiUser.objects.filter(organization=self.tenant.organization)]
        rows += [Instance.objects.get(pk=self.instance.pk), ResourcePoll.objects.get(pk=self.poll.pk)]
        rows += [Event.objects.get(pk=self.event.pk), Notification.objects.get(pk=self.notification.pk)]
        rows += Subscription.objects.filter(instance=self.instance).order_by("pk")
        for user in rows[1:]:
            if isinstance(user, ApiUser):
                user.last_used_at = None  # any call of its own is noted there
        return str(serializers.serialize("json", rows))


@pytest.fixture
def victim(tenant: Tenant) -> Victim:
    token, now = new_token(), timezone.now()
    instance = make_instance(tenant.organization, name=WORD, company=WORD, token_hash=hash_token(token))
    poll = make_poll(instance, due_at=None)
    notification = make_notification(instance, 1, now)
    event = Event.objects.create(
        id=1,
        instance=instance,
        resource_poll=poll,
        notification=notification,
        object_type="contacts",
        object_id="1",
        record_id=1,
        kind="CREATED",
        occurred_at=now,
        polled_at=now,
        record=f'{{"id": 1, "name": "{WORD}"}}',
    )
    replay = Replay.objects.create(instance=instance, what=WORD, asked_at=now)
    verification = Verification.objects.create(resource_poll=poll, asked_at=now, error=WORD)
    job = BulkJob.objects.create(organization=tenant.organization, asked_at=now, title=WORD, total=1)
    BulkRefusal.objects.create(job=job, instance_id=instance.pk, name=WORD, reason=WORD)
    copy = complete_copy(instance, {"id": 1, "name": WORD}, query=WORD, resource=WORD, error=WORD, actor=WORD)
    subscription = further_subscription(instance, name=WORD)
    return Victim(tenant, instance, poll, event, notification, replay, verification, copy, subscription, token)
