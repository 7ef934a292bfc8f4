"""Callers of the REST API, and events to read by it that no poll had to find."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cwconnect.sandbox import SandboxServer
from instances.models import Instance, ResourcePoll
from instances.secrets import Secret, hash_token, new_token
from polling.detection.event_log import PollEvents, record_events
from polling.detection.snapshots import NewSnapshot, remember
from polling.models import Event, NewEvent, PollRun, PollState
from tests.conftest import Tenant

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Watched:
    """A stored instance that watches contacts, with its Element token; its events are written as a poll writes them."""

    def __init__(self, tenant: Tenant, **columns: Any) -> None:
        self.tenant, self.token = tenant, new_token()
        self.instance = Instance(
            organization=tenant.organization,
            created_by=tenant.user,
            name="API_Polling",
            tags=["Test"],
            token_hash=hash_token(self.token),
            **{"events_enabled": True, "base_url": "http://127.0.0.1:9", "company": "acme"}
            | {"callback_url": "http://127.0.0.1:9/", "public_key": Secret.of("x"), "private_key": Secret.of("x")}
            | columns,
        )
        self.instance.save()
        self.poll = ResourcePoll.objects.create(instance=self.instance, name="contacts", since=NOON, high_water_id=30)
        self.state = PollState.objects.create(
            resource_poll=self.poll, site="s", host="127.0.0.1:9", cursor=NOON, next_poll_at=NOON
        )

    @property
    def auth(self) -> str:
        """The Authorization header of this instance's calls."""
        return f"User {self.tenant.user_secret}, Element {self.token}"

    def changed(self, *record_ids: int, kind: str = "UPDATED", at: datetime = NOON, **options: Any) -> list[Event]:
        """Record one event for each id, as if a poll at that time had seen it."""
        run = PollRun.objects.create(resource_poll=self.poll, started_at=at, status=PollRun.Status.COMPLETE)
        events = [
            NewEvent(
                "contacts", str(record), record, kind, at - timedelta(minutes=1), at, f'{{"id":{record}}}', **options
            )
            for record in record_ids
        ]
        remember(self.poll.pk, [NewSnapshot(record, None, bytes(16), None) for record in record_ids])
        record_events([PollEvents(self.poll, run, events)], now=at)
        return list(Event.objects.filter(run=run).order_by("pk"))


@pytest.fixture
def watched(tenant: Tenant) -> Watched:
    return Watched(tenant)


@pytest.fixture
def foreign(other_tenant: Tenant) -> Watched:
    return Watched(other_tenant)


@pytest.fixture
def sandbox(small_sandbox: SandboxServer) -> SandboxServer:
    return small_sandbox
