"""Times at both ends of the calendar, which systems write for "never" and "ever": no page, list or export breaks."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.core.management import CommandError
from django.test import Client
from django.utils import timezone

from cwconnect.core.time import DisplayZone
from polling.management.arguments import read_time
from polling.models import Event, PollRun, PollState
from tests.conftest import Tenant
from tests.support.every_page import every_page
from tests.support.filled_service import Filled, fill
from tests.support.page_views import onlooker
from tests.support.required import lengthy

pytestmark = pytest.mark.django_db
ENDS = [datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)]
ZONES = ["Pacific/Kiritimati", "Etc/GMT+12", "Europe/Berlin", "America/Denver", "UTC"]
TEXTS = [
    *("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+12:00"),
    *("9999-12-31T23:59", "0001-01-01T00:00", "99999-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "-1", "9" * 30),
]


@pytest.fixture
def filled(tenant: Tenant) -> Filled:
    return fill(tenant.organization, instances=10, events=60, now=timezone.now())


@lengthy
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("zone", [ZONES[0], pytest.param(ZONES[1], marks=lengthy)])  # the two that go over the ends
def test_every_page_shows_them(filled: Filled, tenant: Tenant, settings: object, zone: str, end: datetime) -> None:
    settings.TIME_ZONE = zone  # type: ignore[attr-defined]  # pytest-django's
    Event.objects.update(occurred_at=end)
    PollRun.objects.update(newest_stamp=end, first_date=end, opening=end, listed_at=end)
    PollState.objects.update(cursor=end)
    client = onlooker(tenant.organization)
    client.cookies["zone"] = zone

    found = {page.name: client.get(page.path).status_code for page in every_page(filled)}

    assert {name: status for name, status in found.items() if status >= 500} == {}


@pytest.mark.parametrize("zone", ZONES)
def test_exports_hold_them(filled: Filled, tenant: Tenant, settings: object, zone: str) -> None:
    settings.TIME_ZONE = zone  # type: ignore[attr-defined]  # pytest-django's
    Event.objects.update(occurred_at=ENDS[0])
    newest = Event.objects.latest("pk").pk
    person = onlooker(tenant.organization)
    answer = person.get(f"/admin/polling/event/export/?q={newest}")
    assert b"".join(answer.streaming_content).count(b"\n") > 1  # type: ignore[attr-defined]  # of a stream


@pytest.mark.parametrize("text", TEXTS)
def test_every_route_and_page_that_takes_a_time_takes_or_refuses_them(
    filled: Filled, tenant: Tenant, client: Client, text: str
) -> None:
    number, poll = filled.busiest.pk, filled.polls[0].pk
    auth = {"Authorization": tenant.auth}
    for path in (f"/instances/{number}/events", f"/instances/{number}/events/analytics"):
        for query in ({"from": text}, {"to": text}, {"from": text, "to": text}, {"from": TEXTS[2], "to": text}):
            assert client.get(path, query, headers=auth).status_code in (200, 400, 404), (path, query)
    for path, body in (
        (f"/v1/instances/{number}/polls/{poll}/backfill", {"since": text}),
        (f"/v1/instances/{number}/replays", {"since": text, "count_only": True}),
        (f"/v1/instances/{number}/replays", {"until": text, "count_only": True}),
    ):
        answer = client.post(path, body, content_type="application/json", headers=auth)
        assert answer.status_code in (200, 202, 400, 404, 409), (path, answer.content)
    person = onlooker(tenant.organization)
    person.cookies["zone"] = "Pacific/Kiritimati"
    for query in ({"since": text}, {"until": text}, {"from": text}, {"to": text}):
        assert person.get("/app/events", query).status_code in (200, 422), query
        assert person.get(f"/app/instances/{number}/replay", query).status_code in (200, 422, 404), query


@pytest.mark.parametrize("text", TEXTS)
def test_commands_take_or_refuse_them_in_words(text: str) -> None:
    try:
        assert read_time(text, "--since").utcoffset() is not None
    except CommandError as error:
        assert "--since" in str(error)  # noqa: PT017  # either outcome is right, another exception is not


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("end", ENDS)
def test_a_time_without_a_local_one_is_shown_as_in_utc(zone: str, end: datetime) -> None:
    local = end.astimezone(DisplayZone(zone))
    assert local.year in (1, 9999)
    assert str(local.year) in f"{local:%Y-%m-%d %H:%M:%S %Z}"
