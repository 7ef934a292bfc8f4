"""`/v1/instances/{id}/polls`: what is polled, and what may be asked of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwconnect.sandbox import SandboxServer
from instances.models import Instance, ResourcePoll
from instances.poll_changes import copied_configuration, merge_patch
from polling.models import Health, PollRun, PollState
from tests.api.conftest import Watched
from tests.support.api_caller import Api

pytestmark = pytest.mark.django_db


class Polls:
    """The polls of one instance on a sandbox, by the API."""

    def __init__(self, api: Api, sandbox: SandboxServer) -> None:
        self.api = api
        self.instance = Instance.objects.get(pk=api.create(sandbox.url)["id"])
        self.path = f"/v1/instances/{self.instance.pk}/polls"

    def poll(self, name: str = "contacts") -> ResourcePoll:
        return ResourcePoll.objects.get(instance=self.instance, name=name)

    def __call__(self, method: str, path: str = "", body: Any = None) -> Any:
        return self.api(method, self.path + path, body)


@pytest.fixture
def polls(api: Api, sandbox: SandboxServer) -> Polls:
    return Polls(api, sandbox)


def test_the_list_shows_how_each_poll_fares(polls: Polls) -> None:
    poll = polls.poll()
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    PollState.objects.filter(pk=poll.pk).update(
        cursor=at, health=Health.REJECTED, last_error="x/y is not a recognized name.", failures=3
    )
    PollRun.objects.create(resource_poll=poll, status=PollRun.Status.FAILED, started_at=at, error="no")
    items = {item["resource"]: item for item in polls("GET").json()["items"]}
    shown = items["contacts"]
    assert items["contacts"]["health"] == "rejected"
    assert shown["error"] == "x/y is not a recognized name."
    assert 300 <= shown["lag_seconds"] < 360
    assert shown["failures"] == 3
    assert shown["last_run"]["status"] == "failed"
    assert shown["configuration"]["idField"] == "id"
    assert polls("GET", f"/{poll.pk}").json()["id"] == poll.pk


def test_a_poll_is_switched_off_and_on(polls: Polls) -> None:
    poll = polls.poll()
    answer = polls("PATCH", f"/{poll.pk}", {"enabled": False})
    assert answer.status_code == 200, answer.content
    assert (answer.json()["enabled"], answer.json()["health"]) == (False, "paused")
    assert polls("PATCH", f"/{poll.pk}", {"enabled": True}).json()["health"] == "healthy"


def test_a_configuration_is_merged_and_null_removes(polls: Polls) -> None:
    poll = polls.poll()
    polls("PATCH", f"/{poll.pk}", {"configuration": {"pageSize": 50, "pollDelay": 10}})
    answer = polls("PATCH", f"/{poll.pk}", {"configuration": {"pageSize": None, "trackChanges": True}})
    configuration = answer.json()["configuration"]
    assert (configuration["pollDelay"], configuration["trackChanges"]) == (10, True)
    assert "pageSize" not in configuration
    assert configuration["url"] == poll.configuration["url"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"configuration": {"pageSize": -1}}, "contacts.pageSize"),
        ({"configuration": {"pagesize": 1}}, "contacts.pagesize"),
        ({"configuration": {"enabled": True}}, "configuration.enabled"),
        ({"configuration": 1}, "configuration"),
        ({"enabled": "true"}, "enabled"),
        ({"name": "x"}, "name"),
        ([], "The body"),
    ],
)
def test_a_change_that_is_not_understood_is_refused_by_name(polls: Polls, change: Any, named: str) -> None:
    poll = polls.poll()
    answer = polls("PATCH", f"/{poll.pk}", change)
    assert answer.status_code == 400
    assert named in answer.json()["message"]
    assert polls.poll().configuration == poll.configuration


def test_a_poll_is_copied_to_another_resource(polls: Polls) -> None:
    source = polls.poll()
    polls("PATCH", f"/{source.pk}", {"configuration": {"trackChanges": True}})
    answer = polls("POST", "", {"resource": "tickets", "copy_of": "contacts", "configuration": {"pageSize": 7}})
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["resource"], made["enabled"], made["health"]) == ("tickets", True, "healthy")
    assert made["configuration"]["trackChanges"] is True
    assert made["configuration"]["pageSize"] == 7
    assert made["configuration"]["url"].startswith("/hubs/crm/incidents?where=")
    assert made["since"] is not None


def test_a_resource_is_polled_by_its_defaults(polls: Polls) -> None:
    assert polls("POST", "", {"resource": "incidents"}).status_code in (201, 409)
    assert polls("POST", "", {"resource": "members", "enabled": False}).json()["enabled"] is False


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"resource": "contacts"}, 409),
        ({"resource": "members", "copy_of": "nothing"}, 400),
        ({"resource": ""}, 400),
        ({}, 400),
        ({"resource": "no-such-resource"}, 400),
        ({"resource": "members", "extra": 1}, 400),
    ],
)
def test_a_resource_that_cannot_be_added_is_refused(polls: Polls, body: Any, status: int) -> None:
    count = ResourcePoll.objects.count()
    assert polls("POST", "", body).status_code == status
    assert ResourcePoll.objects.count() == count


def test_what_connectwise_refuses_is_not_added(polls: Polls) -> None:
    answer = polls("POST", "", {"resource": "none", "configuration": {"url": "/hubs/crm/no/such"}})
    assert answer.status_code == 400
    assert answer.json()["providerMessage"]


def test_a_poll_may_run_now(polls: Polls) -> None:
    poll = polls.poll()
    PollState.objects.update(next_poll_at=datetime(2100, 1, 1, tzinfo=UTC))
    answer = polls("POST", f"/{poll.pk}/run")
    assert answer.status_code == 202
    assert answer.json()["next_poll_at"] < "2100"


def test_a_paused_poll_does_not_run(polls: Polls) -> None:
    polls.api("DELETE", f"/instances/{polls.instance.pk}/enabled")
    poll = polls.poll()
    assert polls("POST", f"/{poll.pk}/run").status_code == 409
    assert polls("POST", f"/{poll.pk}/backfill", {"since": "2026-01-01T00:00:00Z"}).status_code == 409


def test_a_backfill_opens_a_run_from_then_on(polls: Polls) -> None:
    poll = polls.poll()
    answer = polls("POST", f"/{poll.pk}/backfill", {"since": "2026-01-01T01:00:00+01:00"})
    assert answer.status_code == 202
    assert answer.json()["last_run"]["kind"] == "backfill"
    assert PollRun.objects.get(kind="backfill").opening == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "since", ["x", 5, None, "2026-01-01T00:00:00", "2126-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"]
)
def test_a_backfill_wants_a_time_in_the_past(polls: Polls, since: Any) -> None:
    poll = polls.poll()
    assert polls("POST", f"/{poll.pk}/backfill", {"since": since}).status_code == 400


@pytest.mark.parametrize("configuration", [{"unheardOf": 1}, {"datesConfiguration": {"unheardOf": 1}}])
def test_keys_of_a_configuration_that_nobody_knows_are_refused_here(polls: Polls, configuration: Any) -> None:
    poll = polls.poll()
    answer = polls("PATCH", f"/{poll.pk}", {"configuration": configuration})
    assert answer.status_code == 400
    assert "unheardOf is no key of this configuration" in answer.json()["message"]


def test_others_polls_do_not_exist(api: Api, watched: Watched, foreign: Watched) -> None:
    assert api("GET", f"/v1/instances/{foreign.instance.pk}/polls").status_code == 404
    assert api("GET", f"/v1/instances/{watched.instance.pk}/polls/{foreign.poll.pk}").status_code == 404
    assert api("POST", f"/v1/instances/{watched.instance.pk}/polls/{foreign.poll.pk}/run").status_code == 404


@pytest.mark.parametrize("others", [0, 20])
def test_the_list_takes_the_same_few_queries(
    api: Api, watched: Watched, others: int, django_assert_max_num_queries: Any
) -> None:
    for number in range(others):
        ResourcePoll.objects.create(instance=watched.instance, name=f"resource {number}")
    with django_assert_max_num_queries(6):
        api("GET", f"/v1/instances/{watched.instance.pk}/polls")


@pytest.mark.parametrize(
    ("url", "copied"),
    [
        ("/hubs/crm/contacts?where=a='b?c'", "/hubs/crm/members?where=a='b?c'"),
        ("/elements/api-v2/hubs/crm/company/contacts", "/elements/api-v2/hubs/crm/members"),
    ],
)
def test_a_copied_url_names_the_new_resource(url: str, copied: str) -> None:
    assert copied_configuration({"url": url, "idField": "x"}, "members") == {"url": copied, "idField": "x"}


_JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=12,  # three deep; with the usual hundred, making them up takes ten times as long as the test
)
_OBJECT = st.dictionaries(st.text(max_size=2), _JSON, max_size=6)


def without_nulls(value: Any) -> Any:
    return (
        {key: without_nulls(item) for key, item in value.items() if item is not None}
        if isinstance(value, dict)
        else value
    )


@given(patch=_OBJECT)
def test_a_patch_upon_nothing_is_itself_without_nulls(patch: dict[str, Any]) -> None:
    assert merge_patch({}, patch) == without_nulls(patch)


@given(target=_OBJECT, patch=_OBJECT)
def test_a_patch_twice_is_a_patch_once(target: dict[str, Any], patch: dict[str, Any]) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once
