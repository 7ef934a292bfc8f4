"""`/metrics`: who may read it, and that its counts only grow, whatever retention deletes."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from django_q.brokers import get_broker
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from cwconnect.core.backup_folder import name_of
from cwconnect.site.metrics import DatabaseCollector
from instances.guesses import ACCOUNT, FREE, LONGEST, held_up, key_of, note_failure
from instances.models import Organization, ResourcePoll
from polling.delivery.given_up import dismiss_given_up
from polling.models import DeliveryAttempt, DeliveryState, Notification, PollRun, StoredCounter
from polling.reports import counters
from tests.support.rows import further_subscription, make_attempt, make_instance, make_notification, make_poll, make_run

MINUTE = timedelta(minutes=1)


def scrape() -> dict[tuple[str, ...], float]:
    """Return the samples by name and label values."""
    answer = Client().get("/metrics")
    assert answer.status_code == 200, answer.content
    families = text_string_to_metric_families(answer.content.decode())
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


@pytest.fixture
def poll(organization: Organization) -> ResourcePoll:
    return make_poll(make_instance(organization), due_at=None)


@pytest.fixture
def notification(organization: Organization) -> Notification:
    return make_notification(make_instance(organization), 1, timezone.now())


@pytest.mark.django_db
def test_this_machine_may_read_them_without_a_token() -> None:
    assert Client(REMOTE_ADDR="127.0.0.1").get("/metrics").status_code == 200
    assert Client(REMOTE_ADDR="::ffff:127.0.0.1").get("/metrics").status_code == 200


@pytest.mark.parametrize("address", ["10.0.0.7", "203.0.113.9", "", "unix:"])
def test_another_machine_may_not(address: str) -> None:
    answer = Client(REMOTE_ADDR=address).get("/metrics")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_nobody_reads_them_through_a_proxy_of_this_machine(header: str) -> None:
    assert Client().get("/metrics", headers={header: "127.0.0.1"}).status_code == 401


def test_behind_a_public_url_a_token_is_needed(settings: Settings) -> None:
    settings.PUBLIC_URL = "https://events.example"
    assert Client().get("/metrics").status_code == 401


@pytest.mark.django_db
def test_the_right_token_opens_them_from_anywhere(settings: Settings) -> None:
    settings.METRICS_TOKEN = "a long token"
    client = Client(REMOTE_ADDR="10.0.0.7")
    assert client.get("/metrics", headers={"Authorization": "Bearer a long token"}).status_code == 200
    for wrong in ("", "Bearer", "Bearer a long toke", "a long token", "Bearer a long token ü"):
        assert client.get("/metrics", headers={"Authorization": wrong}).status_code == 401
    assert Client().get("/metrics").status_code == 401


def test_runs_are_counted_and_timed(poll: ResourcePoll) -> None:
    now = timezone.now()
    make_run(poll, now - MINUTE, seconds=0.2, records=7)
    make_run(poll, now - MINUTE, seconds=20, status=PollRun.Status.FAILED, skipped=1)
    make_run(poll, now - MINUTE, seconds=None)
    found = scrape()
    assert found["cwconnect_polls_total", "poll", "complete"] == 1
    assert found["cwconnect_polls_total", "poll", "failed"] == 1
    assert ("cwconnect_polls_total", "poll", "open") not in found
    assert found["cwconnect_records_total",] == 7
    assert found["cwconnect_poll_seconds_bucket", "0.1"] == 0
    assert found["cwconnect_poll_seconds_bucket", "0.25"] == 1
    assert found["cwconnect_poll_seconds_bucket", "+Inf"] == found["cwconnect_poll_seconds_count",] == 2
    assert found["cwconnect_poll_seconds_sum",] == pytest.approx(20.2)


def test_attempts_are_counted_by_outcome(notification: Notification) -> None:
    now = timezone.now()
    for status, kind in ((204, ""), (200, ""), (503, ""), (410, ""), (None, "timed out")):
        make_attempt(notification, now, finished_at=now, seconds=0.3, status=status, error_kind=kind)
    make_attempt(notification, now)
    make_attempt(notification, now - 2 * counters.CUT_OFF)
    found = scrape()
    counted = {name[1]: value for name, value in found.items() if name[0] == "cwconnect_deliveries_total"}
    assert counted == {"delivered": 2, "status_5xx": 1, "status_4xx": 1, "timed_out": 1, "cut_off": 1}


@pytest.mark.django_db
def test_gauges_say_what_waits(notification: Notification) -> None:
    now = timezone.now()
    get_broker().purge_queue()  # what earlier tests of this process committed may have called for work
    Notification.objects.filter(pk=notification.pk).update(next_attempt_at=now - MINUTE)
    found = scrape()
    assert found["cwconnect_undelivered", "pending"] == 1
    assert found["cwconnect_delivery_lag_seconds",] == pytest.approx(60, abs=5)
    assert found["cwconnect_part_ok", "worker"] == 0
    assert found["cwconnect_queue_tasks",] == 0


@pytest.mark.django_db
def test_each_paused_subscription_counts_but_not_one_that_is_off(notification: Notification) -> None:
    """One that is off needs nobody, here as on the overview."""
    now, instance = timezone.now(), notification.instance
    for pk in (instance.pk, further_subscription(instance).pk, further_subscription(instance, 2, enabled=False).pk):
        DeliveryState.objects.create(subscription_id=pk, paused_at=now)
    assert scrape()["cwconnect_paused_deliveries",] == 2


def test_what_was_given_up_counts_until_it_is_dismissed(notification: Notification) -> None:
    now = timezone.now()
    Notification.objects.filter(pk=notification.pk).update(
        state=Notification.State.FAILED, next_attempt_at=None, given_up_at=now - MINUTE
    )
    assert scrape()["cwconnect_given_up",] == 1
    organization = notification.instance.organization
    assert organization is not None
    dismiss_given_up(organization, now)
    assert scrape()["cwconnect_given_up",] == 0
    Notification.objects.filter(pk=notification.pk).update(given_up_at=now + MINUTE)
    assert scrape()["cwconnect_given_up",] == 1


@pytest.mark.django_db
def test_accounts_that_are_guessed_at_are_counted_while_guesses_wait() -> None:
    now = timezone.now()
    for _ in range(FREE[ACCOUNT] - 1):
        note_failure(key_of(ACCOUNT, "ruth"), now)
    assert scrape()["cwconnect_guessed_at", "account"] == 0
    note_failure(key_of(ACCOUNT, "ruth"), now)
    assert scrape()["cwconnect_guessed_at", "account"] == 1
    assert held_up(now + LONGEST) == dict.fromkeys(FREE, 0)
    assert "ruth" not in Client().get("/metrics").content.decode()


@pytest.mark.django_db
def test_the_space_left_is_that_of_the_embedded_database(settings: Settings, tmp_path: Path) -> None:
    settings.EMBEDDED, settings.DATA_DIR = True, tmp_path
    assert scrape()["cwconnect_data_free_bytes",] > 0
    settings.DATA_DIR = tmp_path / "gone"
    assert ("cwconnect_data_free_bytes",) not in scrape()
    settings.EMBEDDED, settings.DATA_DIR = False, tmp_path
    assert ("cwconnect_data_free_bytes",) not in scrape()


def test_no_label_names_a_customer(poll: ResourcePoll) -> None:
    make_run(poll, timezone.now())
    text = Client().get("/metrics").content.decode()
    assert "API_Polling" not in text
    assert "acme" not in text
    assert "127.0.0.1" not in text


def complete(now: datetime) -> int:
    return counters.read(counters.RUNS, now).counts["poll", "complete"]


def test_what_retention_deletes_stays_counted(poll: ResourcePoll) -> None:
    now = timezone.now()
    for _ in range(3):
        make_run(poll, now)
    later = now + 5 * MINUTE
    counters.advance(later)
    PollRun.objects.all().delete()
    assert complete(later) == 3
    make_run(poll, later)
    assert complete(later) == 4


def test_a_run_that_ends_after_the_counter_passed_it_is_counted_once(poll: ResourcePoll) -> None:
    now = timezone.now()
    slow = make_run(poll, now, seconds=None)
    make_run(poll, now)
    for minute in (5, 6):
        counters.advance(now + minute * MINUTE)
    assert complete(now) == 1
    assert StoredCounter.objects.get(name="runs").open == [slow.pk]
    PollRun.objects.filter(pk=slow.pk).update(status=PollRun.Status.COMPLETE, finished_at=now + 7 * MINUTE)
    assert complete(now) == 2
    counters.advance(now + 8 * MINUTE)
    counters.advance(now + 9 * MINUTE)
    assert complete(now) == 2
    assert StoredCounter.objects.get(name="runs").open == []


def test_many_rows_are_passed_in_steps(poll: ResourcePoll, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "STEP", 2)
    now = timezone.now()
    for _ in range(4):
        make_run(poll, now - 5 * MINUTE)
    last = make_run(poll, now - 5 * MINUTE)
    PollRun.objects.filter(pk=last.pk).update(id=last.pk + 10**9)  # a gap, as a restore leaves it among the events
    counters.advance(now)
    assert StoredCounter.objects.get(name="runs").upto == last.pk + 10**9
    assert complete(now) == 5


def test_a_fresh_row_is_not_passed_for_a_smaller_id_may_still_appear(poll: ResourcePoll) -> None:
    now = timezone.now()
    old = make_run(poll, now - 5 * MINUTE)
    make_run(poll, now)
    counters.advance(now)
    assert StoredCounter.objects.get(name="runs").upto == old.pk


def test_counts_never_shrink_while_counters_move_on(poll: ResourcePoll, notification: Notification) -> None:
    start = timezone.now()
    seen = 0
    for minute in range(12):
        now = start + minute * MINUTE
        make_attempt(notification, now, finished_at=now, seconds=1.0, status=200)
        if minute % 3 == 0:
            counters.advance(now)
        if minute == 8:
            DeliveryAttempt.objects.filter(started_at__lt=start + 2 * MINUTE).delete()
        total = counters.read(counters.ATTEMPTS, now).timed
        assert total == seen + 1
        seen = total


def test_a_scrape_costs_a_fixed_number_of_queries(
    poll: ResourcePoll, django_assert_max_num_queries: pytest.FixtureRequest
) -> None:
    for _ in range(20):
        make_run(poll, timezone.now())
    with django_assert_max_num_queries(55):  # type: ignore[operator]  # pytest-django's own type is not public
        scrape()


@pytest.mark.django_db
def test_every_metric_is_documented_and_every_documented_one_is_there(settings: Settings, tmp_path: Path) -> None:
    settings.BACKUP_FOLDER, settings.ON_SQLITE = tmp_path, True
    (tmp_path / name_of(timezone.now(), sealed=False)).touch()
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    table = text.partition("## Metrics")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `(cwconnect_\w+)` \|", table, re.MULTILINE))
    assert {family.name for family in DatabaseCollector(timezone.now()).collect()} == documented
