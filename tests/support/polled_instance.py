"""A watched sandbox: an instance whose polls and deliveries a test runs when it wants."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from cwconnect.sandbox import SandboxServer
from instances.configuration.config_keys import InstanceConfig
from instances.configuration.wire import read_configuration
from instances.models import Instance
from instances.provisioning import create_instance
from polling.detection.jobs import LEASE, Job
from polling.detection.poll_loop import PollLoop
from polling.models import Event, PollRun, PollState, Site
from polling.workers.due import make_due
from polling.workers.leases import claim
from tests.conftest import Tenant
from tests.seed import example_body
from tests.support.receivers import Receiver, start_receiver
from tests.support.sandboxes import start_sandbox

SIGNATURE_KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class PolledInstance:
    """One instance on one sandbox, and what a test asks of both."""

    def __init__(self, tenant: Tenant, sandbox: SandboxServer) -> None:
        self.tenant, self.sandbox, self.store = tenant, sandbox, sandbox.store
        self.instance: Instance

    def watch(
        self, *, callback_url: str = "http://127.0.0.1:9/", poll: dict[str, Any] | None = None, **keys: Any
    ) -> None:
        """Create the instance; `poll` are keys of the contacts' poll configuration, `keys` of the instance's."""
        body = example_body(self.sandbox.url, event__notification__callback__url=callback_url, **keys)
        body["configuration"]["event.poller.configuration"]["contacts"] |= poll or {}
        config = read_configuration(body["configuration"], base=InstanceConfig())
        self.instance, _ = create_instance(
            organization=self.tenant.organization,
            user=self.tenant.user,
            name="API_Polling",
            tags=["Test"],
            config=config,
        )

    @property
    def state(self) -> PollState:
        """The contacts' poll, as stored."""
        return PollState.objects.get(resource_poll__instance=self.instance, resource_poll__name="contacts")

    @property
    def run(self) -> PollRun:
        """The latest run."""
        return PollRun.objects.latest("id")

    def poll(self) -> PollState:
        """Poll everything of the instance now, in this thread's loop, whatever waits stand in the way."""
        Site.objects.all().delete()
        mine = PollState.objects.filter(pk__in=list(self.instance.resource_polls.values_list("pk", flat=True)))
        make_due(mine)
        PollLoop(mine, deadline=float("inf")).run()
        return self.state

    def recorded(self) -> list[tuple[str, str]]:
        """What was recorded since the last call: kind and object id, in order."""
        start = getattr(self, "_recorded_upto", 0)
        events = Event.objects.filter(instance=self.instance, pk__gt=start).order_by("pk")
        found = list(events.values_list("pk", "kind", "object_id"))
        self._recorded_upto = found[-1][0] if found else start
        return [(kind, object_id) for _, kind, object_id in found]

    def change(self, record_id: int, title: str, **options: Any) -> None:
        """Change a contact's title."""
        self.store.change("contacts", record_id, {"title": title}, **options)


def claimed_state(world: PolledInstance) -> tuple[PollState, str]:
    """Claim the contacts' poll of a world, due or not; return its state, as a job wants it, and the lease's token."""
    token, keys = claim(PollState.objects.all(), [world.state.pk], now=timezone.now(), length=LEASE)
    assert keys == [world.state.pk]
    return PollState.objects.select_related("resource_poll__instance").get(pk=keys[0]), token


def answered(job: Job) -> Future[Any]:
    """Make a claimed job's next request, as the loop's thread does."""
    future: Future[Any] = Future()
    future.set_result(job.request()())
    return future


@pytest.fixture
def sandbox(settings: Settings) -> Iterator[SandboxServer]:
    settings.CONNECTWISE_CLIENT_ID = "a-client-id"
    with start_sandbox() as server:
        yield server


@pytest.fixture
def world(tenant: Tenant, sandbox: SandboxServer) -> PolledInstance:
    return PolledInstance(tenant, sandbox)


@pytest.fixture
def watched(world: PolledInstance) -> PolledInstance:
    """A world whose contacts are watched, and were polled once."""
    world.watch()
    world.poll()
    assert world.recorded() == []
    return world


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with start_receiver() as running:
        yield running


@pytest.fixture
def notifying(world: PolledInstance, receiver: Receiver) -> PolledInstance:
    """A watched world whose events go to the receiver, signed."""
    world.watch(callback_url=receiver.url, event__notification__signature__key=SIGNATURE_KEY)
    world.poll()
    return world
