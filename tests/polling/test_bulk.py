"""Rows written in bulk are the rows that the models would have written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from cwconnect.core.bulk_sql import (
    db_timestamp,
    insert,
    update,
    upsert,
)
from polling.models import DeliveryAttempt, LogPosition, Notification, RecordSnapshot, SnapshotBody
from tests.support.polled_instance import PolledInstance

KEY = ("resource_poll_id", "record_id")
TEXTS = ["plain", '{"a":"\\u0000 \\"quoted\\" \\\\ back"}', "tab\tline\n", "\\N", "", "Grüße 漢字 🎈", "a'b{},NULL"]
AT = datetime(2026, 3, 8, 12, 30, 15, 123456, tzinfo=timezone(timedelta(hours=-6)))


@pytest.fixture
def poll_id(watched: PolledInstance) -> int:
    return watched.state.resource_poll_id


def bodies(poll_id: int) -> list[str]:
    rows = SnapshotBody.objects.filter(resource_poll_id=poll_id).order_by("record_id")
    return list(rows.values_list("body", flat=True))


def test_texts_come_back_as_they_went(poll_id: int) -> None:
    rows = [(poll_id, number, text) for number, text in enumerate(TEXTS)]
    insert(SnapshotBody, (*KEY, "body"), rows)
    assert bodies(poll_id) == TEXTS


def test_an_upsert_inserts_what_is_new_and_overwrites_the_rest(poll_id: int) -> None:
    insert(SnapshotBody, (*KEY, "body"), [(poll_id, 1, "old"), (poll_id, 2, "kept")])
    upsert(SnapshotBody, (*KEY, "body"), [(poll_id, number, TEXTS[number]) for number in (1, 3, 5)], key=KEY)
    assert bodies(poll_id) == [TEXTS[1], "kept", TEXTS[3], TEXTS[5]]


def test_bytes_nulls_and_truths_come_back_as_they_went(poll_id: int) -> None:
    RecordSnapshot.objects.all().delete()
    rows = [(poll_id, 1, None, b"\x00", True), (poll_id, 2**62, -1, bytes(range(16)), False)]
    upsert(RecordSnapshot, (*KEY, "stamp", "digest", "gone"), rows, key=KEY)
    stored = RecordSnapshot.objects.order_by("record_id").values_list("record_id", "stamp", "digest", "gone")
    assert [(number, stamp, bytes(digest), gone) for number, stamp, digest, gone in stored] == [row[1:] for row in rows]


def notification(world: PolledInstance, number: int) -> Notification:
    return Notification.objects.create(
        id=number,
        instance=world.instance,
        object_type="contacts",
        webhook_id=f"msg_{number}",
        body="{}",
        event_count=1,
        created_at=AT,
    )


def test_an_update_writes_each_row_its_own_values(watched: PolledInstance) -> None:
    delivered = notification(watched, 1)
    made = [DeliveryAttempt.objects.create(notification=delivered, started_at=AT) for _ in TEXTS]
    columns = ("finished_at", "seconds", "status", "request_headers", "response")
    rows: list[Any] = [
        (db_timestamp(AT), 0.25, None if number else 204, '{"a":"b"}', TEXTS[number], attempt.pk)
        for number, attempt in enumerate(made[:-1])
    ]
    update(DeliveryAttempt, columns, rows, key="id")
    stored = list(DeliveryAttempt.objects.order_by("pk"))
    assert [attempt.response for attempt in stored] == [*TEXTS[:-1], ""]
    assert (stored[0].finished_at, stored[0].seconds, stored[0].request_headers) == (AT, 0.25, {"a": "b"})
    assert [attempt.status for attempt in stored] == [204, *[None] * (len(TEXTS) - 1)]


@pytest.mark.parametrize("at", [AT, AT.replace(microsecond=0), datetime(2000, 1, 1, tzinfo=UTC)])
def test_a_moment_is_stored_as_the_model_stores_it(watched: PolledInstance, at: datetime) -> None:
    saved = notification(watched, 1)
    Notification.objects.filter(pk=1).update(created_at=at)
    update(Notification, ("first_attempt_at",), [(db_timestamp(at), 1)], key="id")
    with connection.cursor() as cursor:
        cursor.execute("SELECT created_at, first_attempt_at FROM polling_notification")
        raw = cursor.fetchone()
    saved.refresh_from_db()
    assert raw[0] == raw[1]
    assert saved.first_attempt_at == at


def test_no_rows_are_no_statement(poll_id: int, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        insert(SnapshotBody, (*KEY, "body"), [])
        upsert(SnapshotBody, (*KEY, "body"), [], key=KEY)
        update(SnapshotBody, ("body",), [], key="record_id")


def test_a_conflict_is_djangos_error(db: None) -> None:
    insert(LogPosition, ("id", "last"), [(7, 0)])
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(LogPosition, ("id", "last"), [(7, 0)])
