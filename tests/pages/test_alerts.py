"""The page *Alerts*: open warnings, where they go, mutes, history; for operators, for viewers, for nobody else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from cwconnect.core.request_ids import new_request_id
from instances import mails
from instances.interactive import UnboundedCallError
from instances.models import AuditEntry, Instance, Organization
from polling.alerts import delivery_alerts, sending
from polling.alerts.destinations import new_destination, save_destination
from polling.models import Alert, AlertDestination, AlertMute, AlertSend
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of
from tests.support.deliveries import failing
from tests.support.raw_servers import RawServer
from tests.support.receivers import Receiver, start_receiver
from tests.support.rows import make_instance

HUSH = "services/T0123/hush"
KINDS = list(Alert.Kind.values)


@pytest.fixture
def instance(organization: Organization) -> Instance:
    return make_instance(organization, name="Acme")


@pytest.fixture
def channel() -> Iterator[Receiver]:
    with start_receiver() as receiver:
        yield receiver


@pytest.fixture
def destination(organization: Organization, channel: Receiver) -> AlertDestination:
    made, url = new_destination(organization, "slack", timezone.now()), channel.url.replace("events", HUSH)
    save_destination(made, name="On call", url=url, now=timezone.now())
    return made


@pytest.fixture
def alert(instance: Instance) -> Alert:
    delivery_alerts.warn(Alert.Kind.PAUSED, instance, "Delivery of Acme is paused.", timezone.now())
    return Alert.objects.get()


def test_an_open_warning_stands_there_with_what_can_be_done(operator: Client, alert: Alert) -> None:
    html = text_of(operator.get("/app/alerts"))
    for text in ("1 open warning", "Delivery of Acme is paused.", "Acknowledge", f"/app/alerts/mute?alert={alert.pk}"):
        assert text in html


def test_what_watches_the_worker_is_said(operator: Client, settings: Settings) -> None:
    html = text_of(operator.get("/app/alerts"))
    assert "/readyz" in html
    assert "No heartbeat URL is set here" in html
    settings.HEARTBEAT_URL = "https://hc.example.com/ping/hush"
    html = text_of(operator.get("/app/alerts"))
    assert "A heartbeat URL is set" in html
    assert "hc.example.com" not in html


def test_the_environments_destinations_are_the_operators_own(operator: Client, settings: Settings) -> None:
    assert "Whoever runs this service gets" not in text_of(operator.get("/app/alerts"))
    settings.OPERATOR_WEBHOOK_URL = "https://ops.example.com/hush"
    html = text_of(operator.get("/app/alerts"))
    assert "Whoever runs this service gets the warnings of all organizations besides" in html
    assert "ops.example.com" not in html


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("webhook", {"url": "https://example.com/hush"}),
        ("slack", {"url": "https://hooks.slack.com/services/hush"}),
        ("teams", {"url": "https://prod-01.westeurope.logic.azure.com:443/workflows/hush?sig=hush"}),
        ("mail", {"addresses": "a@example.com\nb@example.com"}),
    ],
)
def test_one_is_added(operator: Client, kind: str, given: dict[str, str], settings: Settings) -> None:
    settings.EMAIL_URL = "smtp://127.0.0.1:9/?to=ops@example.com"
    assert f'value="{kind}"' in text_of(operator.get(f"/app/alerts/add?kind={kind}"))
    form = {"kind": kind, "name": "On call", "kinds": KINDS[:2], "enabled": "on", **given}
    assert operator.post("/app/alerts/add", form).status_code == 302
    made = AlertDestination.objects.get()
    assert (made.kind, made.enabled, made.left_out) == (kind, True, sorted(KINDS[2:]))
    html = text_of(operator.get("/app/alerts"))
    assert "On call" in html
    assert "hush" not in html
    assert "hush" not in repr(list(AuditEntry.objects.values()))
    assert AuditEntry.objects.latest("pk").action == "alert destination added"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"url": "https://example.com/"}, "name"),
        ({"name": "A"}, "The URL is needed."),
        ({"name": "A", "url": "ftp://example.com"}, "http"),
        ({"name": "A", "url": "https://example.com", "kinds": []}, "Choose at least one kind"),
        ({"name": "On call", "url": "https://example.com"}, "Another destination has this name."),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    operator: Client, destination: AlertDestination, form: dict[str, str], said: str
) -> None:
    answer = operator.post("/app/alerts/add", {"kinds": KINDS, "enabled": "on", **form})
    assert answer.status_code == 422
    html = text_of(answer)
    assert said in html
    assert "Nothing was done yet" in html
    assert AlertDestination.objects.count() == 1


def test_mail_can_only_be_added_where_there_is_a_mail_server(operator: Client) -> None:
    assert "kind=mail" not in text_of(operator.get("/app/alerts"))
    answer = operator.post("/app/alerts/add", {"kind": "mail", "name": "A", "addresses": "a@example.com"}, follow=True)
    assert "This service has no mail server" in text_of(answer)
    assert not AlertDestination.objects.exists()


def test_it_is_edited_without_showing_the_url_and_keeps_it(operator: Client, destination: AlertDestination) -> None:
    way = f"/app/alerts/destinations/{destination.pk}"
    html = text_of(operator.get(way))
    assert "http://127.0.0.1" in html
    assert "hush" not in html
    operator.post(way, {"name": "Night", "kinds": KINDS, "enabled": "on", "url": ""})
    changed = AlertDestination.objects.get()
    assert changed.name == "Night"
    assert changed.url is not None
    assert changed.url.reveal().endswith(HUSH)


def test_the_test_button_says_what_was_answered(
    operator: Client, destination: AlertDestination, channel: Receiver
) -> None:
    way = f"/app/alerts/destinations/{destination.pk}/test"
    html = text_of(operator.post(way, follow=True))
    assert "The test is sent to On call. Slack answered 204." in html
    assert "blocks" in channel.got[0].json
    AlertDestination.objects.update(tested_at=None)
    channel.answer, channel.body = failing(404), lambda got: f"no_team in {got.target}".encode()
    html = text_of(operator.post(way, follow=True))
    assert "did not arrive at On call. Slack answered 404: no_team" in html
    assert "hush" not in html


def _say_nothing(connection: socket.socket) -> None:
    connection.recv(1)


def test_a_mail_in_a_web_request_keeps_to_the_bounds_of_those(
    operator: Client, organization: Organization, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mails, "LIMITS", replace(mails.LIMITS, connect=1))
    with RawServer(_say_nothing) as silent:
        settings.EMAIL_URL = f"smtp://127.0.0.1:{silent.port}/?to=ops@example.com"
        made = new_destination(organization, "mail", timezone.now())
        save_destination(made, name="Mail", addresses=["a@example.com"], now=timezone.now())
        html = text_of(operator.post(f"/app/alerts/destinations/{made.pk}/test", follow=True))
        assert "did not arrive at Mail. The mail server did not take it" in html
        server = sending.mail_server()
        assert server is not None
        with new_request_id(), pytest.raises(UnboundedCallError):
            sending.send_mail(server, ["a@example.com"], "s", "b")


def test_it_is_removed(operator: Client, destination: AlertDestination) -> None:
    answer = operator.post(f"/app/alerts/destinations/{destination.pk}/remove", follow=True)
    assert "On call is removed" in text_of(answer)
    assert not AlertDestination.objects.exists()


def test_a_warning_is_acknowledged_once(operator: Client, alert: Alert) -> None:
    way = f"/app/alerts/{alert.pk}/acknowledge"
    html = text_of(operator.post(way, follow=True))
    assert "olga knows of it since" in html
    assert "everybody sees that you know of it" in html
    assert "somebody acknowledged it already" in text_of(operator.post(way, follow=True))
    assert AuditEntry.objects.filter(action="alert acknowledged").count() == 1


@pytest.mark.parametrize("how", ["number", "name", "all"])
def test_it_is_muted_and_unmuted(operator: Client, alert: Alert, instance: Instance, how: str) -> None:
    which = {"number": str(instance.pk), "name": "Acme", "all": ""}[how]
    suggested = text_of(operator.get(f"/app/alerts/mute?alert={alert.pk}"))
    assert f'name="instance" value="{instance.pk}"' in suggested
    assert '<option value="paused" selected' in suggested
    html = text_of(operator.post("/app/alerts/mute", {"instance": which, "kind": "", "hours": "4"}, follow=True))
    assert "Muted. What still holds when that ends is sent then." in html
    row = AlertMute.objects.get()
    assert row.instance == (None if how == "all" else instance)
    assert row.created_by == "olga"
    operator.post(f"/app/alerts/mutes/{row.pk}/end")
    assert not AlertMute.objects.exists()


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"instance": "Nobody", "hours": "4"}, "There is no such instance."),
        ({"instance": "9" * 30, "hours": "4"}, "There is no such instance."),
        ({"hours": "own", "until": "2020-01-01T00:00"}, "a time that is to come"),
        ({"hours": "own", "until": "soon"}, "A date and a time are needed."),
        ({"hours": "own"}, "A date and a time are needed."),
        ({}, "required"),
    ],
)
def test_a_mute_that_cant_be_is_refused_beside_its_field(operator: Client, form: dict[str, str], said: str) -> None:
    answer = operator.post("/app/alerts/mute", form)
    assert answer.status_code == 422
    assert said in text_of(answer)
    assert not AlertMute.objects.exists()


def test_the_history_says_which_went_where(operator: Client, alert: Alert, destination: AlertDestination) -> None:
    now = timezone.now()
    for state, more in (("sent", {"sent_at": now}), ("given up", {"error": "It answered 500."})):
        AlertSend.objects.create(alert=alert, place=f"Place {state}", state=state, **more)
    html = text_of(operator.get("/app/alerts"))
    for text in ("Place sent", "Place given up", "It answered 500."):
        assert text in html


def test_a_viewer_sees_it_without_urls_and_changes_nothing(
    viewer: Client, alert: Alert, destination: AlertDestination
) -> None:
    AlertDestination.objects.update(last_error="Slack answered 404: no_team.")
    html = text_of(viewer.get("/app/alerts"))
    assert "On call" in html
    for hidden in ("127.0.0.1", "hush", "no_team", '/test"', "Acknowledge<", "Mute …"):
        assert hidden not in html
    one = f"/app/alerts/destinations/{destination.pk}"
    for way in (one, f"{one}/test", f"{one}/remove", f"/app/alerts/{alert.pk}/acknowledge", "/app/alerts/mute"):
        assert viewer.post(way).status_code == 403
    assert viewer.get(one).status_code == 403


def test_of_another_organization_there_is_nothing(
    other_tenant: Tenant, alert: Alert, destination: AlertDestination, organization: Organization
) -> None:
    stranger, now = sign_in("stranger", other_tenant.organization), timezone.now()
    muted = AlertMute.objects.create(
        organization=organization, until=now + timedelta(hours=1), created_at=now, created_by="olga"
    )
    html = text_of(stranger.get("/app/alerts"))
    assert "Acme" not in html
    assert "On call" not in html
    one = f"/app/alerts/destinations/{destination.pk}"
    for way in (one, f"{one}/test", f"{one}/remove", f"/app/alerts/{alert.pk}/acknowledge"):
        assert stranger.post(way).status_code == 404
    assert stranger.post(f"/app/alerts/mutes/{muted.pk}/end").status_code == 404
    assert "There is no such instance" in text_of(stranger.post("/app/alerts/mute", {"instance": "Acme", "hours": "4"}))
    assert 'value="paused" selected' not in text_of(stranger.get(f"/app/alerts/mute?alert={alert.pk}"))
