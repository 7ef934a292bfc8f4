"""Who changes an instance, and polls that record its events meanwhile, never wait for each other in a circle."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connection

import instances
import polling
from instances.configuration.config_keys import POLLS
from instances.configuration.wire import config_of, read_configuration
from instances.models import Instance, ResourcePoll
from instances.provisioning import change_instance
from polling.models import Event
from tests.support.polled_instance import PolledInstance

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 20


def test_nobody_locks_an_instance_against_those_who_only_name_it() -> None:
    """`FOR UPDATE` has an event's foreign key wait at its commit; `FOR NO KEY UPDATE` keeps out whoever writes."""
    places = [path for app in (instances, polling) for path in Path(app.__path__[0]).rglob("*.py")]
    texts = {path: path.read_text(encoding="utf-8") for path in places}
    assert [path for path, text in texts.items() if "Instance.objects.select_for_update()" in text] == []
    assert sum("Instance.objects.select_for_update(no_key=True)" in text for text in texts.values()) > 4


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no locks of rows")
def test_an_instance_is_changed_while_its_polls_record(watched: PolledInstance) -> None:
    def change() -> None:
        try:
            for number in range(ROUNDS):
                current = Instance.objects.get(pk=watched.instance.pk)
                own = config_of(current)
                polls = {"contacts": {**own.polls["contacts"], "detectDeletes": number % 2 == 0}}
                change_instance(current, config=read_configuration({POLLS: polls}, base=own, stored=own))
        finally:
            connection.close()

    def poll() -> None:
        try:
            for number in range(ROUNDS):
                watched.change(3, f"title {number}")
                ResourcePoll.objects.filter(pk=watched.state.pk).update(missing_fields=["idField"])
                watched.poll()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        for end in [pool.submit(change), pool.submit(poll)]:
            end.result(timeout=120)
    watched.poll()
    assert Event.objects.latest("pk").record.count(f"title {ROUNDS - 1}") == 1
