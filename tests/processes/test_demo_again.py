"""A second `up --demo` goes on where the first one ended: the same instance on the same records."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import requests

from cwconnect.site.demo import LOOPBACK, SANDBOX_FILE, free_port
from tests.support.required import lengthy
from tests.support.services import Service, ask, manage, poll_now, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]

LOCAL = {"CWCONNECT_PRIVATE_NETWORKS": LOOPBACK}
FLOOD = 100
"""Far more events than a minute of the demo has, and far fewer than records."""


def demo(data: Path, port: int) -> Service:
    service = manage(data, "up", "--demo", "--port", str(port))
    wait_until(lambda: "checked there" in service.output, 150, "the demo", lambda: service.output)
    return service


def instance_of(service: Service) -> int:
    found = re.search(r"Instance +(\d+)", service.output)
    assert found
    return int(found[1])


def control(service: Service, operation: str, **members: object) -> Any:
    found = re.search(r"Sandbox +(http://127\.0\.0\.1:\d+)", service.output)
    assert found
    answer = requests.post(f"{found[1]}/_sandbox/{operation}", json=members, timeout=10)
    return answer.json()["result"]


def lacking(data: Path, instance: int) -> dict[str, tuple[int, int]]:
    """Return how many records of each resource were missed or are stale, and how many are gone without a word."""
    findings = json.loads(ask(data, "verify", str(instance), "--json", environment=LOCAL, check=False))
    counts = ("missed", "stale", "deleted")
    numbers = {finding["resource"]: [len(finding[name]) for name in counts] for finding in findings}
    return {resource: (missed + stale, deleted) for resource, (missed, stale, deleted) in numbers.items()}


@lengthy
def test_a_second_demo_goes_on_without_a_flood_and_one_without_the_file_begins_anew(data: Path) -> None:
    port = free_port()
    with demo(data, port) as first:
        instance = instance_of(first)
        first.wait_for_news(150)
        made = control(first, "create", list="contacts", fields={"firstName": "Nora"})["id"]
        first.process.kill()
        first.ends_within(100)

    with demo(data, port) as second:
        assert instance_of(second) == instance
        assert control(second, "get", list="contacts", id=made)["firstName"] == "Nora"
        control(second, "settings", changes_per_minute=0)
        control(second, "change", list="contacts", id=made, fields={"lastName": "Again"})
        poll_now(data)
        wait_until(lambda: f"contacts/{made} " in "".join(second.verified()), 150, "news", lambda: second.output)
        quiet = {"contacts": (0, 0), "incidents": (0, 0)}
        wait_until(lambda: lacking(data, instance) == quiet, 150, "all recorded", lambda: lacking(data, instance))
        assert len(second.verified()) < FLOOD, second.output
        second.process.send_signal(signal.SIGTERM)
        assert second.ends_within(100) == 0

    for file in data.glob(f"{SANDBOX_FILE}*"):
        file.unlink()
    with demo(data, port) as third:
        assert instance_of(third) > instance
        assert json.loads(ask(data, "verify", str(instance_of(third)), "--json", environment=LOCAL, check=False))
        assert len(third.verified()) < FLOOD
