"""The page *Audit*: who may see it, what it shows, how it is narrowed, and the file of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from instances.models import AuditEntry, Organization
from polling.reports.audit_search import PER_PAGE, AuditSearch, search_audit
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of
from tests.support.rows import make_instance

pytestmark = pytest.mark.django_db


def write(organization: Organization, **given: Any) -> AuditEntry:
    """Write an entry; `at` is a time, or how far from now."""
    row = {"actor": "account olga", "action": "instance changed", "subject": "Acme (1)"} | given
    at = row.pop("at", None)
    if isinstance(at, timedelta):
        at += timezone.now()
    entry = AuditEntry.objects.create(organization=organization, **row)
    if at is not None:
        AuditEntry.objects.filter(pk=entry.pk).update(at=at)
    return entry


def rows_of(client: Client, query: str) -> list[list[str]]:
    answer = client.get(f"/app/audit.csv?{query}")
    content: Iterator[bytes] = answer.streaming_content  # type: ignore[attr-defined]  # the test client's answer
    return list(csv.reader(io.StringIO(b"".join(content).decode())))[1:]


def test_operators_alone_see_it_and_of_their_own(
    operator: Client, viewer: Client, tenant: Tenant, other_tenant: Tenant
) -> None:
    write(other_tenant.organization, subject="of others")
    for path in ("/app/audit", "/app/audit.csv"):
        assert viewer.get(path).status_code == 403
        assert Client().get(path).headers["Location"].startswith("/app/signin")
        assert operator.post(path).status_code == 405
    assert "of others" not in text_of(operator.get("/app/audit"))
    assert "of others" not in str(rows_of(operator, ""))


def test_an_entry_says_who_what_to_what_from_what_to_what_and_when(
    operator: Client, organization: Organization
) -> None:
    instance = make_instance(organization, name="Acme")
    details = {"refresh_interval": [15, 5], "private_key": "changed"}
    write(organization, details=details, instance_number=instance.pk, request_id="0123456789abcdef01234567")
    page = text_of(operator.get("/app/audit"))
    for words in (
        "olga</bdi>",
        "instance changed",
        f'href="/app/instances/{instance.pk}"',
        "Event poller refresh interval (mins):",
        "15</del>",
        "5</ins>",
        "Private Key: <bdi>changed",
        'href="/app/search?q=0123456789abcdef01234567"',
    ):
        assert words in page, words
    assert "account olga</bdi>" not in page


LONG_AGO = datetime(2025, 6, 1, tzinfo=UTC)
NARROWED: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("who=account+olga", {"actor": "account olga"}, {"actor": "account otto"}),
    ("action=instance+deleted", {"action": "instance deleted"}, {"action": "signed in"}),
    ("who=account+olga&action=signed+in", {"action": "signed in"}, {"actor": "account otto", "action": "signed in"}),
    ("q=acme", {"subject": "Acme (1)"}, {"subject": "Globex (2)"}),
    ("instance=7777", {"instance_number": 7777}, {"instance_number": 7778}),
    ("instance=Gone", {"subject": "Gone (9)"}, {"subject": "Acme (1)"}),
    ("preset=hour", {}, {"at": timedelta(hours=-2)}),
    ("preset=yesterday", {"at": timedelta(days=-1)}, {}),
    ("to=2026-01-01T00:00", {"at": LONG_AGO}, {}),
)


@pytest.mark.parametrize(("query", "found", "left_out"), NARROWED)
def test_it_is_narrowed(
    operator: Client, organization: Organization, query: str, found: dict[str, Any], left_out: dict[str, Any]
) -> None:
    AuditEntry.objects.all().delete()
    write(organization, request_id="in", **found)
    write(organization, request_id="out", **left_out)
    page = text_of(operator.get(f"/app/audit?{query}"))
    assert ("q=in" in page, "q=out" in page) == (True, False)
    assert [row[-1] for row in rows_of(operator, query)] == ["in"]
    assert "Narrowed to" in page


@pytest.mark.parametrize(
    "query", ["who=nobody", "action=nothing", "instance=%00", "before=x", "from=x", "q=%00", "before=9" * 5]
)
def test_what_can_not_be_read_is_no_fault(operator: Client, query: str) -> None:
    assert operator.get(f"/app/audit?{query}").status_code == 200


def test_pages_go_on_and_the_file_has_all(operator: Client, organization: Organization) -> None:
    AuditEntry.objects.all().delete()
    AuditEntry.objects.bulk_create(
        AuditEntry(organization=organization, actor="account olga", action="signed in", subject=f"number {n}")
        for n in range(PER_PAGE * 2 + 5)
    )
    seen, before = list[int](), None
    while True:
        stretch = search_audit(organization, AuditSearch(), before=before)
        seen += [row.pk for row in stretch.rows]
        if stretch.next_before is None:
            break
        before = stretch.next_before
    assert len(seen) == len(set(seen)) == PER_PAGE * 2 + 5
    assert len(rows_of(operator, "")) == PER_PAGE * 2 + 5
    assert "Older" in text_of(operator.get("/app/audit"))


def test_the_file_holds_no_formula(operator: Client, organization: Organization) -> None:
    write(organization, subject="=cmd|' /C calc'!A0", actor="@SUM(1)", details={"=1+1": "=2"})
    (row,) = [row for row in rows_of(operator, "") if "calc" in row[3]]
    assert row[1][0] == row[3][0] == row[4][0] == "'"


def test_the_file_is_read_by_the_thousand(operator: Client, organization: Organization) -> None:
    AuditEntry.objects.bulk_create(
        AuditEntry(organization=organization, actor="a", action="signed in", subject="x") for _ in range(2500)
    )
    with CaptureQueriesContext(connection) as asked:
        assert len(rows_of(operator, "who=a")) == 2500
    selects = [
        query["sql"] for query in asked if 'FROM "instances_auditentry"' in query["sql"] and "LIMIT" in query["sql"]
    ]
    assert all("LIMIT 1001" in sql or "LIMIT 1" in sql for sql in selects)
    assert sum("LIMIT 1001" in sql for sql in selects) == 3


def test_nobody_has_done_anything_yet(organization: Organization) -> None:
    client = sign_in("eve", organization)
    AuditEntry.objects.all().delete()
    assert "Nothing was done yet" in text_of(client.get("/app/audit"))
