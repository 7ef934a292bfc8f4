"""An instance's pages: its resources, its settings, its events, one event from end to end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from instances.configuration.wire import config_of
from instances.models import Instance, ResourcePoll
from instances.provisioning import change_instance
from polling.delivery.delivery_loop import deliver_these
from polling.models import Event, Health, Notification, PollRun, PollState
from polling.workers.heartbeats import Part, beat
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of, words_of
from tests.support.polled_instance import PolledInstance
from tests.support.receivers import Receiver, start_receiver


@pytest.fixture
def changed(watched: PolledInstance, operator: Client) -> PolledInstance:
    """A world in which one contact has changed and a worker lives."""
    beat(Part.CLUSTER, "here")
    watched.change(3, "Engineer")
    watched.poll()
    return watched


def url(world: PolledInstance, rest: str = "") -> str:
    return f"/app/instances/{world.instance.pk}{rest}"


def test_the_instance_shows_its_resources(changed: PolledInstance, operator: Client) -> None:
    html = text_of(operator.get(url(changed)))
    assert "contacts" in html
    assert "healthy" in html


def test_what_others_have_does_not_exist(changed: PolledInstance, other_tenant: Tenant) -> None:
    stranger = sign_in("stranger", other_tenant.organization)
    poll = changed.state.pk
    for path in ("", "/events", "/stream", "/settings", f"/polls/{poll}", "/delete", "/resources/add"):
        assert stranger.get(url(changed, path)).status_code == 404, path
    for path in (f"/polls/{poll}/run", "/switch", "/enabled", "/delete", "/settings", "/settings/test"):
        assert stranger.post(url(changed, path)).status_code == 404, path
    event = Event.objects.get().pk
    assert stranger.get(f"/app/events/{event}").status_code == 404
    assert stranger.post(f"/app/events/{event}/replay").status_code == 404
    assert "API_Polling" not in text_of(stranger.get("/app/events")) + text_of(stranger.get("/app/instances"))


def test_a_viewer_sees_and_does_not_touch(changed: PolledInstance, viewer: Client) -> None:
    assert viewer.get(url(changed)).status_code == 200
    for path in ("/switch", "/enabled", "/delete", "/settings", f"/polls/{changed.state.pk}/run"):
        assert viewer.post(url(changed, path), {"on": "false"}).status_code == 403
    assert Instance.objects.get().watching


def test_events_go_off_and_on_and_go_on_where_they_stopped(changed: PolledInstance, operator: Client) -> None:
    cursor = changed.state.cursor
    operator.post(url(changed, "/switch"), {"on": "false"})
    assert not Instance.objects.get().events_enabled
    answer = operator.post(url(changed, "/switch"), {"on": "true"}, follow=True)
    assert "goes on where it stopped" in text_of(answer)
    assert changed.state.cursor == cursor


def test_events_switched_on_from_now_begin_anew(changed: PolledInstance, operator: Client) -> None:
    operator.post(url(changed, "/switch"), {"on": "false"})
    asked = text_of(operator.get(url(changed, "/switch")))
    assert "Go on where it stopped" in asked
    assert "From now" in asked
    changed.store.clock_offset = 60
    answer = operator.post(url(changed, "/switch"), {"on": "true", "from": "now"}, follow=True)
    assert "what changed before now is not recorded" in text_of(answer)
    poll = changed.instance.resource_polls.get()
    assert changed.state.cursor == poll.since
    assert changed.state.last_good_at is None


def test_events_that_connectwise_does_not_let_begin_stay_off_and_the_choice_is_kept(
    changed: PolledInstance, operator: Client
) -> None:
    operator.post(url(changed, "/switch"), {"on": "false"})
    changed.store.fail_next(status=401, body={"code": "Unauthorized", "message": "Wrong keys"})
    answer = operator.post(url(changed, "/switch"), {"on": "true", "from": "now"})
    assert answer.status_code == 422
    assert "Wrong keys" in text_of(answer)
    assert 'value="now" checked' in text_of(answer)
    assert not Instance.objects.get().events_enabled


def switch_contacts_off(world: PolledInstance, operator: Client) -> str:
    """Switch one of two resources off, have both change; give the way to switch it on."""
    change_instance(world.instance, config=replace(config_of(world.instance), polls={"contacts": {}, "incidents": {}}))
    world.poll()
    world.recorded()
    way = url(world, "/resources/edit/contacts")
    assert "contacts is saved." in text_of(operator.post(way, follow=True))
    world.change(3, "While off")
    world.store.create("contacts")
    world.store.create("incidents")
    return way


def test_a_resource_switched_on_from_now_skips_what_changed_meanwhile_and_says_so(
    changed: PolledInstance, operator: Client
) -> None:
    way = switch_contacts_off(changed, operator)
    incidents = PollState.objects.get(resource_poll__name="incidents").cursor
    assert "From now" in text_of(operator.get(way))
    assert f'href="{way}"' in text_of(operator.get(url(changed)))
    changed.store.clock_offset = 1  # the second in which watching begins belongs to it
    answer = text_of(operator.post(way, {"enabled": "on", "from": "now"}, follow=True))
    assert "contacts is polled again: what changed before now is not recorded." in answer
    assert PollState.objects.get(resource_poll__name="incidents").cursor == incidents
    changed.poll()
    assert [kind for kind, _ in changed.recorded()] == ["CREATED"]  # the incident: what was on goes on where it was
    changed.change(3, "After")
    changed.poll()
    assert changed.recorded() == [("UPDATED", "3")]


def test_a_resource_switched_on_goes_on_where_it_stopped(changed: PolledInstance, operator: Client) -> None:
    way = switch_contacts_off(changed, operator)
    answer = text_of(operator.post(way, {"enabled": "on", "from": "cursor"}, follow=True))
    assert "contacts is polled again: polling goes on where it stopped." in answer
    changed.poll()
    assert sorted(kind for kind, _ in changed.recorded()) == ["CREATED", "CREATED", "UPDATED"]


def test_a_resource_that_connectwise_does_not_let_begin_stays_off_and_the_choice_is_kept(
    changed: PolledInstance, operator: Client
) -> None:
    way = switch_contacts_off(changed, operator)
    changed.store.fail_next(status=401, body={"code": "Unauthorized", "message": "Wrong keys"})
    answer = operator.post(way, {"enabled": "on", "from": "now"})
    assert answer.status_code == 422
    assert "Wrong keys" in text_of(answer)
    assert 'value="now" checked' in text_of(answer)
    assert not changed.instance.resource_polls.get(name="contacts").enabled


def test_from_when_is_asked_only_of_a_resource_that_is_off_alone(changed: PolledInstance, operator: Client) -> None:
    way = url(changed, "/resources/edit/contacts")
    assert "From now" not in text_of(operator.get(way))
    switch_contacts_off(changed, operator)
    operator.post(url(changed, "/switch"), {"on": "false"})
    assert "From now" not in text_of(operator.get(way))


def test_nothing_is_asked_about_events_that_are_on(changed: PolledInstance, operator: Client) -> None:
    assert operator.get(url(changed, "/switch")).headers["Location"] == url(changed)


def test_poll_now_is_followed_to_its_end(changed: PolledInstance, operator: Client) -> None:
    path = url(changed, f"/polls/{changed.state.pk}")
    waiting = text_of(operator.post(f"{path}/run", headers={"HX-Request": "true"}))
    assert "Waiting for a worker" in waiting
    changed.poll()
    following = waiting.split('hx-get="')[1].split('"')[0].replace("&amp;", "&")
    assert "<b>Polled.</b>" in text_of(operator.get(following))


@pytest.mark.parametrize(
    ("health", "words"), [(Health.UNAUTHORIZED, "Edit keys"), (Health.REJECTED, "Edit the poll"), (Health.RETRYING, "")]
)
def test_a_resource_that_fails_has_the_button_that_mends_it(
    changed: PolledInstance, operator: Client, viewer: Client, health: Health, words: str
) -> None:
    PollState.objects.update(health=health, last_error="It failed.")
    html = text_of(operator.get(url(changed)))
    assert "It failed." in html
    assert [label for label in ("Edit keys", "Edit the poll") if label in html] == [words][: len(words)]
    assert "Edit " not in text_of(viewer.get(url(changed)))


def test_deleting_says_what_goes(changed: PolledInstance, operator: Client) -> None:
    assert "1 notification not delivered yet" in text_of(operator.get(url(changed, "/delete")))
    Notification.objects.update(state=Notification.State.DELIVERED)
    assert "all are delivered" in text_of(operator.get(url(changed, "/delete")))


def test_the_stream_marks_and_counts_what_is_new(changed: PolledInstance, operator: Client) -> None:
    first = text_of(operator.get(url(changed, "/stream")))
    assert 'class="fresh"' not in first
    following = first.split('hx-get="')[1].split('"')[0]
    changed.change(4, "Chief")
    changed.poll()
    second = text_of(operator.get(following))
    assert second.count('class="fresh"') == 1
    assert 'data-say="1 new event"' in second


def test_a_resources_runs_refresh_themselves(changed: PolledInstance, operator: Client) -> None:
    path = url(changed, f"/polls/{changed.state.pk}")
    assert f'hx-get="{path}"' in text_of(operator.get(path))
    part = text_of(operator.get(path, headers={"HX-Request": "true"}))
    assert f'id="run-{changed.run.pk}"' in part
    assert "<html" not in part


def test_an_event_says_who_changed_the_record(changed: PolledInstance, operator: Client) -> None:
    event = Event.objects.get()
    who = json.loads(event.record)["_info"]["updatedBy"]
    assert f", by {who}" in text_of(operator.get(f"/app/events/{event.pk}"))
    Event.objects.update(record='{"_info": [17]}')
    assert ", by " not in text_of(operator.get(f"/app/events/{event.pk}"))


def test_a_failed_poll_says_so_in_connectwises_words(changed: PolledInstance, operator: Client) -> None:
    changed.store.fail_next(status=400, body={"code": "Bad", "message": "No such column"})
    changed.poll()
    assert "No such column" in text_of(operator.get(url(changed)))


@pytest.mark.parametrize(("skipped", "words"), [(0, ""), (1, "1 record was skipped. ")])
def test_notes_of_records_that_were_read_are_not_called_skipped(
    changed: PolledInstance, operator: Client, skipped: int, words: str
) -> None:
    PollRun.objects.filter(pk=changed.run.pk).update(skipped=skipped, notes="record 4 is no clean JSON")
    html = text_of(operator.get(url(changed, f"/polls/{changed.state.pk}")))
    assert f"<p>{words}Noted of single records:<br>record 4 is no clean JSON</p>" in html
    assert ("skipped" in html) == bool(skipped)


def test_settings_never_show_a_secret_and_keep_those_left_empty(changed: PolledInstance, operator: Client) -> None:
    html = text_of(operator.get(url(changed, "/settings")))
    assert "PRIV" not in html
    stored = config_of(changed.instance)
    sent = {"part": "connection", "site": "own", "base_url": stored.base_url, "company": "acme"}
    answer = operator.post(url(changed, "/settings"), sent, follow=True)
    assert "Saved." in text_of(answer)
    assert config_of(Instance.objects.get()).private_key == "PRIV"


def test_stored_keys_are_not_sent_to_another_address(changed: PolledInstance, operator: Client) -> None:
    sent = {"part": "connection", "site": "own", "base_url": "http://127.0.0.1:9/", "company": "acme"}
    for path in ("/settings", "/settings/test"):
        assert "Type the key again" in text_of(operator.post(url(changed, path), sent))


def test_a_wrong_interval_is_said_beside_its_field(changed: PolledInstance, operator: Client) -> None:
    sent = {"part": "polling", "refresh_interval": "0"}
    answer = operator.post(url(changed, "/settings"), sent)
    assert answer.status_code == 422
    assert 'id="id_refresh_interval_error"' in text_of(answer)


def test_a_resource_is_added_changed_copied_and_removed(changed: PolledInstance, operator: Client) -> None:
    operator.post(url(changed, "/resources/edit/contacts"), {"enabled": "on", "contacts.trackChanges": "on"})
    assert changed.instance.resource_polls.get().configuration["trackChanges"] is True
    copy = {"name": "incidents", "copy_of": "contacts"}
    operator.post(url(changed, "/resources/add"), copy)
    assert changed.instance.resource_polls.get(name="incidents").configuration["trackChanges"] is True
    operator.post(url(changed, "/resources/edit/incidents"), {"remove": "yes"})
    assert [poll.name for poll in changed.instance.resource_polls.all()] == ["contacts"]
    answer = operator.post(url(changed, "/resources/edit/contacts"), {"remove": "yes"})
    assert "It is the only resource" in text_of(answer)


def test_a_resource_is_offered_by_name_and_one_beneath_a_record_is_explained(
    changed: PolledInstance, operator: Client
) -> None:
    page = text_of(operator.get(url(changed, "/resources/add")))
    assert '<option value="service-boards">/service/boards</option>' in page
    assert '<option value="contacts">/company' not in page  # watched already
    assert "only beneath a ticket</span>" in page
    said = "ConnectWise lists ticket notes only beneath a ticket, so no poll sees all of them"
    assert said in text_of(operator.post(url(changed, "/resources/add"), {"name": "ticket-notes"}))
    one = {
        "name": "contact-notes",
        "url": "/hubs/crm/company/contacts/3/notes?where=lastUpdated>'${gmtDate:yyyy-MM-dd}'",
    }
    operator.post(url(changed, "/resources/add"), one)
    operator.post(url(changed, "/resources/add"), {"name": "service-boards"})
    names = ResourcePoll.objects.filter(instance=changed.instance.pk).values_list("name", flat=True)
    assert set(names) == {"contacts", "contact-notes", "service-boards"}


def test_deleting_takes_the_name(changed: PolledInstance, operator: Client) -> None:
    assert "That is not its name" in text_of(operator.post(url(changed, "/delete"), {"name": "?"}))
    operator.post(url(changed, "/delete"), {"name": "API_Polling"})
    assert Instance.objects.get().organization is None


def test_the_stream_shows_what_came(changed: PolledInstance, operator: Client) -> None:
    assert "contacts/3" in text_of(operator.get(url(changed, "/stream")))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with start_receiver() as server:
        yield server


def test_one_event_is_shown_from_end_to_end(world: PolledInstance, operator: Client, receiver: Receiver) -> None:
    world.watch(callback_url=f"{receiver.url}?code=hush", poll={"trackChanges": True})
    world.poll()
    world.change(3, "Engineer")
    world.poll()
    world.change(3, "Director")
    world.poll()
    deliver_these([world.instance.pk])
    html = text_of(operator.get(f"/app/events/{Event.objects.latest('pk').pk}"))
    for words in ("<del>Engineer</del>", "<ins>Director</ins>", "msg_", "Attempts", "delivered", "Replay"):
        assert words in html
    assert "hush" not in html


def test_an_event_is_replayed(world: PolledInstance, operator: Client, receiver: Receiver) -> None:
    world.watch(callback_url=receiver.url)
    world.poll()
    world.change(3, "Engineer")
    world.poll()
    deliver_these([world.instance.pk])
    operator.post(f"/app/events/{Event.objects.get().pk}/replay")
    deliver_these([world.instance.pk])
    assert Notification.objects.get().attempts.count() == 2


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("object=3", True),
        ("object=4", False),
        ("kind=UPDATED", True),
        ("kind=DELETED", False),
        ("resource=contacts", True),
        ("delivery=undelivered", True),
        ("delivery=delivered", False),
        ("from=2000-01-01T00:00", True),
        ("to=2000-01-01T00:00", False),
        ("before=1", False),
        ("instance=999999", False),
        ("from=rubbish&before=rubbish&kind=rubbish", True),
    ],
)
def test_events_are_searched(changed: PolledInstance, operator: Client, query: str, found: bool) -> None:
    assert ("contacts/3" in text_of(operator.get(f"/app/events?{query}"))) is found


def test_a_webhook_id_leads_to_what_it_carries(changed: PolledInstance, operator: Client, other_tenant: Tenant) -> None:
    changed.change(4, "Engineer")
    changed.change(5, "Engineer")
    changed.poll()
    first, second = Event.objects.order_by("pk")[1:]
    assert first.notification is not None
    query = {"object": f" {first.notification.webhook_id} "}
    answer = operator.get("/app/events", query)
    assert answer.headers["Location"] == f"/app/events/{first.pk}"
    html = text_of(operator.get(answer.headers["Location"]))
    assert "2 events of contacts, beside this one" in html
    assert f'<a class="record" href="/app/events/{second.pk}">' in html
    assert f"{second.title} · contacts/5 (UPDATED)" in words_of(html)
    assert "No event matches" in text_of(operator.get("/app/events", {"object": "msg_of-nothing"}))
    assert sign_in("stranger", other_tenant.organization).get("/app/events", query).status_code == 200


def test_pages_ask_a_bounded_number_of_questions(
    changed: PolledInstance, operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(2, 30):
        changed.change(number, "Engineer")
    changed.poll()
    event = f"/app/events/{Event.objects.earliest('pk').pk}"
    for path in (url(changed), url(changed, "/stream"), "/app/events", "/app/instances", event):
        with django_assert_max_num_queries(12):
            assert operator.get(path).status_code == 200
