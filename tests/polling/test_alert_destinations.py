"""Where an organization's warnings go: in each form, apart from each other, at least once, not for ever."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from cwconnect.core.errors import ConflictError, DomainError
from cwconnect.site.periodic_jobs import PERIODIC_JOBS
from instances.models import AuditEntry, Instance, Organization
from polling.alerts import delivery_alerts, destination_job
from polling.alerts import destinations as rules
from polling.alerts.destination_job import TRIES, send_to_destinations, wait_after
from polling.alerts.messages import Warned, plain_of, slack_of, subject_of, teams_of
from polling.alerts.sending import AlertSendError
from polling.maintenance.clock_skew import repair_clock_skew
from polling.models import Alert, AlertDestination, AlertMute, AlertSend
from polling.workers import leases
from tests.conftest import Tenant
from tests.support.deliveries import failing
from tests.support.mail_servers import MailServer
from tests.support.raw_servers import RawServer
from tests.support.receivers import Receiver, start_receiver
from tests.support.rows import make_instance

State = AlertSend.State
Kind = AlertDestination.Kind
MINUTE = timedelta(minutes=1)


@pytest.fixture
def channel() -> Iterator[Receiver]:
    """What takes warnings."""
    with start_receiver() as receiver:
        yield receiver


@pytest.fixture
def instance(organization: Organization) -> Instance:
    return make_instance(organization, name="Acme")


@pytest.fixture
def mail_server(settings: Settings) -> Iterator[MailServer]:
    server = MailServer()
    with RawServer(server.handle) as running:
        settings.EMAIL_URL = f"smtp://127.0.0.1:{running.port}/?to=ops@example.com&from=cwconnect@example.com"
        yield server


def add(organization: Organization | None, url: str = "", *, kind: str = Kind.WEBHOOK, **more: Any) -> AlertDestination:
    """Add a destination of some minutes ago."""
    assert organization is not None
    now = timezone.now()
    destination = rules.new_destination(organization, kind, now - 5 * MINUTE)
    rules.save_destination(destination, name=more.pop("name", "On call"), url=url, now=now - 5 * MINUTE, **more)
    return destination


def mute(organization: Organization | None, until: datetime, **what: Any) -> None:
    assert organization is not None
    rules.mute(organization, **({"instance": None, "kind": ""} | what), until=until, by="olga", now=timezone.now())


def warn(instance: Instance, text: str = "It fails.", kind: str = Alert.Kind.PAUSED) -> None:
    delivery_alerts.warn(Alert.Kind(kind), instance, text, timezone.now())


def states() -> list[str]:
    return list(AlertSend.objects.order_by("pk").values_list("state", flat=True))


def test_a_warning_goes_to_each_destination_of_its_organization_once(
    instance: Instance, channel: Receiver, other_tenant: Tenant
) -> None:
    with start_receiver() as second, start_receiver() as others:
        add(instance.organization, channel.url)
        add(instance.organization, second.url, name="Second")
        add(other_tenant.organization, others.url)
        warn(instance)
        assert send_to_destinations(timezone.now()) == 2
        assert send_to_destinations(timezone.now() + MINUTE) == 0
        assert (len(channel.got), len(second.got), len(others.got)) == (1, 1, 0)
    assert channel.got[0].json["alerts"][0]["text"] == "It fails."
    assert states() == [State.SENT, State.SENT]


def test_many_warnings_are_one_message(instance: Instance, channel: Receiver) -> None:
    add(instance.organization, channel.url)
    warn(instance)
    warn(instance, "Another.", Alert.Kind.HALF_USED)
    send_to_destinations(timezone.now())
    assert [alert["text"] for alert in channel.got[0].json["alerts"]] == ["It fails.", "Another."]


def test_one_that_fails_is_tried_again_alone_and_later_each_time(instance: Instance, channel: Receiver) -> None:
    with start_receiver() as broken:
        broken.answer = failing(500)
        add(instance.organization, broken.url, name="Broken")
        add(instance.organization, channel.url)
        warn(instance)
        now = timezone.now()
        send_to_destinations(now)
        assert send_to_destinations(now + MINUTE / 2) == 0
        broken.answer = failing(204)
        assert send_to_destinations(now + MINUTE) == 1
        assert (len(broken.got), len(channel.got)) == (2, 1)
    assert [wait_after(tries) for tries in (1, 2, 3, 7, 900)] == [
        MINUTE,
        2 * MINUTE,
        4 * MINUTE,
        60 * MINUTE,
        60 * MINUTE,
    ]


def test_a_wait_that_is_asked_for_is_kept_and_bounded(instance: Instance, channel: Receiver) -> None:
    channel.answer = lambda got: (429, {"Retry-After": "600"})
    add(instance.organization, channel.url)
    warn(instance)
    now = timezone.now()
    send_to_destinations(now)
    assert AlertSend.objects.get().next_try_at == now + timedelta(seconds=600)


def test_it_is_given_up_after_its_tries(instance: Instance, channel: Receiver) -> None:
    channel.answer = failing(404)
    channel.body = lambda got: b"no_service"
    add(instance.organization, channel.url, kind=Kind.SLACK)
    warn(instance)
    now = timezone.now()
    for _ in range(TRIES + 3):
        send_to_destinations(now)
        now += timedelta(hours=1)
    assert len(channel.got) == TRIES
    assert states() == [State.GIVEN_UP]
    assert AlertDestination.objects.get().last_error == "Slack answered 404: no_service."


def test_a_crash_after_the_post_has_it_sent_again_a_bounded_number_of_times(
    instance: Instance, channel: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(instance.organization, channel.url)
    warn(instance)

    def die(*args: object) -> None:
        raise KeyboardInterrupt

    now = timezone.now()
    with monkeypatch.context() as patched:
        patched.setattr(destination_job, "_write", die)
        for _ in range(TRIES + 2):
            try:
                send_to_destinations(now)
            except KeyboardInterrupt:
                now += timedelta(hours=1)
    assert len(channel.got) == TRIES
    assert len({got.json["alerts"][0]["id"] for got in channel.got}) == 1
    send_to_destinations(now)
    assert states() == [State.GIVEN_UP]


def test_what_a_worker_wrote_too_late_changes_nothing(instance: Instance, channel: Receiver) -> None:
    destination = add(instance.organization, channel.url)
    warn(instance)

    def overtaken(got: Any) -> tuple[int, dict[str, str]]:
        return 204, {}

    channel.answer = overtaken
    now = timezone.now()
    (message,) = _claimed(destination, now)
    later = now + destination_job.LEASE + MINUTE
    leases.claim(AlertDestination.objects.all(), [destination.pk], now=later, length=MINUTE)
    assert not destination_job._write(message, None, now)
    assert states() == [State.WAITING]


def _claimed(destination: AlertDestination, now: datetime) -> list[Any]:
    destination_job._spread(now)
    return destination_job._claim([destination.pk], now)


def test_one_that_runs_into_a_fault_of_ours_stops_no_other(
    instance: Instance, channel: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Faulty", "On call"):
        add(instance.organization, channel.url, name=name)
    warn(instance)

    def send(destination: AlertDestination, warnings: Any) -> str:
        if destination.name == "Faulty":
            raise ValueError(destination.name)
        return rules.send_to(destination, warnings)

    monkeypatch.setattr(destination_job, "send_to", send)
    assert send_to_destinations(timezone.now()) == 1
    sends = dict(AlertSend.objects.values_list("destination__name", "state"))
    assert sends == {"Faulty": State.WAITING, "On call": State.SENT}
    assert "the log of the service says why" in AlertDestination.objects.get(name="Faulty").last_error


def test_two_workers_send_it_once(instance: Instance, channel: Receiver) -> None:
    destination = add(instance.organization, channel.url)
    warn(instance)
    now = timezone.now()
    (message,) = _claimed(destination, now)
    assert destination_job._claim([destination.pk], now + 2 * MINUTE) == []
    assert destination_job._write(message, message.send(), now)
    assert send_to_destinations(now + 5 * MINUTE) == 0
    assert len(channel.got) == 1


def test_a_destination_gets_only_what_it_wants_and_what_comes_up_after_it(
    instance: Instance, channel: Receiver
) -> None:
    warn(instance, "Before.")
    Alert.objects.update(created_at=timezone.now() - timedelta(hours=1))
    add(instance.organization, channel.url, left_out=[Alert.Kind.HALF_USED])
    warn(instance, "Not wanted.", Alert.Kind.HALF_USED)
    warn(instance, "Wanted.", Alert.Kind.LAST_TRY)
    send_to_destinations(timezone.now())
    assert [alert["text"] for alert in channel.got[0].json["alerts"]] == ["Wanted."]


def test_one_switched_off_gets_nothing_and_begins_anew_when_it_is_on(instance: Instance, channel: Receiver) -> None:
    destination = add(instance.organization, channel.url)
    warn(instance)
    rules.save_destination(destination, name="On call", enabled=False, now=timezone.now())
    warn(instance, "While it was off.", Alert.Kind.LAST_TRY)
    assert send_to_destinations(timezone.now()) == 0
    rules.save_destination(destination, name="On call", enabled=True, now=timezone.now())
    assert send_to_destinations(timezone.now()) == 0
    assert destination.url is not None
    assert destination.url.reveal() == channel.url


def test_the_history_outlives_a_destination(instance: Instance, channel: Receiver) -> None:
    channel.answer = failing(500)
    destination = add(instance.organization, channel.url)
    warn(instance)
    send_to_destinations(timezone.now())
    rules.remove_destination(destination)
    row = AlertSend.objects.get()
    assert (row.place, row.state, row.destination_id) == ("On call (Webhook)", State.GIVEN_UP, None)
    assert row.next_try_at is None


@pytest.mark.parametrize("muted", ["everything", "the instance", "the kind", "both"])
def test_what_is_muted_is_kept_back_and_sent_if_it_still_holds(
    instance: Instance, channel: Receiver, muted: str
) -> None:
    now = timezone.now()
    which = {"instance": instance if muted in ("the instance", "both") else None}
    kind = Alert.Kind.PAUSED if muted in ("the kind", "both") else ""
    mute(instance.organization, now + 60 * MINUTE, **which, kind=kind)
    add(instance.organization, channel.url)
    warn(instance)
    send_to_destinations(timezone.now())
    assert states() == [State.MUTED]
    assert send_to_destinations(now + 61 * MINUTE) == 1
    assert len(channel.got) == 1


def test_a_mute_of_something_else_keeps_nothing_back(
    organization: Organization, instance: Instance, channel: Receiver
) -> None:
    now = timezone.now()
    another = make_instance(organization, name="Another")
    for which in ({"instance": another, "kind": ""}, {"instance": None, "kind": Alert.Kind.REFUSED}):
        mute(instance.organization, now + 60 * MINUTE, **which)
    add(instance.organization, channel.url)
    warn(instance)
    assert send_to_destinations(timezone.now()) == 1


@pytest.mark.parametrize("how", ["over", "known"])
def test_what_was_muted_and_is_over_or_known_is_not_sent(instance: Instance, channel: Receiver, how: str) -> None:
    now = timezone.now()
    mute(instance.organization, now + MINUTE)
    add(instance.organization, channel.url)
    warn(instance)
    send_to_destinations(timezone.now())
    if how == "over":
        delivery_alerts.resolve(Alert.objects.all(), now)
    else:
        assert rules.acknowledge(Alert.objects.get(), "olga", now)
    assert send_to_destinations(now + 2 * MINUTE) == 0
    assert states() == [State.OVER]


def test_the_end_of_a_mute_lets_through_what_it_kept(instance: Instance, channel: Receiver) -> None:
    now = timezone.now()
    mute(instance.organization, now + 60 * MINUTE)
    add(instance.organization, channel.url)
    warn(instance)
    send_to_destinations(timezone.now())
    rules.end_mute(AlertMute.objects.get(), timezone.now())
    assert send_to_destinations(timezone.now()) == 1


@pytest.mark.parametrize("until", [-1, 0, 91 * 24 * 60])
def test_a_mute_without_use_is_refused(organization: Organization, until: int) -> None:
    now = timezone.now()
    with pytest.raises(DomainError):
        rules.mute(organization, instance=None, kind="", until=now + until * MINUTE, by="olga", now=now)


def test_mails_go_to_the_addresses_of_the_destination(instance: Instance, mail_server: MailServer) -> None:
    add(instance.organization, kind=Kind.MAIL, addresses=["night@example.org", "day@example.org"])
    warn(instance)
    assert send_to_destinations(timezone.now()) == 1
    assert "To: night@example.org, day@example.org" in mail_server.mails[0].replace("\r", "")
    ((subject, body),) = mail_server.texts()
    assert subject == f"cwconnect: Delivery is paused: {instance}"
    assert "It fails." in body


@pytest.mark.parametrize(
    "name", ["Acme\r\nBcc: evil@example.org", "Acme\nX: y", "A\x0bb", "A\x85b", "A\u2028b", "A\x7fb"]
)
def test_a_name_adds_no_header_to_a_mail(instance: Instance, mail_server: MailServer, name: str) -> None:
    Instance.objects.update(name=name)
    add(instance.organization, kind=Kind.MAIL, addresses=["night@example.org"])
    warn(Instance.objects.get())
    assert send_to_destinations(timezone.now()) == 1
    head = mail_server.mails[0].replace("\r\n", "\n").partition("\n\n")[0]
    assert [line for line in head.split("\n") if line.lower().startswith(("bcc", "x:"))] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        "nobody",
        "a@b\nBcc: c@d",
        "A <a@example.com>",
        "a@example.com\r\nb",
        "ä@example.com",
        "a@example.com,b@",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(DomainError):
        rules.read_addresses(text)


def test_addresses_stand_on_lines_or_between_commas_once_each() -> None:
    assert rules.read_addresses("a@example.com, b@example.com\r\na@example.com") == ["a@example.com", "b@example.com"]
    with pytest.raises(DomainError):
        rules.read_addresses(",".join(f"a{number}@example.com" for number in range(21)))


@pytest.mark.parametrize(
    "url", ["ftp://example.com/", "example.com", "https://u:p@example.com/", "https://a\u200b.com/"]
)
def test_a_url_that_cant_be_called_is_refused(url: str) -> None:
    with pytest.raises(DomainError):
        rules.read_url(url)


def test_no_private_address_is_reached(instance: Instance, channel: Receiver, settings: Settings) -> None:
    settings.PRIVATE_NETWORKS = []
    add(instance.organization, channel.url)
    warn(instance)
    assert send_to_destinations(timezone.now()) == 0
    assert channel.got == []
    assert AlertDestination.objects.get().last_error


def test_an_answer_that_echoes_the_url_gives_nothing_away(instance: Instance, channel: Receiver) -> None:
    channel.answer = failing(500)
    channel.body = lambda got: f"no such hook: {got.target}".encode()
    add(instance.organization, f"{channel.url}/services/T0123456/XxYyZzSecret?key=hushhush")
    warn(instance)
    send_to_destinations(timezone.now())
    stored = repr([*AlertDestination.objects.values(), *AlertSend.objects.values(), *AuditEntry.objects.values()])
    assert [secret for secret in ("T0123456", "XxYyZzSecret", "hushhush") if secret in stored] == []


def test_a_test_is_sent_at_once_and_its_result_kept(organization: Organization, channel: Receiver) -> None:
    destination = add(organization, channel.url, kind=Kind.SLACK)
    now = timezone.now()
    assert rules.send_test(destination, now) == "Slack answered 204."
    assert "This is a test." in channel.got[0].json["blocks"][0]["text"]["text"]
    with pytest.raises(ConflictError):
        rules.send_test(destination, now + timedelta(seconds=1))
    channel.answer = failing(500)
    with pytest.raises(AlertSendError):
        rules.send_test(destination, now + timedelta(seconds=6))
    assert AlertDestination.objects.get().last_error == "Slack answered 500."


def test_names_are_taken_once_and_destinations_are_bounded(organization: Organization, monkeypatch: Any) -> None:
    add(organization, "https://example.com/")
    with pytest.raises(ConflictError):
        add(organization, "https://example.com/")
    monkeypatch.setattr(rules, "MOST_DESTINATIONS", 1)
    with pytest.raises(ConflictError):
        add(organization, "https://example.com/", name="Another")


def test_a_clock_that_was_ahead_keeps_no_warning_back(instance: Instance, channel: Receiver) -> None:
    add(instance.organization, channel.url)
    warn(instance)
    destination_job._spread(timezone.now())
    AlertSend.objects.update(next_try_at=timezone.now() + timedelta(days=400))
    assert repair_clock_skew(timezone.now()) == 1
    assert send_to_destinations(timezone.now()) == 1


def test_it_is_a_periodic_job() -> None:
    assert send_to_destinations in [job.run for job in PERIODIC_JOBS]


NASTY = "<!channel> & <https://evil.example|click> *bold* [link](https://evil.example)"


def warned(count: int = 1, text: str = NASTY) -> list[Warned]:
    return [
        Warned(1, "paused", "Delivery is paused", "Alpha", "Acme (1)", 1, text, timezone.now()) for _ in range(count)
    ]


def test_slack_reads_no_markup_of_others() -> None:
    said = slack_of(warned())
    text = said["blocks"][0]["text"]
    assert text["text"].startswith("*Delivery is paused · Alpha · Acme (1)*\n&lt;!channel&gt; &amp; &lt;https://evil")
    assert text["verbatim"] is True
    assert "<" not in str(said)


def test_teams_gets_a_card_whose_texts_are_no_markdown(settings: Settings) -> None:
    settings.PUBLIC_URL = "https://cw.example.com"
    said = teams_of(warned())
    card = said["attachments"][0]["content"]
    assert (said["type"], card["type"], card["version"]) == ("message", "AdaptiveCard", "1.4")
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert card["body"][1]["inlines"][0]["text"] == NASTY
    assert card["actions"][0]["url"] == "https://cw.example.com/app/alerts"


def test_messages_stay_within_what_chats_take() -> None:
    import orjson

    many = warned(50, "ä&" * 100_000)
    slack, teams = slack_of(many), orjson.dumps(teams_of(many))
    assert len(slack["blocks"]) <= 50
    assert max(len(block["text"]["text"]) for block in slack["blocks"]) <= 3000 * 2
    assert len(teams) < 28 * 1024 * 2
    assert "35 more warnings" in slack["blocks"][-1]["text"]["text"]
    assert len(plain_of(many)["alerts"]) == 50
    assert subject_of(many) == "cwconnect: 50 warnings"
