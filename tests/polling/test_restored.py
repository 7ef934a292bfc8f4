"""After a restore by the database's own tools: no new event has the id of one that was recorded since the backup."""

from __future__ import annotations

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.test import Client

from instances.models import AuditEntry
from polling.log.event_ids import IDS_SKIPPED, go_on_after, take_ids
from polling.models import Event
from tests.support.deliveries import change
from tests.support.polled_instance import PolledInstance


def newest() -> int:
    return Event.objects.latest("pk").pk


def test_event_ids_go_on_a_billion_further(watched: PolledInstance, capsys: pytest.CaptureFixture[str]) -> None:
    change(watched, 3)
    before = newest()
    call_command("restored")
    change(watched, 3, title="Owner")
    assert newest() == before + IDS_SKIPPED + 1
    assert "Before you start the workers" in capsys.readouterr().out


def test_a_backup_from_before_the_first_event_will_do(db: None) -> None:
    go_on_after(0)
    call_command("restored", verbosity=0)
    assert take_ids(1) == [IDS_SKIPPED + 1]


def test_ids_go_on_beyond_those_that_are_there_whatever_the_position_says(watched: PolledInstance) -> None:
    change(watched, 3)
    there = newest()
    go_on_after(0)
    call_command("restored", verbosity=0)
    assert take_ids(2) == [there + IDS_SKIPPED + 1, there + IDS_SKIPPED + 2]


def test_who_was_signed_out_since_stays_so_and_it_is_on_record(admin_client: Client) -> None:
    assert Session.objects.exists()
    call_command("restored", verbosity=0)
    assert not Session.objects.exists()
    assert AuditEntry.objects.filter(action="database restored").count() == 1
