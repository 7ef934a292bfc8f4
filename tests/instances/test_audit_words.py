"""Details of audit entries in words, one line a field; and which instance an entry is about."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from instances import audit
from instances.audit import Action
from instances.audit_words import lines_of
from instances.models import AuditEntry, Instance, Organization
from instances.secrets import Secret

TABLE: tuple[tuple[Any, list[str]], ...] = (
    ({}, []),
    ({"refresh_interval": [15, 5]}, ["Event poller refresh interval (mins): 15 → 5"]),
    ({"events_enabled": [True, False]}, ["Events Enabled: yes → no"]),
    ({"tags": [["east"], []]}, ["tags: east → nothing"]),
    ({"signature_key": "changed"}, ["Signature key: changed"]),
    ({"polls.contacts": "added"}, ["Resource contacts: added"]),
    ({"role": ["viewer", "operator"]}, ["Role: viewer → operator"]),
    ({"role": "viewer", "invited by": "account olga"}, ["Role: viewer", "Invited by: olga"]),
    ({"entries": [7, 8]}, ["Entries: 7, 8"]),
    ({"former_until": "2026-01-01T00:00:00+00:00"}, ["The former one is good until: 01 Jan 2026, 00:00:00 UTC"]),
    ({"sessions": [{"address": "192.0.2.1", "at": "noon"}]}, ["Sessions: address 192.0.2.1; at noon"]),
    ({"how": "changed", "fields": None}, ["How: changed", "Fields: nothing"]),
    ({"deep": {"a": {"b": [1, 2.5]}}}, ["Deep: a b 1, 2.5"]),
    (["not", "an object"], ["Details: not, an object"]),
    ("text", ["Details: text"]),
    ({"at": "2026-02-28T23:59:59.5-01:00"}, ["At: 01 Mar 2026, 00:59:59 UTC"]),
    ({"at": "2026-02-31T00:00:00+00:00"}, ["At: 2026-02-31T00:00:00+00:00"]),
    (
        {
            "subscription": "Closed tickets",
            "filter": ["", '{"kinds":["DELETED"]}'],
            "fields": [["id", "status"], []],
            "retry_schedule": [[0, 5], []],
            "retention_days": [7, 0],
            "enabled": [False, True],
            "begin": "where_it_was",
            "callback_url": "changed",
        },
        [
            "Subscription: Closed tickets",
            'Filter: nothing → {"kinds":["DELETED"]}',
            "Fields: id, status → nothing",
            "Retry schedule: 0, 5 → nothing",
            "Retention days: 7 → 0",
            "Enabled: no → yes",
            "Goes on from: where_it_was",
            "Event Notification Callback URL: changed",
        ],
    ),
)


@pytest.mark.parametrize(("details", "said"), TABLE)
def test_details_are_said_field_by_field(details: Any, said: list[str]) -> None:
    assert [str(line).lower() for line in lines_of(details)] == [line.lower() for line in said]


@pytest.fixture
def acme(db: None) -> Instance:
    instance = Instance(organization=Organization.objects.create(name="Alpha"), name="Acme", token_hash="x")
    instance.public_key = instance.private_key = Secret.of("x")
    instance.save()
    return instance


def test_an_entry_knows_the_instance_that_it_is_about(acme: Instance) -> None:
    poll = acme.resource_polls.create(name="contacts")
    for subject in (acme, poll, "an instance (7)", acme.organization):
        audit.record(Action.ENABLE, subject, organization=acme.organization)
    numbers = AuditEntry.objects.order_by("pk").values_list("instance_number", flat=True)
    assert list(numbers) == [acme.pk, acme.pk, None, None]


@pytest.mark.django_db
def test_the_migration_reads_it_out_of_older_entries() -> None:
    subjects = {
        ("instance changed", "Acme (17)"): 17,
        ("backfill asked for", "contacts of Acme (18)"): 18,
        ("instance deleted", "Acme (19), being deleted"): 19,
        ("instance changed", "Acme"): None,
        ("secrets issued", "alice (42)"): None,  # of an organization that is called 42
    }
    for action, subject in subjects:
        AuditEntry.objects.create(actor="a", action=action, subject=subject)
    connection.check_constraints()  # PostgreSQL alters no table while some wait
    import_module("instances.migrations.0013_audit_search").number_the_instances(
        apps, SimpleNamespace(connection=connection)
    )
    found = {(row.action, row.subject): row.instance_number for row in AuditEntry.objects.all()}
    assert found == subjects
