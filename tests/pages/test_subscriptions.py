"""The pages of subscriptions: a card for each, the form that adds and edits one, its filter tried before it counts."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from instances.models import AuditEntry, Instance, Organization, Transformation
from instances.secrets import MASK, Secret
from polling.delivery.breaker import url_hash
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.pausing import pause_delivery
from polling.models import (
    Alert,
    DeliveryAttempt,
    DeliveryState,
    Event,
    Notification,
    Receiver,
    Subscription,
    SubscriptionEvent,
)
from polling.pages.filter_form import PREFIX
from polling.reports import receiver_hours, subscription_cards, tried_filter
from polling.subscriptions import status
from polling.workers.heartbeats import Part, beat
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of, words_of
from tests.support.page_forms import Page
from tests.support.page_rows import add_events, add_instances
from tests.support.receivers import Receiver as RealReceiver
from tests.support.receivers import start_receiver
from tests.support.rows import further_subscription

pytestmark = pytest.mark.django_db
CLOSED = {"resources": ["contacts"], "kinds": ["UPDATED"], "to": {"status.name": "Closed"}}


@pytest.fixture
def instance(organization: Organization) -> Instance:
    beat(Part.CLUSTER, "here")
    return add_instances(organization, 1)[0]


def stored(wanted: dict[str, Any]) -> str:
    """Return a filter as it is stored."""
    return json.dumps(wanted, separators=(",", ":"))


def url(instance: Instance, rest: str = "") -> str:
    return f"/app/instances/{instance.pk}{rest}"


def own(subscription: Subscription, rest: str = "") -> str:
    return url(subscription.instance, f"/subscriptions/{subscription.pk}{rest}")


def shown(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return text_of(answer)


def said(client: Client, path: str) -> str:
    return words_of(shown(client, path))


def card_of(html: str, subscription: Subscription) -> str:
    """Return the card of a subscription, as words."""
    begin = html.index(f'aria-labelledby="subscription-{subscription.pk}"')
    return words_of(html[html.index(">", begin) + 1 : html.index("</section>", begin)])


def form_of(client: Client, path: str) -> dict[str, list[str]]:
    """Return what the form of a page sends as it stands."""
    page = Page(client.get(path).content.decode())
    return next(form.values() for form in page.forms() if f"{PREFIX}-where" in form.values())


def send(client: Client, path: str, do: str = "save", **typed: Any) -> Any:
    """Send the form of a page with that typed into it, by one of its buttons."""
    values = form_of(client, path) | {name.replace("filter_", f"{PREFIX}-"): value for name, value in typed.items()}
    return client.post(path, values | {"do": do}, follow=do == "save")


class TestCards:
    """The tab Delivery."""

    def test_one_alone_is_as_it_was(self, operator: Client, instance: Instance) -> None:
        html = shown(operator, url(instance, "/delivery"))
        card = card_of(html, first_subscription(instance))
        assert card.startswith("Main ● delivering Callback URL https://example.com/hook?… Signed no")
        assert "the instance’s own" not in card
        assert "Hears" not in card
        assert "Add a receiver" in html

    def test_each_has_its_card_the_first_one_first(self, operator: Client, instance: Instance) -> None:
        closed = further_subscription(
            instance, name="Closed", callback_url="https://other.example/x?k=hush", filter=json.dumps(CLOSED),
            form="cloudevents", fields=["id", "status"], held=7, passed=3,
        )  # fmt: skip
        html = shown(operator, url(instance, "/delivery"))
        first = card_of(html, first_subscription(instance))
        assert first.startswith("Main the instance’s own")
        card = card_of(html, closed)
        assert html.index("Main</bdi>") < html.index("Closed</bdi>")
        assert "URL https://other.example/x?… Hears contacts · updated · status.name became Closed" in card
        assert "Form CloudEvents, 2 fields alone" in card
        assert "Held back 7 events, 3 passed" in card
        assert "hush" not in html

    def test_what_is_deleted_has_none(self, operator: Client, instance: Instance) -> None:
        further_subscription(instance, name="Gone", deleted_at=timezone.now())
        assert "Gone" not in shown(operator, url(instance, "/delivery"))

    @pytest.mark.parametrize(
        ("changes", "word"),
        [
            ({}, "● delivering"),
            ({"enabled": False}, "○ off It is switched off: nothing is kept for it meanwhile, and what waits"),
            ({"callback_url": ""}, "○ pulled only"),
        ],
    )
    def test_its_state_is_a_word(
        self, operator: Client, instance: Instance, changes: dict[str, Any], word: str
    ) -> None:
        one = further_subscription(instance, **changes)
        assert word in card_of(shown(operator, url(instance, "/delivery")), one)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"disabled": True}, "○ off The instance is disabled."),
            ({"events_enabled": False}, "○ off Events of the instance are off"),
        ],
    )
    def test_an_instance_that_rests_has_all_off(
        self, operator: Client, instance: Instance, changes: dict[str, Any], words: str
    ) -> None:
        one = further_subscription(instance)
        Instance.objects.update(**changes)
        html = shown(operator, url(instance, "/delivery"))
        assert words in card_of(html, one)
        assert words in card_of(html, first_subscription(instance))

    def test_one_that_is_paused_says_why_and_offers_the_release(self, operator: Client, instance: Instance) -> None:
        one = further_subscription(instance)
        pause_delivery(one, "All tries failed.", timezone.now())
        html = shown(operator, url(instance, "/delivery"))
        card = card_of(html, one)
        assert "■ delivery paused" in card
        assert "0 notifications wait, and what comes is kept. All tries failed." in card
        assert "Replay" in card[card.index("Release") :]
        assert "delivery paused" not in card_of(html, first_subscription(instance))

    def test_one_whose_receiver_fails_says_when_it_is_tried(
        self, operator: Client, organization: Organization, instance: Instance
    ) -> None:
        one, now = further_subscription(instance), timezone.now()
        receiver = Receiver.objects.create(
            organization=organization, url=one.callback_url, url_hash=url_hash(one.callback_url),
            failures=7, opened_at=now, open_until=now + timedelta(minutes=3),
        )  # fmt: skip
        DeliveryState.objects.create(subscription=one, receiver=receiver)
        card = card_of(shown(operator, url(instance, "/delivery")), one)
        assert "■ failing The receiver keeps failing: 7 times in a row." in card

    def test_tries_that_run_out_are_said_of_the_one_that_they_are_of(
        self, operator: Client, organization: Organization, instance: Instance
    ) -> None:
        one = further_subscription(instance)
        for kind, text in ((Alert.Kind.LAST_TRY, "One try is left."), (Alert.Kind.HALF_USED, "Half.")):
            Alert.objects.create(
                kind=kind, text=text, organization=organization, instance=instance, subscription=one,
                created_at=timezone.now(),
            )  # fmt: skip
        html = shown(operator, url(instance, "/delivery"))
        assert "■ failing A notification does not arrive. One try is left." in card_of(html, one)
        assert "● delivering" in card_of(html, first_subscription(instance))

    def test_a_catch_up_has_its_progress(self, operator: Client, instance: Instance) -> None:
        add_events(instance, 4)
        last = Event.objects.latest("pk").pk
        one = further_subscription(instance, began_id=last - 4, reached_id=last - 3, catching_up_to=last)
        html = shown(operator, url(instance, "/delivery"))
        assert "▲ catching up It is sent what was recorded before: 3 events to go" in card_of(html, one)
        assert re.search(r'<progress class="progress" max="100" value="25"', html)

    def test_what_waits_is_counted_for_each(self, operator: Client, instance: Instance) -> None:
        add_events(instance, 3)
        one = further_subscription(instance)
        Notification.objects.filter(pk=Notification.objects.latest("pk").pk).update(subscription=one)
        html = shown(operator, url(instance, "/delivery"))
        assert "Waiting 2 notifications" in card_of(html, first_subscription(instance))
        assert "Waiting 1 notification " in card_of(html, one)
        assert f'data-label="To"><bdi>{one.name}</bdi>' in html
        (path,) = re.findall(rf'href="(/app/deliveries\?subscription={one.pk}[^"]*)"', html)
        assert shown(operator, path.replace("&amp;", "&")).count("</span> waiting</span>") == 1

    def test_very_many_are_counted_up_to_a_bound(
        self, operator: Client, instance: Instance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in (subscription_cards, status):
            monkeypatch.setattr(module, "MOST_COUNTED", 3)
        add_events(instance, 5)
        pause_delivery(first_subscription(instance), "Because.", timezone.now())
        html = shown(operator, url(instance, "/delivery"))
        assert "Waiting 3 notifications or more" in card_of(html, first_subscription(instance))
        assert "Release 3 notifications or more" in words_of(html)

    def test_it_takes_as_many_statements_however_many_there_are(
        self, operator: Client, organization: Organization, instance: Instance, django_assert_max_num_queries: Any
    ) -> None:
        add_events(instance, 30)
        for number in range(19):
            one = further_subscription(instance, number)
            receiver = Receiver.objects.create(
                organization=organization, url=f"https://{number}.example/", url_hash=f"{number}"
            )
            DeliveryState.objects.create(subscription=one, receiver=receiver)
        with django_assert_max_num_queries(20):
            assert shown(operator, url(instance, "/delivery")).count('class="card subscription"') == 20

    def test_the_cards_refresh_themselves(self, operator: Client, instance: Instance) -> None:
        part = operator.get(url(instance, "/delivery"), headers={"HX-Request": "true"})
        assert "<html" not in text_of(part)
        assert "Main" in text_of(part)

    def test_what_the_keyboard_reaches_keeps_the_focus_when_they_refresh(
        self, operator: Client, organization: Organization, instance: Instance
    ) -> None:
        """By its id: what has none loses the focus to the page's beginning, every few seconds."""
        one = further_subscription(instance, filter=json.dumps(CLOSED), held=7)
        further_subscription(instance, 2, callback_url="")
        receiver = Receiver.objects.create(organization=organization, url=one.callback_url, url_hash="1")
        DeliveryState.objects.create(subscription=one, receiver=receiver)
        add_events(instance, 3)
        Notification.objects.update(subscription=one)
        now = timezone.now()
        receiver_hours.advance(now)
        DeliveryAttempt.objects.create(
            notification=Notification.objects.latest("pk"), url=one.callback_url, started_at=now, finished_at=now
        )
        page = Page(text_of(operator.get(url(instance, "/delivery"), headers={"HX-Request": "true"})))
        reached = [each for each in page.elements if each.tag in ("a", "button", "summary") or each.get("tabindex")]
        assert [each.text for each in reached if not each.get("id")] == []
        assert len({each.get("id") for each in reached}) == len(reached)
        for words in ("pulled", "3 notifications", "7 events", "The last 24 hours", "Filter as JSON", "Send test"):
            assert any(words in each.text for each in reached), words

    def test_a_viewer_sees_them_without_what_changes_something(
        self, viewer: Client, operator: Client, instance: Instance
    ) -> None:
        one = further_subscription(instance, filter=json.dumps(CLOSED), held=2, signature_key=Secret.of("hush-hush"))
        html = shown(viewer, url(instance, "/delivery"))
        assert "status.name became Closed" in card_of(html, one)
        for word in ("Pause", "Edit", "Delete", "Replay", "hx-post", "Add a receiver", "hush-hush"):
            assert word not in html, word
        assert "Held back 2 events" in card_of(html, one)
        assert viewer.get(url(instance, "/held-back")).status_code == 200
        for path in (url(instance, "/subscriptions/add"), own(one), own(one, "/delete")):
            assert viewer.get(path).status_code == 403, path
        for path in (own(one, "/test"), own(one, "/pause"), own(one)):
            assert viewer.post(path).status_code == 403, path


class TestForm:
    """Adding and editing."""

    def test_a_receiver_is_added_with_its_key_this_once(self, operator: Client, instance: Instance) -> None:
        path = url(instance, "/subscriptions/add")
        answer = send(
            operator, path, name="Closed", url="https://receiver.example/closed", headers="X-Token: hush",
            basic_username="us", basic_password="a secret", filter_resources=["contacts"], filter_kinds=["UPDATED"],
            **{"filter_row-0-field": "status.name", "filter_row-0-to": "Closed"}, form="thin", sent_fields="id, status",
            retry_schedule="0, 5m, 2h", retention_days="3",
        )  # fmt: skip
        html = text_of(answer)
        assert "Closed</bdi> is added" in html
        made = Subscription.objects.exclude(pk=instance.pk).get()
        assert made.signature_key is not None
        assert made.signature_key.reveal() in html
        assert json.loads(made.filter) == CLOSED
        assert (made.form, made.fields, made.retry_schedule) == ("thin", ["id", "status"], [0, 300, 7200])
        assert (made.retention_days, made.basic_username, made.catching_up_to) == (3, "us", None)
        assert made.signature_key.reveal() not in shown(operator, url(instance, "/delivery"))
        assert AuditEntry.objects.latest("pk").action == "subscription created"

    def test_one_without_a_key_signs_nothing(self, operator: Client, instance: Instance) -> None:
        path = url(instance, "/subscriptions/add")
        html = text_of(send(operator, path, name="A", url="https://a.example/", signature_key=""))
        assert "Nothing signs its notifications" in html
        assert Subscription.objects.exclude(pk=instance.pk).get().signature_key is None

    def test_one_that_begins_in_the_past_says_how_many_events_that_is(
        self, operator: Client, instance: Instance
    ) -> None:
        now = timezone.now()
        add_events(instance, 2, at=now - timedelta(days=3))
        add_events(instance, 1, at=now - timedelta(hours=3))
        path = url(instance, "/subscriptions/add")
        html = shown(operator, path)
        for words in ("From 24 hours ago on: 1 event", "From 7 days ago on: 3 events", "kept on: 3 events"):
            assert words in html
        send(operator, path, name="A", url="https://a.example/", begin="day")
        made = Subscription.objects.exclude(pk=instance.pk).get()
        assert made.catching_up_to is not None
        assert made.began_id == Event.objects.latest("pk").pk - 1

    def test_a_time_of_ones_own_is_counted_as_it_is_typed(self, operator: Client, instance: Instance) -> None:
        now = timezone.now()
        add_events(instance, 2, at=now - timedelta(days=3))
        path, typed = url(instance, "/subscriptions/add"), f"{now - timedelta(days=4):%Y-%m-%dT%H:%M}"
        assert "2 events from then on" in text_of(send(operator, path, "since", begin="own", begin_at=typed))
        send(operator, path, name="A", url="https://a.example/", begin="own", begin_at=typed)
        assert Subscription.objects.exclude(pk=instance.pk).get().catching_up_to is not None

    @pytest.mark.parametrize(
        ("typed", "words"),
        [
            ({"begin": "own"}, "A date and a time are needed."),
            ({"begin": "own", "begin_at": "2999-01-01T00:00"}, "Give a time in the past"),
            ({"begin": "own", "begin_at": "2001-01-01T00:00"}, "The log is kept for 30 days"),
            ({"name": ""}, "This field is required."),
            ({"name": "Main"}, "Another subscription of this instance is called Main."),
            ({"url": "ftp://a.example"}, "This can&#x27;t be used"),
            ({"headers": "no colon"}, "This must be an object, or lines of the form Name: value."),
            ({"headers": "webhook-id: 7"}, "This can&#x27;t be used"),
            ({"basic_password": "alone"}, "This is required beside a password."),
            ({"sent_fields": "status.name"}, "must be a top field"),
            ({"retry_schedule": "soon"}, "is no length of time"),
            ({"retry_schedule": "0, 30d"}, "This must be a number of seconds from 0"),
            ({"retention_days": "many"}, "This must be a whole number of days."),
            ({"retention_days": "99999"}, "This must be a whole number of days from 1"),
            ({"filter_where": "status ="}, f'id="id_{PREFIX}-where_error"'),
            ({"filter_row-0-to": "Closed"}, "Name the field that these values are of."),
            ({"filter_row-0-field": "a..b"}, f'id="id_{PREFIX}-row-0-field_error"'),
            ({"filter_json": "{"}, f'id="id_{PREFIX}-json_error"'),
            ({"filter_json": '{"other": 1}'}, "other: This is not known here"),
            ({"filter_json": '{"from": {"a": [[]]}}'}, "must be a text, a number"),
        ],
    )
    def test_what_is_wrong_stands_beside_its_field(
        self, operator: Client, instance: Instance, typed: dict[str, Any], words: str
    ) -> None:
        given = {"name": "A", "url": "https://a.example/"} | typed
        answer = send(operator, url(instance, "/subscriptions/add"), **given)
        assert answer.status_code == 422
        html = text_of(answer)
        assert "<title>Error:" in " ".join(html.split())
        assert words in html
        assert not Subscription.objects.exclude(pk=instance.pk).exists()

    def test_all_that_is_wrong_is_said_at_once(self, operator: Client, instance: Instance) -> None:
        html = text_of(send(operator, url(instance, "/subscriptions/add"), name="", url="x", filter_where="="))
        assert "3 fields need another look" in words_of(html)

    def test_no_more_than_there_is_room_for(self, operator: Client, instance: Instance, settings: Any) -> None:
        settings.MOST_SUBSCRIPTIONS = 1
        answer = send(operator, url(instance, "/subscriptions/add"), name="A", url="https://a.example/")
        assert "An instance has 1 subscriptions at most" in text_of(answer)

    def test_what_is_not_touched_stays(self, operator: Client, instance: Instance) -> None:
        one = further_subscription(
            instance, filter=stored(CLOSED | {"kinds": ["updated"], "where": " id > 4 "}), form="cloudevents",
            fields=["id"], retry_schedule=[0, 90, 0.25], retention_days=9, signature_key=Secret.of("hush-hush"),
            callback_headers=Secret.of('{"X-Key": "hush"}'), basic_username="us", basic_password=Secret.of("hush"),
        )  # fmt: skip
        before = Subscription.objects.values().get(pk=one.pk)
        html = text_of(send(operator, own(one)))
        assert "Further 1 is saved." in html
        assert Subscription.objects.values().get(pk=one.pk) == before
        assert "hush" not in shown(operator, own(one))
        assert f"X-Key: {MASK}" in shown(operator, own(one))

    def test_fields_and_filter_are_changed_together(self, operator: Client, instance: Instance) -> None:
        one = further_subscription(instance, filter=json.dumps(CLOSED))
        send(operator, own(one), name="Other", filter_kinds=[], filter_where="id > 4", form="thin")
        one.refresh_from_db()
        assert json.loads(one.filter) == {"resources": ["contacts"], "to": CLOSED["to"], "where": "id > 4"}
        assert (one.name, one.form) == ("Other", "thin")
        assert AuditEntry.objects.latest("pk").action == "subscription changed"

    def test_a_key_is_changed_kept_and_removed(self, operator: Client, instance: Instance) -> None:
        one = further_subscription(instance, signature_key=Secret.of("the old key"))
        send(operator, own(one), signature_key="the new key")
        one = Subscription.objects.get(pk=one.pk)
        assert one.signature_key is not None
        assert one.previous_signature_key is not None
        assert (one.signature_key.reveal(), one.previous_signature_key.reveal()) == ("the new key", "the old key")
        assert "The former key still signs beside the new one until" in shown(operator, own(one))
        send(operator, own(one), drop_signature_key="on")
        assert Subscription.objects.get(pk=one.pk).signature_key is None

    def test_secrets_are_given_anew_for_another_host(self, operator: Client, instance: Instance) -> None:
        one = further_subscription(
            instance, callback_url="https://a.example/", basic_username="us", basic_password=Secret.of("hush")
        )
        html = text_of(send(operator, own(one), url="https://b.example/"))
        assert 'id="id_basic_password_error"' in html
        assert "must be given anew" in html
        send(operator, own(one), url="https://b.example/", basic_password="new")
        assert Subscription.objects.get(pk=one.pk).callback_url == "https://b.example/"

    def test_it_is_switched_off_and_goes_on_where_it_was(self, operator: Client, instance: Instance) -> None:
        one = further_subscription(instance)
        values = form_of(operator, own(one))
        assert "goes_on" not in values
        del values["enabled"]
        operator.post(own(one), values | {"do": ["save"]})
        assert not Subscription.objects.get(pk=one.pk).enabled
        add_events(instance, 2)
        send(operator, own(one), enabled="on", goes_on="where_it_was")
        one = Subscription.objects.get(pk=one.pk)
        assert (one.enabled, one.reached_id, one.catching_up_to) == (True, 0, Event.objects.latest("pk").pk)

    def test_the_first_one_says_where_the_rest_of_it_stands(self, operator: Client, instance: Instance) -> None:
        first = first_subscription(instance)
        html = shown(operator, own(first))
        assert f'href="{url(instance, "/settings")}#notify"' in html
        assert "made of the event log, for good" in words_of(html)
        assert not {"url", "signature_key", "enabled", "headers", "begin"} & form_of(operator, own(first)).keys()
        send(operator, own(first), name="Warehouse", filter_kinds=["DELETED"])
        first = first_subscription(instance)
        assert (first.name, first.filter, first.reads_log) == ("Warehouse", '{"kinds":["DELETED"]}', True)

    def test_a_field_mapping_is_chosen(self, operator: Client, instance: Instance) -> None:
        one = further_subscription(instance)
        assert "mapping" not in form_of(operator, own(one))
        Transformation.objects.create(instance=instance, name="people", fields=[])
        send(operator, own(one), mapping="people")
        assert Subscription.objects.get(pk=one.pk).mapping == "people"

    def test_resources_that_are_not_polled_any_more_stay_chosen(self, operator: Client, instance: Instance) -> None:
        one = further_subscription(instance, filter='{"resources":["incidents"]}')
        assert "incidents (not polled)" in shown(operator, own(one))
        send(operator, own(one), filter_kinds=["CREATED"])
        found = json.loads(Subscription.objects.get(pk=one.pk).filter)
        assert found == {"resources": ["incidents"], "kinds": ["CREATED"]}

    @pytest.mark.parametrize("text", ["<b>nonsense", '{"other":1}'])
    def test_a_filter_that_can_not_be_read_any_more_is_shown_as_it_is(
        self, operator: Client, instance: Instance, text: str
    ) -> None:
        one = further_subscription(instance, filter=text)
        assert "what can’t be read any more" in card_of(shown(operator, url(instance, "/delivery")), one)
        area = Page(shown(operator, own(one))).by_id(f"id_{PREFIX}-json")
        assert area is not None
        assert text in "".join("".join(area.pieces).split())

    def test_all_forms_have_a_sample(self, operator: Client, instance: Instance) -> None:
        html = shown(operator, url(instance, "/subscriptions/add"))
        for words in ("application/cloudevents+json", "com.connectwise.psa.contact.updated", "&quot;instanceId&quot;"):
            assert words in html

    def test_what_others_have_does_not_exist(self, instance: Instance, other_tenant: Tenant) -> None:
        one = further_subscription(instance)
        stranger = sign_in("stranger", other_tenant.organization)
        for path in (url(instance, "/subscriptions/add"), url(instance, "/held-back"), own(one), own(one, "/delete")):
            assert stranger.get(path).status_code == 404, path
        for path in (own(one, "/pause"), own(one, "/test"), own(one, "/delete"), own(one)):
            assert stranger.post(path).status_code == 404, path

    def test_one_of_another_instance_or_a_deleted_one_does_not_exist(
        self, operator: Client, organization: Organization, instance: Instance
    ) -> None:
        other = further_subscription(add_instances(organization, 1)[0])
        gone = further_subscription(instance, 2, deleted_at=timezone.now())
        for number in (other.pk, gone.pk, 7):
            assert operator.get(url(instance, f"/subscriptions/{number}")).status_code == 404


class TestFilter:
    """The filter's fields and JSON, and what it makes of the newest events."""

    def test_fields_that_are_changed_show_as_json(self, operator: Client, instance: Instance) -> None:
        path = url(instance, "/subscriptions/add")
        html = text_of(send(operator, path, "shown", filter_kinds=["DELETED"], **{"filter_row-1-field": "status"}))
        page = Page(html)
        area = page.by_id(f"id_{PREFIX}-json")
        assert area is not None
        assert json.loads("".join(area.pieces)) == {"kinds": ["DELETED"], "changed": ["status"]}
        assert "In words: deleted · status changed." in words_of(html)
        assert "<html" not in html

    def test_json_that_is_changed_shows_in_the_fields(self, operator: Client, instance: Instance) -> None:
        html = text_of(send(operator, url(instance, "/subscriptions/add"), "shown", filter_json=json.dumps(CLOSED)))
        page = Page(html)
        field, after = (page.by_id(f"id_{PREFIX}-row-0-{part}") for part in ("field", "to"))
        assert field is not None
        assert after is not None
        assert (field.get("value"), after.get("value")) == ("status.name", "Closed")
        assert "In words: contacts · updated · status.name became Closed." in words_of(html)

    def test_it_says_what_it_costs(self, operator: Client, instance: Instance) -> None:
        path = url(instance, "/subscriptions/add")
        html = text_of(send(operator, path, "shown", filter_json=json.dumps(CLOSED)))
        assert "It keeps the earlier content of contacts: of each record that changes" in words_of(html)
        assert "keeps the earlier" not in text_of(send(operator, path, "shown", filter_kinds=["CREATED"]))

    def test_trying_it_says_how_many_pass_and_why_others_do_not(self, operator: Client, instance: Instance) -> None:
        add_events(instance, 4)  # UPDATED, CREATED, UPDATED, CREATED
        path = url(instance, "/subscriptions/add")
        html = text_of(send(operator, path, "try", filter_kinds=["UPDATED"]))
        words = words_of(html)
        assert "2 of 4 events pass: the newest there are, back to" in words
        assert "no: kinds: CREATED" in words
        assert "<html" in html
        assert f"{PREFIX}-kinds" in html
        assert not Subscription.objects.exclude(pk=instance.pk).exists()

    def test_what_passes_unjudged_says_so(self, operator: Client, instance: Instance) -> None:
        add_events(instance, 1)
        words = words_of(
            text_of(send(operator, url(instance, "/subscriptions/add"), "try", **{"filter_row-0-field": "title"}))
        )
        assert "1 do since what they were before is not known" in words
        assert "yes, since changed: the earlier content is not known" in words

    def test_one_that_is_as_long_as_it_may_be_is_tried(self, operator: Client, instance: Instance) -> None:
        add_events(instance, 1)
        long = stored({"changed": [f"field{number:04}" for number in range(100)], "where": f"note = '{'x' * 2800}'"})
        assert 4000 < len(long) <= 4096
        html = text_of(send(operator, url(instance, "/subscriptions/add"), "try", filter_json=long))
        assert "0 of 1 event passes" in words_of(html)

    def test_without_an_event_it_says_what_to_wait_for(self, operator: Client, instance: Instance) -> None:
        words = words_of(text_of(send(operator, url(instance, "/subscriptions/add"), "try")))
        assert "There is no event yet to try it on." in words

    def test_one_that_can_not_be_read_is_not_tried(self, operator: Client, instance: Instance) -> None:
        html = text_of(send(operator, url(instance, "/subscriptions/add"), "try", filter_where="="))
        assert "Not tried." in html
        assert f'<a href="#id_{PREFIX}-where">' in html

    def test_what_can_not_be_read_is_named_as_soon_as_it_is_typed(self, operator: Client, instance: Instance) -> None:
        html = text_of(send(operator, url(instance, "/subscriptions/add"), "shown", filter_where="="))
        said = html[html.index('id="filter-said"') :]
        assert "It can’t be read as it stands." in said
        assert f'<a href="#id_{PREFIX}-where">Where</a>: ' in said

    def test_a_look_of_a_second_goes_on_where_it_ended(
        self, operator: Client, instance: Instance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from polling.reports import event_scan

        add_events(instance, 6)
        monkeypatch.setattr(event_scan, "_MOST_CHARACTERS", 1)  # one event a look
        monkeypatch.setattr(tried_filter, "MOST", 5)
        path = url(instance, "/subscriptions/add")
        html = text_of(send(operator, path, "try", filter_kinds=["UPDATED"]))
        looks = 1
        while 'hx-trigger="load"' in html:
            looks += 1
            sent = {each.get("name"): each.get("value") for each in Page(html).of_tag("input") if each.get("value")}
            so_far = {name: sent[name] for name in ("of", "looked_at", "passed", "unknown", "before")}
            values = form_of(operator, path) | {f"{PREFIX}-kinds": ["UPDATED"], "do": ["try"]}
            html = text_of(operator.post(path, values | so_far, headers={"HX-Request": "true"}))
        assert looks == 5
        assert "2 of 5 events pass: the newest there are" in words_of(html)

    @pytest.mark.parametrize("wrong", ["x", "-1", "9" * 30, "٣"])
    def test_a_look_that_can_not_be_gone_on_with_begins_anew(
        self, operator: Client, instance: Instance, wrong: str
    ) -> None:
        add_events(instance, 2)
        path = url(instance, "/subscriptions/add")
        so_far = {"of": hashlib.sha256(b"{}").hexdigest(), "looked_at": "1", "passed": "1", "unknown": "0"}
        assert "2 of 2 events pass" in words_of(text_of(send(operator, path, "try", **so_far, before=wrong)))

    def test_another_filter_begins_anew(self, operator: Client, instance: Instance) -> None:
        add_events(instance, 2)
        path = url(instance, "/subscriptions/add")
        so_far = {
            "of": hashlib.sha256(b"{}").hexdigest(),
            "looked_at": "1",
            "passed": "1",
            "unknown": "0",
            "before": "1",
        }
        assert "1 of 1 event passes" in words_of(text_of(send(operator, path, "try", **so_far)))
        html = text_of(send(operator, path, "try", filter_kinds=["DELETED"], **so_far))
        assert "0 of 2 events pass" in words_of(html)

    def test_how_many_of_those_that_were_looked_at_are_shown_is_said(
        self, operator: Client, instance: Instance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_events(instance, 3)
        path = url(instance, "/subscriptions/add")
        assert (
            "The newest"
            not in text_of(send(operator, path, "try")).partition('id="tried-count"')[2].partition("<table")[0]
        )
        monkeypatch.setattr(tried_filter, "SHOWN", 2)
        assert "The newest 2 of these:" in words_of(text_of(send(operator, path, "try")))


class TestActions:
    """Test, pause, release, replay, delete."""

    @pytest.fixture
    def receiver(self) -> Any:
        with start_receiver() as server:
            yield server

    def test_a_test_goes_to_the_one_asked_for_in_its_form(
        self, operator: Client, instance: Instance, receiver: RealReceiver
    ) -> None:
        one = further_subscription(instance, callback_url=receiver.url, form="thin")
        assert "the receiver answered 204" in text_of(operator.post(own(one, "/test")))
        assert b"record" not in receiver.got[-1].body.replace(b"recordId", b"")
        assert "elements-webhook-test" in receiver.got[-1].headers

    def test_a_test_tries_what_is_typed_and_not_saved(
        self, operator: Client, instance: Instance, receiver: RealReceiver
    ) -> None:
        path = url(instance, "/subscriptions/add")
        typed = {"name": "A", "url": receiver.url, "headers": "X-Key: hush", "form": "cloudevents"}
        html = text_of(send(operator, path, "test", **typed))
        assert "It arrived" in html
        assert "hush" not in html
        got = receiver.got[-1]
        assert got.headers["content-type"] == "application/cloudevents+json"
        assert got.headers["x-key"] == "hush"
        assert "webhook-signature" in got.headers
        assert not Subscription.objects.exclude(pk=instance.pk).exists()

    def test_a_test_of_one_that_is_edited_keeps_its_secrets(
        self, operator: Client, instance: Instance, receiver: RealReceiver
    ) -> None:
        one = further_subscription(instance, callback_url=receiver.url, signature_key=Secret.of("the key"))
        assert "It arrived" in text_of(send(operator, own(one), "test", form="thin"))
        assert "webhook-signature" in receiver.got[-1].headers

    @pytest.mark.parametrize(
        ("typed", "words"),
        [
            ({"url": ""}, '<a href="#id_url">'),
            ({"filter_where": "="}, f'<a href="#id_{PREFIX}-where">'),
            ({"filter_json": '{"resources":["incidents"]}'}, "Nothing of what it is to hear of is polled"),
        ],
    )
    def test_a_test_that_can_not_be_sent_says_why(
        self, operator: Client, instance: Instance, typed: dict[str, str], words: str
    ) -> None:
        given = {"name": "A", "url": "http://127.0.0.1:9/"} | typed
        html = text_of(send(operator, url(instance, "/subscriptions/add"), "test", **given))
        assert "Not sent yet." in html
        assert words in html

    def test_one_is_paused_and_released_alone(self, operator: Client, instance: Instance) -> None:
        add_events(instance, 3)
        one = further_subscription(instance)
        Notification.objects.filter(pk=Notification.objects.latest("pk").pk).update(subscription=one)
        html = text_of(operator.post(own(one, "/pause"), follow=True))
        assert "Delivery to Further 1 is paused." in html
        assert "is paused already" in text_of(operator.post(own(one, "/pause"), follow=True))
        states = DeliveryState.objects.filter(paused_at__isnull=False)
        assert states.get().pk == one.pk
        release = url(instance, f"/release?subscription={one.pk}")
        assert "Release 1 notification to Further 1 of" in said(operator, release)
        answer = operator.post(release, follow=True)
        assert "Releasing what waited for Further 1" in words_of(text_of(answer))
        assert "0 of 1 delivered" in text_of(answer)
        assert f"subscription={one.pk}" in text_of(answer)
        assert not states.exists()
        assert [entry.action for entry in AuditEntry.objects.order_by("pk")][-2:] == [
            "delivery paused",
            "delivery released",
        ]

    @pytest.mark.parametrize(
        ("why", "words"),
        [
            ("one", "until delivery is switched on again"),
            ("instance", "until the instance is on again"),
            ("url", "until there is a callback URL"),
        ],
    )
    def test_of_one_that_is_off_the_release_says_that_it_waits(
        self, operator: Client, instance: Instance, why: str, words: str
    ) -> None:
        add_events(instance, 3)
        one = further_subscription(instance)
        Notification.objects.filter(pk=Notification.objects.latest("pk").pk).update(subscription=one)
        operator.post(own(one, "/pause"))
        if why == "instance":
            Instance.objects.update(disabled=True)
        else:
            changes: dict[str, Any] = {"enabled": False} if why == "one" else {"callback_url": ""}
            Subscription.objects.filter(pk=one.pk).update(**changes)
        release = url(instance, f"/release?subscription={one.pk}")
        asked = said(operator, release)
        assert ("There is no callback URL at present" if why == "url" else "Nothing is sent at present") in asked
        answer = operator.post(release, follow=True)
        assert f"Released, and not sent yet: 1 notification waits {words}." in words_of(text_of(answer))
        assert "hx-get" not in text_of(answer).partition("<main")[2].partition("</main")[0]

    def test_a_release_of_what_is_not_there_does_not_exist(self, operator: Client, instance: Instance) -> None:
        assert operator.get(url(instance, "/release?subscription=7")).status_code == 404

    def test_a_replay_is_of_the_one_asked_for(self, operator: Client, instance: Instance) -> None:
        add_events(instance, 4, delivered=True)
        one = further_subscription(instance)
        Notification.objects.filter(pk=Notification.objects.latest("pk").pk).update(subscription=one)
        path = url(instance, f"/replay?subscription={one.pk}")
        assert "Narrow it down by at least one condition" in said(operator, path)
        assert "Narrow it down" in text_of(operator.post(path, {"subscription": one.pk}))
        assert "Replay 1 notification" in said(operator, f"{path}&resource=contacts")
        assert "Replay 4 notifications" in said(operator, url(instance, "/replay?resource=contacts"))
        operator.post(path, {"subscription": one.pk, "resource": "contacts"})
        assert [each.to for each in Notification.objects.filter(replay__isnull=False)] == [one.pk]

    def test_deleting_asks_first_and_says_what_is_lost(self, operator: Client, instance: Instance) -> None:
        add_events(instance, 2)
        one = further_subscription(instance)
        Notification.objects.update(subscription=one)
        assert "2 notifications not delivered yet: what waits is discarded." in said(operator, own(one, "/delete"))
        assert "Delete Further 1 and discard 2 notifications" in said(operator, own(one, "/delete"))
        html = text_of(operator.post(own(one, "/delete"), follow=True))
        assert "Further 1 is deleted" in html
        assert {each.state for each in Notification.objects.all()} == {"discarded"}
        assert "one that is deleted" not in html  # the table has one receiver again
        assert AuditEntry.objects.latest("pk").action == "subscription deleted"

    def test_the_first_one_stays(self, operator: Client, instance: Instance) -> None:
        first = first_subscription(instance)
        assert "Delete …" not in shown(operator, url(instance, "/delivery"))
        html = text_of(operator.post(own(first, "/delete"), follow=True))
        assert "The first subscription is its instance&#x27;s own" in html
        assert Subscription.objects.filter(pk=first.pk, deleted_at=None).exists()


class TestHeldBack:
    """What filters held back."""

    @pytest.fixture
    def held(self, instance: Instance) -> list[Subscription]:
        """Two that held back each event of 30, and one event that the second let pass."""
        add_events(instance, 30)
        two = [further_subscription(instance, number, filter=json.dumps(CLOSED)) for number in (1, 2)]
        for one in two:
            SubscriptionEvent.objects.bulk_create(
                SubscriptionEvent(
                    subscription=one, event=event, held_by=f"kinds: {one.name}",
                    notification_id=1 if one is two[1] and event.pk == 30 else None,
                )
                for event in Event.objects.all()
            )  # fmt: skip
        return two

    def events(self, html: str) -> list[int]:
        return [int(number) for number in re.findall(r'href="/app/events/(\d+)"', html)]

    def test_an_event_stands_once_with_all_that_held_it(
        self, operator: Client, instance: Instance, held: list[Subscription]
    ) -> None:
        html = shown(operator, url(instance, "/held-back"))
        assert self.events(html) == list(range(30, 5, -1))
        words = words_of(html)
        assert "Further 1: kinds: Further 1 Further 2: kinds: Further 2" in words
        assert words.count("Further 1: ") == 25
        assert words.count("Further 2: ") == 24

    def test_a_page_goes_on_below_the_last_one(
        self, operator: Client, instance: Instance, held: list[Subscription]
    ) -> None:
        html = shown(operator, url(instance, "/held-back"))
        (query,) = re.findall(r'href="(\?before=\d+)"\s*>Older', html)
        assert self.events(shown(operator, url(instance, f"/held-back{query}"))) == [5, 4, 3, 2, 1]
        assert "Nothing older was held back of what is still kept." in shown(
            operator, url(instance, "/held-back?before=1")
        )

    def test_it_is_narrowed_to_one(self, operator: Client, instance: Instance, held: list[Subscription]) -> None:
        html = shown(operator, url(instance, f"/held-back?subscription={held[1].pk}"))
        assert self.events(html) == list(range(29, 4, -1))
        assert "Further 1: " not in words_of(html)
        assert f"before=5&amp;subscription={held[1].pk}" in html

    def test_where_nothing_was_held_it_says_why(self, operator: Client, instance: Instance) -> None:
        path = url(instance, "/held-back")
        assert "No receiver of this instance has a filter" in said(operator, path)
        further_subscription(instance, filter=json.dumps(CLOSED))
        assert "Nothing was held back: all that was recorded" in said(operator, path)

    def test_of_one_without_a_filter_it_says_so_and_leads_to_it(
        self, operator: Client, viewer: Client, instance: Instance
    ) -> None:
        further_subscription(instance, filter=json.dumps(CLOSED))
        path = url(instance, f"/held-back?subscription={instance.pk}")
        html = shown(operator, path)
        assert "This receiver has no filter: it hears every event." in words_of(html)
        assert f'href="{own(first_subscription(instance))}"' in html
        assert "An operator can say what it wants." in said(viewer, path)

    def test_what_is_deleted_by_now_is_not_denied(
        self, operator: Client, instance: Instance, held: list[Subscription]
    ) -> None:
        Subscription.objects.filter(pk=held[0].pk).update(held=25)
        SubscriptionEvent.objects.all().delete()
        assert "what was, is deleted by now" in said(operator, url(instance, "/held-back"))

    @pytest.mark.parametrize("query", ["before=x", "before=-1", f"before={'9' * 40}", "subscription=x&before=٣"])
    def test_a_query_that_can_not_be_read_narrows_nothing(
        self, operator: Client, instance: Instance, held: list[Subscription], query: str
    ) -> None:
        assert len(self.events(shown(operator, url(instance, f"/held-back?{query}")))) == 25
