"""Deliveries of several subscriptions: each by its name, and narrowed to one or a receiver, also what is replayed."""

from __future__ import annotations

import csv
import re

import pytest
from django.test import Client
from django.utils import timezone

from instances.models import Instance
from polling.bulk.registry import find_action
from polling.delivery.first_subscriptions import first_subscription
from polling.models import BulkJob, DeliveryAttempt, DeliveryState, Event, Notification, Receiver, Subscription
from polling.reports import keyset_walk
from tests.api.conftest import Watched
from tests.conftest import Tenant
from tests.pages.conftest import text_of, words_of
from tests.support.api_caller import Api
from tests.support.subscriptions import carry, make_subscription

pytestmark = pytest.mark.django_db


@pytest.fixture
def watched(tenant: Tenant) -> Watched:
    return Watched(tenant)


@pytest.fixture
def events(watched: Watched) -> list[Event]:
    return [watched.changed(number, title=f"Record {number}", at=timezone.now())[0] for number in (1, 2)]


@pytest.fixture
def further(watched: Watched) -> Subscription:
    return make_subscription(watched.instance, "http://127.0.0.1:9/closed", "Closed tickets")


@pytest.fixture
def both(further: Subscription, events: list[Event]) -> list[Notification]:
    """Both events in a notification each, for the further one as for the first."""
    return carry(further, [[event] for event in events])


def listed(client: Client, query: str = "") -> set[str]:
    """Return the webhook-ids that the CSV of a list has."""
    answer = client.get(f"/app/deliveries.csv?{query}")
    text = b"".join(answer.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]  # it streams
    return {row["webhook-id"] for row in csv.DictReader(text.splitlines())}


def ids(notifications: list[int]) -> set[str]:
    return set(Notification.objects.filter(pk__in=notifications).values_list("webhook_id", flat=True))


def own(events: list[Event]) -> set[str]:
    return ids([event.pk for event in events])


def test_each_is_shown_with_its_subscription(
    operator: Client, both: list[Notification], further: Subscription, events: list[Event]
) -> None:
    DeliveryAttempt.objects.create(notification=both[0], url="", started_at=timezone.now(), error_kind="refused")
    said = words_of(text_of(operator.get("/app/deliveries")))
    assert said.count("API_Polling Closed tickets") == 3  # two in the list, and the attempt that failed
    assert said.count("API_Polling Main") == 2
    Subscription.objects.filter(pk=further.pk).update(deleted_at=timezone.now())
    said = words_of(text_of(operator.get("/app/deliveries")))
    assert "Closed tickets" not in said
    assert "Main" not in said  # it is the only one: its instance's name says which
    assert listed(operator) == own(events)


def test_a_list_is_narrowed_to_one_subscription(
    operator: Client, both: list[Notification], further: Subscription, events: list[Event]
) -> None:
    further_ids = {each.webhook_id for each in both}
    html = text_of(operator.get("/app/deliveries"))
    assert f'href="/app/deliveries?subscription={further.pk}"' in html
    assert f'href="/app/deliveries?subscription={further.instance_id}"' in html
    page = text_of(operator.get(f"/app/deliveries?subscription={further.pk}"))
    assert "Subscription: Closed tickets" in words_of(page)
    assert f'name="subscription" value="{further.pk}"' in " ".join(page.split())
    assert listed(operator, f"subscription={further.pk}") == further_ids
    assert listed(operator, f"subscription={further.instance_id}") == own(events)
    assert listed(operator, f"subscription={further.pk}&state=given+up") == set()
    assert listed(operator, f"subscription={further.pk}&object=2") == {both[1].webhook_id}
    for nothing in ("subscription=x", "subscription=9", f"subscription={10**17}", ""):
        assert listed(operator, nothing) == own(events) | further_ids


def test_nobody_elses_subscription_narrows_anything(
    operator: Client, both: list[Notification], other_tenant: Tenant
) -> None:
    theirs = make_subscription(Watched(other_tenant).instance, "http://127.0.0.1:9/", "Theirs")
    for query in (f"subscription={theirs.pk}", f"subscription={theirs.instance_id}"):
        page = text_of(operator.get(f"/app/deliveries?{query}"))
        assert "Theirs" not in page
        assert len(listed(operator, query)) == 4


def test_an_object_is_found_in_what_was_made_of_the_log(
    operator: Client, both: list[Notification], events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyset_walk, "SLICE", 1)
    assert listed(operator, "object=1") == {both[0].webhook_id, *ids([events[0].pk])}
    shown = text_of(operator.get("/app/deliveries?object=1"))
    assert shown.count("Record 1") == 2


def test_a_receiver_is_that_of_the_subscription(
    operator: Client, both: list[Notification], further: Subscription, events: list[Event], watched: Watched
) -> None:
    """Two of one instance that go elsewhere: what is shown of one receiver, and sent again, is its own."""
    here, there = (
        Receiver.objects.create(organization=watched.tenant.organization, url=url, url_hash=url)
        for url in ("http://here/", "http://there/")
    )
    DeliveryState.objects.create(subscription=first_subscription(watched.instance), receiver=here)
    DeliveryState.objects.create(subscription=further, receiver=there)
    assert listed(operator, f"receiver={here.pk}") == own(events)
    assert listed(operator, f"receiver={there.pk}") == {each.webhook_id for each in both}
    query = f"of=deliveries&receiver={there.pk}"
    assert sent_again(operator, query) == {each.pk for each in both}


def test_what_is_sent_again_of_one_is_its_own(
    operator: Client, both: list[Notification], further: Subscription, events: list[Event]
) -> None:
    query = f"of=deliveries&subscription={further.pk}"
    said = words_of(text_of(operator.get(f"/app/replay-these?{query}")))
    assert "Replay 2 notifications of 1 instance?" in said
    assert "API_Polling Closed tickets http://127.0.0.1:9/closed 2" in said
    assert sent_again(operator, query) == {each.pk for each in both}
    everything = words_of(text_of(operator.get("/app/replay-these?of=deliveries&instance=API_Polling")))
    assert "Replay 4 notifications of 1 instance?" in everything
    assert "2 receivers" in everything


def sent_again(client: Client, query: str) -> set[int]:
    """Have what a list shows sent again, as a worker does; return which that was."""
    page = text_of(client.get(f"/app/replay-these?{query}"))
    client.post(f"/app/replay-these?{query}", dict(re.findall(r'name="(first|last)" value="(\d+)"', page)))
    job = BulkJob.objects.latest("pk")
    find_action(job.action).apply(Instance.objects.get(pk=job.instances[0]), job.arguments)
    return set(Notification.objects.filter(replay__isnull=False).values_list("pk", flat=True))


def test_deliveries_of_the_api_say_to_whom_and_are_narrowed_by_it(
    api: Api, both: list[Notification], further: Subscription, events: list[Event]
) -> None:
    def got(query: str) -> dict[int, int]:
        items = api("GET", f"/v1/deliveries?{query}").json()["items"]
        return {item["id"]: item["subscription_id"] for item in items}

    to_further = {each.pk: further.pk for each in both}
    to_first = {event.pk: further.instance_id for event in events}
    assert got("") == to_first | to_further
    assert got(f"subscription={further.pk}") == to_further
    assert got(f"subscription={further.instance_id}") == to_first
    assert got(f"subscription={further.pk}&instance={further.instance_id}&state=delivered") == {}
    assert api("GET", "/v1/deliveries?subscription=999").status_code == 404
    assert api("GET", "/v1/deliveries?subscription=x").status_code == 400
    assert api("GET", f"/v1/deliveries/{both[0].pk}").json()["subscription_id"] == further.pk
    Subscription.objects.filter(pk=further.pk).update(deleted_at=timezone.now())
    assert got("") == to_first
    assert api("GET", f"/v1/deliveries/{both[0].pk}").status_code == 404


def test_others_deliveries_are_not_narrowed_to(api: Api, other_tenant: Tenant) -> None:
    foreign = Watched(other_tenant)
    (event,) = foreign.changed(1)
    theirs = make_subscription(foreign.instance, "http://127.0.0.1:9/")
    carry(theirs, [[event]])
    for key in (theirs.pk, foreign.instance.pk):
        assert api("GET", f"/v1/deliveries?subscription={key}").status_code == 404


def test_the_csv_names_the_subscription(operator: Client, both: list[Notification], further: Subscription) -> None:
    answer = operator.get("/app/deliveries.csv")
    text = b"".join(answer.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]  # it streams
    rows = {row["id"]: (row["subscription id"], row["subscription"]) for row in csv.DictReader(text.splitlines())}
    assert rows[str(both[0].pk)] == (str(further.pk), "Closed tickets")
    assert (str(further.instance_id), "Main") in rows.values()


def test_a_receiver_lists_the_subscriptions_that_use_it(
    operator: Client, further: Subscription, watched: Watched
) -> None:
    receiver = Receiver.objects.create(organization=watched.tenant.organization, url="http://here/", url_hash="h")
    gone = make_subscription(watched.instance, "http://here/", "Gone", deleted_at=timezone.now())
    for subscription in (first_subscription(watched.instance), further, gone):
        DeliveryState.objects.create(subscription=subscription, receiver=receiver)
    page = text_of(operator.get(f"/app/receivers/{receiver.pk}"))
    said = words_of(page)
    assert "API_Polling goes on" in said
    assert "API_Polling Closed tickets goes on" in said
    assert "Gone" not in said
    assert f'href="/app/deliveries?subscription={further.pk}"' in page
