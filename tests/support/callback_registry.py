"""An instance with callbacks at a sandbox where others have registered theirs, and workers that compare them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from pytest_django import Settings

from cwconnect.sandbox import SandboxServer, Store
from instances.configuration.wire import config_of, read_configuration
from instances.models import Instance
from instances.provisioning import change_instance
from polling.callbacks.endpoints import callback_url, notice_address
from polling.callbacks.registration_job import claim_registrations
from polling.detection.poll_loop import PollLoop
from polling.models import CallbackEndpoint, CallbackRegistration, PollState
from tests.conftest import Tenant
from tests.support.polled_instance import PolledInstance

KEY = "event.callbacks.enabled"
HERE, THERE = "https://in.example.com", "https://new.example.com:8443"
NOBODYS = "A" * 43
OTHERS = [
    {"url": "https://example.org/hook?secret=hush&recordId=", "type": "contact"},
    # Another installation behind the same host name, and one whose token begins as ours.
    {"url": f"{HERE}/callbacks/connectwise/{NOBODYS}?recordId=", "type": "contact"},
    {"url": f"{HERE}/callbacks/connectwise/{NOBODYS}?recordId=", "type": "ticket"},
]
Entry = tuple[str, str, bool]


def entries_of(store: Store) -> list[dict[str, Any]]:
    """Return what stands in a ConnectWise."""
    table = store.table("callbacks")
    return [table.record(row) for row in table.rows]


class Registry(PolledInstance):
    """An instance with callbacks, of contacts and tickets, beside what others registered."""

    def begin(self) -> None:
        self.settings.CALLBACK_URL = HERE
        for other in OTHERS:
            self.put(other["url"], other["type"])
        self.foreign = self.listed()
        self.watch(event__callbacks__enabled="true")
        self.change_polls({"contacts": {}, "incidents": {}, "organizations": {"enabled": False}})

    settings: Settings
    hours = 0.0

    def put(self, url: str, type_: str, **members: Any) -> int:
        """Have an entry stand in ConnectWise that somebody made; return its id."""
        table = self.store.table("callbacks")
        number = table.take_id()
        plain = {"id": number, "url": url, "objectId": 1, "type": type_, "level": "owner", "inactiveFlag": False}
        with self.store.lock:
            table.put(plain | {"_info": {"lastUpdated": "2026-06-09T21:59:49Z"}} | members)
        return number

    def listed(self) -> list[Entry]:
        """Return what stands in ConnectWise: URL, type, and whether it is switched on."""
        return sorted((each["url"], each["type"], not each["inactiveFlag"]) for each in entries_of(self.store))

    def ours(self) -> list[Entry]:
        return sorted(set(self.listed()) - set(self.foreign))

    def right(self) -> list[Entry]:
        """Return what is to stand there of ours."""
        return [(self.url, type_, True) for type_ in ("contact", "ticket")]

    @property
    def endpoint(self) -> CallbackEndpoint:
        return CallbackEndpoint.objects.get(instance=self.instance)

    @property
    def url(self) -> str:
        return callback_url(self.endpoint.token.reveal())

    def rows(self) -> dict[str, str]:
        return dict(CallbackRegistration.objects.filter(instance=self.instance).values_list("type", "status"))

    def change_polls(self, polls: dict[str, Any]) -> None:
        self.configure(**{"event.poller.configuration": polls})

    def configure(self, **keys: Any) -> None:
        instance = Instance.objects.get(pk=self.instance.pk)
        stored = config_of(instance)
        self.instance = change_instance(instance, config=read_configuration(keys, base=stored, stored=stored))

    def settle(self, *, hours: float = 0) -> int:
        """Let workers do what is due, so many hours after the last time; return how many comparisons ended."""
        self.hours += hours + 0.001
        with time_machine.travel(timezone.now() + timedelta(hours=self.hours), tick=True):
            notice_address(timezone.now())
            return PollLoop(PollState.objects.none(), deadline=float("inf"), sources=[claim_registrations]).run()

    def settle_for(self, hours: int) -> None:
        """Let so many hours pass, a little more than one at a time."""
        self.settle()
        for _ in range(hours):
            self.settle(hours=1.01)


@pytest.fixture
def registry(tenant: Tenant, sandbox: SandboxServer, settings: Settings) -> Registry:
    made = Registry(tenant, sandbox)
    made.settings = settings
    made.begin()
    return made


def spoil(**fault: Any) -> Callable[[Registry], None]:
    """Make what has ConnectWise answer the next requests for callbacks otherwise (Store.fail_next)."""
    return lambda registry: registry.store.fail_next(path="/system/callbacks", **fault)
