"""Whichever process of the cluster is killed, polls and deliveries go on by themselves within 90 s."""

from __future__ import annotations

import time

import pytest

from tests.support.required import lengthy
from tests.support.services import Seen, Service, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]


def replaced(demo: Service, old: dict[str, Seen]) -> None:
    """Wait until another cluster works, and a change made from then on has arrived: 90 s in all."""
    killed_at = time.monotonic()
    wait_until(
        lambda: (new := demo.roles()) and new["cluster"].pid != old["cluster"].pid,
        60,
        "another cluster",
        lambda: demo.output,
    )
    alive = {seen.pid for seen in demo.alive()}
    assert not alive & {seen.pid for seen in old.values()}
    demo.wait_for_news(killed_at + 90 - time.monotonic(), "contacts")


@pytest.mark.parametrize("role", ["cluster", "sentinel", "pusher", pytest.param("monitor", marks=lengthy)])
def test_polls_go_on_after_the_death_of(role: str, demo: Service) -> None:
    old = demo.wait_for_roles()

    old[role].kill()

    replaced(demo, old)


def test_polls_go_on_after_the_death_of_an_idle_worker(demo: Service) -> None:
    # An idle worker waits for the queue with the queue's lock in its hand.
    old = demo.wait_for_roles()
    idle = min((old["worker 1"], old["worker 2"]), key=lambda worker: worker.threads)

    idle.kill()

    replaced(demo, old)


@lengthy
def test_polls_go_on_after_the_death_of_a_busy_worker(demo: Service) -> None:
    demo.wait_for_roles()
    demo.fail_next(n=1, delay=20, path="contacts")
    wait_until(demo.busy_workers, 20, "a busy worker")
    old = demo.roles()

    demo.busy_workers()[0].kill()

    replaced(demo, old)
