"""GET, PUT, PATCH, DELETE and enabled: what changes at once, what is proven first, what stays."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cwconnect.sandbox import SandboxServer
from instances.models import Instance, ResourcePoll
from polling.models import PollState
from tests.seed import example_body
from tests.support.api_caller import Api
from tests.support.sandboxes import start_sandbox


def poll_of(created: dict[str, Any], name: str = "contacts") -> ResourcePoll:
    return ResourcePoll.objects.get(instance_id=created["id"], name=name)


def polls_in(body: dict[str, Any]) -> dict[str, Any]:
    polls: dict[str, Any] = json.loads(body["configuration"]["event.poller.configuration"])
    return polls


def snapshot(number: int) -> Any:
    return (
        Instance.objects.filter(pk=number).values().get(),
        list(ResourcePoll.objects.filter(instance_id=number).values()),
        list(PollState.objects.filter(resource_poll__instance_id=number).values()),
    )


RICH = {
    "connectwise__clientID": "client",
    "filter__response__nulls": "no",
    "event__notification__signature__key": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "event__notification__callback__headers": {"X-Key": "one", "X-Other": "two"},
    "event__notification__basic__username": "me",
    "event__notification__basic__password": "word",
    "event__poller__refresh_interval": 60,
}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_what_get_gives_can_be_put_back_unchanged(api: Api, sandbox: SandboxServer, method: str) -> None:
    number = api.create(sandbox.url, **RICH)["id"]
    got = api("GET", f"/instances/{number}").json()
    before, requests = snapshot(number), len(sandbox.store.requests)
    answer = api(method, f"/instances/{number}", got)
    assert answer.status_code == 200, answer.content
    assert answer.json() == got
    after = snapshot(number)
    before[0].pop("updated_at"), after[0].pop("updated_at")
    assert after[:2] == before[:2]
    assert len(sandbox.store.requests) == requests


def test_get_shows_no_token_and_no_secret(api: Api, sandbox: SandboxServer) -> None:
    number = api.create(sandbox.url, **RICH)["id"]
    answer = api("GET", f"/instances/{number}")
    assert "token" not in answer.json()
    for secret in (b"PRIV", b'"PUB"', b"whsec", b'"word"', b'"one"'):
        assert secret not in answer.content
    headers = json.loads(answer.json()["configuration"]["event.notification.callback.headers"])
    assert headers == {"X-Key": "********", "X-Other": "********"}


def test_patch_merges_the_configuration_and_replaces_tags(api: Api, sandbox: SandboxServer) -> None:
    number = api.create(sandbox.url)["id"]
    patch = {"configuration": {"event.poller.refresh_interval": "30"}, "tags": ["a", "b"]}
    answer = api("PATCH", f"/instances/{number}", patch).json()
    assert answer["configuration"]["event.poller.refresh_interval"] == "30"
    assert answer["configuration"]["company"] == "acme"
    assert answer["tags"] == ["a", "b"]
    assert answer["name"] == "API_Polling"


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_null_counts_as_not_given(api: Api, sandbox: SandboxServer, method: str) -> None:
    """Generated clients send null for what their caller did not set."""
    number, body = api.create(sandbox.url)["id"], example_body(sandbox.url)
    nulls: dict[str, Any] = dict.fromkeys(("element", "name", "tags", "configuration"))
    whole = {"name": "API_Polling", "tags": ["Test"], "configuration": body["configuration"]}
    answer = api(method, f"/instances/{number}", nulls | (whole if method == "PUT" else {}))
    assert (answer.json()["name"], answer.json()["tags"]) == ("API_Polling", ["Test"])


def test_a_blank_takes_a_secret_away(api: Api, sandbox: SandboxServer) -> None:
    number = api.create(sandbox.url, **RICH)["id"]
    answer = api("PATCH", f"/instances/{number}", {"configuration": {"event.notification.signature.key": ""}}).json()
    assert "event.notification.signature.key" not in answer["configuration"]
    assert Instance.objects.get(pk=number).signature_key is None


def test_one_header_can_be_changed_while_the_other_is_kept(api: Api, sandbox: SandboxServer) -> None:
    number = api.create(sandbox.url, **RICH)["id"]
    headers = {"x-key": "********", "X-Other": "three"}
    api("PATCH", f"/instances/{number}", {"configuration": {"event.notification.callback.headers": headers}})
    stored = Instance.objects.get(pk=number).callback_headers
    assert json.loads(stored.reveal()) == {"x-key": "one", "X-Other": "three"}


def test_put_replaces_what_it_leaves_out(api: Api, sandbox: SandboxServer) -> None:
    number = api.create(sandbox.url, **RICH)["id"]
    body = example_body(sandbox.url)
    del body["tags"], body["name"]
    answer = api("PUT", f"/instances/{number}", body).json()
    assert answer["tags"] == []
    assert answer["name"] == "ConnectWise CRM REST"
    assert "event.notification.basic.username" not in answer["configuration"]


def test_put_without_the_keys_names_them(api: Api, sandbox: SandboxServer) -> None:
    number = api.create(sandbox.url)["id"]
    before = snapshot(number)
    answer = api("PUT", f"/instances/{number}", {"configuration": {"company": "acme"}})
    assert answer.status_code == 400
    assert "private.key" in answer.json()["message"]
    assert snapshot(number) == before


@pytest.mark.parametrize("wrong", [{"private.key": "OTHER"}, {"company": "other"}, {"baseUrl": "http://127.0.0.1:9/x"}])
def test_credentials_that_fail_leave_everything_as_it_was(
    api: Api, sandbox: SandboxServer, wrong: dict[str, str]
) -> None:
    number = api.create(sandbox.url)["id"]
    before = snapshot(number)
    answer = api("PATCH", f"/instances/{number}", {"name": "new", "configuration": wrong})
    assert answer.status_code == 400
    assert snapshot(number) == before


def test_credentials_are_not_proven_again_without_need(api: Api, sandbox: SandboxServer) -> None:
    number = api.create(sandbox.url)["id"]
    asked = len(sandbox.store.requests)
    api("PATCH", f"/instances/{number}", {"name": "renamed"})
    assert len(sandbox.store.requests) == asked


def test_an_added_resource_begins_at_its_own_high_water_id(api: Api, sandbox: SandboxServer) -> None:
    created = api.create(sandbox.url)
    first = poll_of(created)
    polls = polls_in(created) | {"incidents": {}}
    api("PATCH", f"/instances/{created['id']}", {"configuration": {"event.poller.configuration": polls}})
    added = poll_of(created, "incidents")
    assert added.high_water_id == 7
    assert PollState.objects.get(resource_poll=added).cursor == added.since
    assert poll_of(created).since == first.since


def test_a_resource_left_out_is_forgotten(api: Api, sandbox: SandboxServer) -> None:
    created = api.create(sandbox.url)
    polls: dict[str, Any] = {"incidents": {}}
    api("PATCH", f"/instances/{created['id']}", {"configuration": {"event.poller.configuration": polls}})
    assert not ResourcePoll.objects.filter(instance_id=created["id"], name="contacts").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"url": "/hubs/crm/contacts?where=lastUpdated>'${date}' and inactiveFlag = false"},
        {"url": "/hubs/crm/contacts?where=lastUpdated>'${date}'&fields=firstName"},
        {"url": "/hubs/crm/contacts?where=lastUpdated>'${date}'&pageSize=7"},
        {"url": "/hubs/crm/company/Contacts?where=lastUpdated>'${date}'"},  # the same list, otherwise written
        {"idField": "mobileGuid"},
        {"pageSize": 7, "pollDelay": 400},
        {"datesConfiguration": {"updatedDateField": "lastUpdated"}},
    ],
    ids=str,
)
def test_the_same_list_keeps_mark_since_and_cursor(api: Api, sandbox: SandboxServer, change: dict[str, Any]) -> None:
    """A new high-water id would make what was created since the last poll an UPDATED without a CREATED."""
    created = api.create(sandbox.url)
    before, cursor = poll_of(created), PollState.objects.get().cursor
    sandbox.store.create("contacts", {"firstName": "New"})
    sandbox.store.clear_requests()
    polls = polls_in(created)
    polls["contacts"] |= change
    api("PATCH", f"/instances/{created['id']}", {"configuration": {"event.poller.configuration": polls}})
    after = poll_of(created)
    assert after.configuration != before.configuration
    assert (after.pk, after.high_water_id, after.since) == (before.pk, 30, before.since)
    assert PollState.objects.get().cursor == cursor


def test_a_url_of_another_list_begins_afresh(api: Api, sandbox: SandboxServer) -> None:
    created = api.create(sandbox.url)
    before = poll_of(created)
    polls = polls_in(created)
    polls["contacts"]["url"] = polls["contacts"]["url"].replace("crm/contacts", "crm/organizations")
    api("PATCH", f"/instances/{created['id']}", {"configuration": {"event.poller.configuration": polls}})
    after = poll_of(created)
    assert after.high_water_id == 5
    assert after.since is not None
    assert before.since is not None
    assert after.since >= before.since
    assert PollState.objects.get().cursor == after.since


def test_another_key_changes_without_a_new_high_water_id(api: Api, sandbox: SandboxServer) -> None:
    created = api.create(sandbox.url)
    sandbox.store.create("contacts", {"firstName": "New"})
    polls = polls_in(created)
    polls["contacts"]["pollDelay"] = "600"
    api("PATCH", f"/instances/{created['id']}", {"configuration": {"event.poller.configuration": polls}})
    assert poll_of(created).high_water_id == 30
    assert poll_of(created).configuration["pollDelay"] == 600


def test_another_site_starts_everything_afresh(api: Api, sandbox: SandboxServer) -> None:
    created = api.create(sandbox.url)
    with start_sandbox(records={"contacts": 3}) as other:
        keys = example_body(other.url)["configuration"]
        moved = {name: keys[name] for name in ("baseUrl", "public.key", "private.key")}
        api("PATCH", f"/instances/{created['id']}", {"configuration": moved})
    poll = poll_of(created)
    assert poll.high_water_id == 3
    assert PollState.objects.get().cursor == poll.since


def test_watching_begins_when_events_are_first_switched_on(api: Api, sandbox: SandboxServer) -> None:
    created = api.create(sandbox.url, event__notification__enabled=False)
    sandbox.store.create("contacts", {"firstName": "New"})
    api("PATCH", f"/instances/{created['id']}", {"configuration": {"event.notification.enabled": "true"}})
    assert poll_of(created).high_water_id == 31
    assert PollState.objects.get().next_poll_at is not None


def test_events_switched_off_and_on_go_on_from_the_cursor(api: Api, sandbox: SandboxServer) -> None:
    created = api.create(sandbox.url)
    before, cursor = poll_of(created), PollState.objects.get().cursor
    path = f"/instances/{created['id']}"
    api("PATCH", path, {"configuration": {"event.notification.enabled": False}})
    assert PollState.objects.get().next_poll_at is None
    api("PATCH", path, {"configuration": {"event.notification.enabled": True}})
    state = PollState.objects.get()
    assert (poll_of(created).high_water_id, poll_of(created).since, state.cursor) == (
        before.high_water_id,
        before.since,
        cursor,
    )
    assert state.next_poll_at is not None


def test_a_resource_switched_off_is_not_polled_and_goes_on_later(api: Api, sandbox: SandboxServer) -> None:
    created = api.create(sandbox.url)
    path, polls = f"/instances/{created['id']}", polls_in(created)
    polls["contacts"]["enabled"] = "no"
    answer = api("PATCH", path, {"configuration": {"event.poller.configuration": polls}}).json()
    assert polls_in(answer)["contacts"]["enabled"] is False
    assert PollState.objects.get().next_poll_at is None
    polls["contacts"]["enabled"] = True
    answer = api("PATCH", path, {"configuration": {"event.poller.configuration": polls}}).json()
    assert "enabled" not in polls_in(answer)["contacts"]
    assert PollState.objects.get().next_poll_at is not None


def test_disabled_pauses_and_enabled_goes_on(api: Api, sandbox: SandboxServer) -> None:
    created = api.create(sandbox.url)
    path = f"/instances/{created['id']}"
    assert api("DELETE", f"{path}/enabled").json()["disabled"] is True
    assert PollState.objects.get().next_poll_at is None
    assert api("PUT", f"{path}/enabled").json()["disabled"] is False
    assert PollState.objects.get().next_poll_at is not None


def test_a_deleted_instance_is_gone_with_its_token(api: Api, sandbox: SandboxServer) -> None:
    created = api.create(sandbox.url)
    assert api("DELETE", f"/instances/{created['id']}").status_code == 200
    assert api("GET", f"/instances/{created['id']}").status_code == 404
    element = f"User {api.tenant.user_secret}, Element {created['token']}"
    assert api("GET", "/instances", auth=element).status_code == 401


def test_an_element_token_changes_and_deletes_its_own_instance(api: Api, sandbox: SandboxServer) -> None:
    created, other = api.create(sandbox.url), api.create(sandbox.url)
    element = f"User {api.tenant.user_secret}, Element {created['token']}"
    assert api("PATCH", "/instances", {"name": "mine"}, auth=element).json()["name"] == "mine"
    assert len(api("GET", "/instances", auth=element).json()) == 2
    assert api("DELETE", "/instances", auth=element).status_code == 200
    assert [row["id"] for row in api("GET", "/instances").json()] == [other["id"]]


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_without_an_element_token_the_list_can_not_be_changed(api: Api, method: str) -> None:
    assert api(method, "/instances", {}).status_code == 400


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("suffix", ["", "/enabled"])
def test_another_organizations_instance_does_not_exist(
    api: Api, other_api: Api, sandbox: SandboxServer, method: str, suffix: str
) -> None:
    number = api.create(sandbox.url)["id"]
    answer = other_api(method, f"/instances/{number}{suffix}", {})
    assert answer.status_code == (405 if suffix and method in ("GET", "PATCH") else 404)
    assert Instance.objects.filter(pk=number, disabled=False).exists()
    assert other_api("GET", "/instances").json() == []
