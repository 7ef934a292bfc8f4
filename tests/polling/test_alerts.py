"""Warnings to the operator: once per episode, in the log, by mail and as a POST."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from cwconnect.core.email_url import read_email_url
from cwconnect.site.alert_sender import send_alerts
from cwconnect.site.periodic_jobs import PERIODIC_JOBS
from polling.alerts import delivery_alerts
from polling.delivery.pausing import release_all_of
from polling.models import Alert, Notification
from tests.support.deliveries import change, deliver, failing
from tests.support.mail_servers import MailServer
from tests.support.polled_instance import PolledInstance
from tests.support.raw_servers import RawServer
from tests.support.receivers import Receiver, start_receiver

Kind = Alert.Kind


@pytest.fixture
def mail_server(settings: Settings) -> Iterator[MailServer]:
    server = MailServer()
    with RawServer(server.handle) as running:
        settings.EMAIL_URL = f"smtp://127.0.0.1:{running.port}/?to=ops@example.com&from=cwconnect@example.com"
        yield server


def kinds() -> list[str]:
    return list(Alert.objects.order_by("id").values_list("kind", flat=True))


@pytest.fixture
def paused(notifying: PolledInstance, receiver: Receiver) -> PolledInstance:
    """A world whose receiver answered 410."""
    receiver.answer = failing(410)
    change(notifying, 1)
    deliver()
    assert kinds() == [Kind.PAUSED]
    return notifying


def test_half_of_the_schedule_the_last_try_and_the_pause_are_sent(
    notifying: PolledInstance, receiver: Receiver, settings: Settings
) -> None:
    settings.RETRY_SCHEDULE = [0, 1, 1, 1]
    receiver.answer = failing(500)
    change(notifying, 1)
    seen = []
    for _ in range(4):
        deliver()
        seen.append(kinds())
    assert seen[0] == []
    assert seen[1] == [Kind.HALF_USED]
    assert seen[2] == [Kind.HALF_USED, Kind.LAST_TRY]
    assert seen[3] == [Kind.HALF_USED, Kind.LAST_TRY, Kind.PAUSED]


def test_a_second_notification_in_trouble_is_no_second_episode(
    notifying: PolledInstance, receiver: Receiver, settings: Settings
) -> None:
    settings.RETRY_SCHEDULE = [0, 1, 1, 1]
    receiver.answer = failing(500)
    change(notifying, 1)
    notifying.store.change("contacts", 2, {"title": "x" * 200_000})
    change(notifying, 3)
    deliver()
    deliver()
    assert kinds().count(Kind.HALF_USED) == 1


def test_a_delivery_ends_the_episode(notifying: PolledInstance, receiver: Receiver, settings: Settings) -> None:
    settings.RETRY_SCHEDULE = [0, 1, 1, 1]
    receiver.answer = failing(500)
    change(notifying, 1)
    deliver()
    deliver()
    receiver.answer = failing(204)
    deliver()
    assert Alert.objects.get().resolved_at is not None


def test_a_release_ends_the_pause(paused: PolledInstance) -> None:
    release_all_of(paused.instance, timezone.now())
    assert Alert.objects.get().resolved_at is not None


def test_it_stands_in_the_log(
    notifying: PolledInstance,
    caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with caplog.at_level(logging.WARNING), django_capture_on_commit_callbacks(execute=True):
        delivery_alerts.warn(Kind.PAUSED, notifying.instance, "Delivery is paused: a test.", timezone.now())
    assert "Delivery is paused: a test." in caplog.text


def test_a_mail_says_in_words_what_happened(paused: PolledInstance, mail_server: MailServer) -> None:
    assert send_alerts(timezone.now()) == 1
    ((subject, body),) = mail_server.texts()
    assert subject == f"cwconnect: Delivery is paused: {paused.instance}"
    assert "wants no more notifications" in body
    assert "Alpha" in body


def test_it_is_sent_once(paused: PolledInstance, mail_server: MailServer) -> None:
    send_alerts(timezone.now())
    send_alerts(timezone.now())
    assert len(mail_server.mails) == 1


def test_many_warnings_are_one_mail(paused: PolledInstance, mail_server: MailServer) -> None:
    delivery_alerts.warn(Kind.HALF_USED, paused.instance, "Another thing.", timezone.now())
    send_alerts(timezone.now())
    ((subject, body),) = mail_server.texts()
    assert subject == "cwconnect: 2 warnings"
    assert "Another thing." in body


def test_a_mail_that_was_refused_is_tried_again(paused: PolledInstance, mail_server: MailServer) -> None:
    mail_server.refuses = True
    assert send_alerts(timezone.now()) == 0
    mail_server.refuses = False
    assert send_alerts(timezone.now()) == 1
    assert len(mail_server.mails) == 1


def test_a_mail_server_that_is_gone_stops_nothing(paused: PolledInstance, settings: Settings) -> None:
    settings.EMAIL_URL = "smtp://127.0.0.1:9/?to=ops@example.com"
    assert send_alerts(timezone.now()) == 0
    release_all_of(paused.instance, timezone.now())
    assert deliver() == 1


def test_the_operators_webhook_gets_it_as_json(paused: PolledInstance, settings: Settings) -> None:
    with start_receiver() as operator:
        settings.OPERATOR_WEBHOOK_URL = operator.url
        assert send_alerts(timezone.now()) == 1
        posted = operator.got[0].json
    assert posted["text"].startswith("Delivery of API_Polling")
    assert posted["alerts"][0]["kind"] == "paused"
    assert posted["alerts"][0]["instanceId"] == paused.instance.pk


def test_an_operators_webhook_that_fails_is_tried_again_apart_from_the_mail(
    paused: PolledInstance, settings: Settings, mail_server: MailServer
) -> None:
    with start_receiver() as operator:
        settings.OPERATOR_WEBHOOK_URL = operator.url
        operator.answer = failing(500)
        send_alerts(timezone.now())
        operator.answer = failing(204)
        send_alerts(timezone.now())
        assert len(operator.got) == 2
    assert len(mail_server.mails) == 1


def test_without_settings_nothing_is_sent(paused: PolledInstance) -> None:
    assert send_alerts(timezone.now()) == 0


def test_a_warning_of_long_ago_is_not_sent_when_mail_is_set_up(paused: PolledInstance, mail_server: MailServer) -> None:
    Alert.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert send_alerts(timezone.now()) == 0


def test_alerts_are_sent_by_a_periodic_job_of_each_minute() -> None:
    assert send_alerts in [job.run for job in PERIODIC_JOBS]


def test_a_notification_knows_its_warnings(notifying: PolledInstance, receiver: Receiver, settings: Settings) -> None:
    settings.RETRY_SCHEDULE = [0, 1]
    receiver.answer = failing(500)
    change(notifying, 1)
    deliver()
    assert Alert.objects.get().notification == Notification.objects.get()


@pytest.mark.parametrize(
    ("url", "port", "tls", "ssl"),
    [
        ("smtp://mail.example.com/?to=a@b.c", 25, False, False),
        ("smtp+tls://bob:p%40ss@mail.example.com?to=a@b.c", 587, True, False),
        ("smtps://mail.example.com:4650/?to=a@b.c,d@e.f", 4650, False, True),
    ],
)
def test_an_email_url_is_read(url: str, port: int, tls: bool, ssl: bool) -> None:
    server = read_email_url(url)
    assert server is not None
    assert (server.host, server.port, server.use_tls, server.use_ssl) == ("mail.example.com", port, tls, ssl)
    assert server.sender == server.to[0] == "a@b.c"
    assert server.password in ("", "p@ss")


@pytest.mark.parametrize(
    "url",
    ["mail.example.com", "http://mail.example.com/?to=a@b.c", "smtp://?to=a@b.c", "smtp://h:s3cret@m/", "smtp://m:x/"],
)
def test_an_email_url_that_is_wrong_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        read_email_url(url)
    assert "s3cret" not in str(caught.value)
