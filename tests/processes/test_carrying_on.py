"""Stopped and started again, the service carries on where it stopped: nothing lost, nothing repeated."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from cwconnect.sandbox import SandboxServer
from cwconnect.site.demo import (
    Api,
    Demo,
    free_port,
    instance_body,
)
from cwconnect.site.demo_receiver import Arrival, Receiver
from polling.workers.watchdog import Timings
from tests.support.required import lengthy
from tests.support.sandboxes import start_sandbox
from tests.support.services import Service, ask, manage, poll_now, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]

KEY = "a signature key"
LOCAL = {"CWCONNECT_PRIVATE_NETWORKS": "127.0.0.0/8"}


class RunningService:
    """A sandbox and a receiver that outlive the service between them."""

    def __init__(self, data: Path, sandbox: SandboxServer, receiver: Receiver, arrivals: list[Arrival]) -> None:
        self.data, self.sandbox, self.receiver, self.arrivals = data, sandbox, receiver, arrivals
        self.port = free_port()

    def up(self) -> Service:
        service = manage(self.data, "up", "--port", str(self.port), environment=LOCAL)
        wait_until(lambda: "cwconnect is up" in service.output, 150, "up", lambda: service.output)
        return service

    def watch_contacts(self) -> None:
        """Create the instance through the REST API."""
        made = json.loads(ask(self.data, "issue_secrets", "--organization=A", "--user=B", "--json"))
        authorization = f"User {made['user']}, Organization {made['organization']}"
        demo = Demo(authorization, public_key="PUB", private_key="PRIV", signature_key=KEY)
        body = instance_body(replace(demo, sandbox_port=self.sandbox.port), self.receiver.url)
        body["configuration"]["company"] = "acme"
        with closing(Api(f"http://127.0.0.1:{self.port}", authorization)) as api:
            api.ask("POST", "/instances", body)

    def wait_for_arrivals(self, count: int) -> None:
        wait_until(lambda: len(self.arrivals) >= count, 150, f"{count} arrivals", lambda: self.arrivals)


@pytest.fixture
def world(data: Path) -> Iterator[RunningService]:
    arrivals: list[Arrival] = []
    with start_sandbox() as sandbox, Receiver(KEY, arrivals.append) as receiver:
        yield RunningService(data, sandbox, receiver, arrivals)


def stop(service: Service) -> float:
    """Ask the service to end; return the seconds that it took."""
    begun = time.monotonic()
    service.process.send_signal(signal.SIGTERM)
    assert service.ends_within(100) == 0
    return time.monotonic() - begun


@lengthy
def test_what_changes_while_the_service_is_down_arrives_once(world: RunningService) -> None:
    with world.up() as service:
        world.watch_contacts()
        world.sandbox.store.change("contacts", 3, {"title": "Engineer"})
        poll_now(world.data)
        world.wait_for_arrivals(1)
        stop(service)

    world.sandbox.store.change("contacts", 4, {"title": "Engineer"})
    world.sandbox.store.create("contacts", {"firstName": "Nora"})

    with world.up() as service:
        poll_now(world.data)
        world.wait_for_arrivals(3)
        poll_now(world.data)
        time.sleep(3)
        stop(service)
    delivered = sorted((arrival.kind, arrival.object_id) for arrival in world.arrivals)
    assert delivered == [("CREATED", "31"), ("UPDATED", "3"), ("UPDATED", "4")]
    assert all(arrival.verified for arrival in world.arrivals)


@lengthy
def test_requests_in_flight_do_not_hold_up_the_end(world: RunningService) -> None:
    with world.up() as service:
        world.watch_contacts()
        service.wait_for_roles()
        idle = stop(service)
    with world.up() as service:
        service.wait_for_roles()
        world.sandbox.store.fail_next(2, delay=600.0)
        asked = len(world.sandbox.store.requests)
        poll_now(world.data)
        wait_until(lambda: len(world.sandbox.store.requests) > asked, 100, "a request", lambda: service.output)
        wait_until(service.busy_workers, 100, "a busy worker")

        took = stop(service)

    assert took > 5  # it gave them time
    # The end itself takes this machine as long as it took it with nothing in flight.
    assert took < max(10.5, Timings().grace + 4 * idle)


@lengthy
def test_workers_replaced_one_by_one_lose_nothing(data: Path) -> None:
    arrivals: list[Arrival] = []

    def take(arrival: Arrival) -> None:
        time.sleep(0.3)  # so that some are on their way whenever a worker is to end
        arrivals.append(arrival)

    with start_sandbox() as sandbox, Receiver(KEY, take) as receiver, ExitStack() as running:
        world = RunningService(data, sandbox, receiver, arrivals)
        with world.up() as service:
            world.watch_contacts()
            stop(service)
        old = running.enter_context(manage(data, "work", environment=LOCAL))
        old.wait_for_roles()
        for generation in range(2):
            new = running.enter_context(manage(data, "work", environment=LOCAL))
            wait_until(lambda: len(new.those("polling.workers.cluster")) == 12, 150, "both", lambda: new.output)  # noqa: B023
            for contact in range(1, 11):
                sandbox.store.change("contacts", contact, {"title": f"generation {generation}"})
            before = len(arrivals)
            poll_now(data)
            wait_until(lambda: len(arrivals) > before, 150, "deliveries under way", lambda: new.output)  # noqa: B023
            old.process.send_signal(signal.SIGTERM)
            assert old.process.wait(100) == 0
            old = new
        wait_until(lambda: len(once(arrivals)) >= 20, 150, "all of it", lambda: old.output)
        poll_now(data)
        time.sleep(3)
    delivered = Counter(object_id for _, object_id in once(arrivals))
    assert delivered == {str(contact): 2 for contact in range(1, 11)}


def once(arrivals: list[Arrival]) -> set[tuple[str, str]]:
    """List what was delivered, without repeats of a notification: a result can be lost with its worker."""
    return {(arrival.webhook_id, arrival.object_id) for arrival in arrivals}
