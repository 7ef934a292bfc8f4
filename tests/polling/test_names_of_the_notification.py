"""Resources called like members of the notification itself: their records arrive, or their names are refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from django.test import Client

from instances.configuration.config_keys import POLLS
from instances.models import ResourcePoll
from polling.models import Notification
from tests.conftest import Tenant
from tests.support.polled_instance import PolledInstance

RESERVED = ["objectType", "eventId", "instance_id"]
EVENTS = {"events": {"url": "/hubs/crm/contacts?where=lastUpdated>'${date}'"}}


def configure(world: PolledInstance, client: Client, tenant: Tenant, polls: dict[str, Any]) -> Any:
    return client.patch(
        f"/instances/{world.instance.pk}",
        {"configuration": {POLLS: polls}},
        content_type="application/json",
        headers={"Authorization": tenant.auth},
    )


def test_the_records_of_a_resource_called_events_stand_under_its_name(
    watched: PolledInstance, client: Client, tenant: Tenant
) -> None:
    assert configure(watched, client, tenant, {"contacts": {}, **EVENTS}).status_code == 200
    watched.poll()
    watched.change(5, "Chief")
    watched.poll()

    message = orjson.loads(Notification.objects.get(object_type="events").body)["message"]

    assert [record["title"] for record in message["raw"]["events"]] == ["Chief"]
    assert [(event["objectType"], event["objectId"]) for event in message["events"]] == [("events", "5")]
    assert message["raw"]["objectType"] == "events"


@pytest.mark.parametrize("name", [*RESERVED, " objectType "])
def test_a_name_that_the_notification_uses_is_refused(
    watched: PolledInstance, client: Client, tenant: Tenant, name: str
) -> None:
    answer = configure(watched, client, tenant, {name: EVENTS["events"]})
    assert (answer.status_code, name.strip() in answer.json()["message"]) == (400, True)
    added = client.post(
        f"/v1/instances/{watched.instance.pk}/polls",
        {"resource": name, "configuration": EVENTS["events"]},
        content_type="application/json",
        headers={"Authorization": tenant.auth},
    )
    assert (added.status_code, name.strip() in added.json()["message"]) == (400, True)
    assert not ResourcePoll.objects.filter(name__icontains=name.strip()).exists()


def test_a_name_is_trimmed(watched: PolledInstance, client: Client, tenant: Tenant) -> None:
    assert configure(watched, client, tenant, {" contacts ": {}}).status_code == 200
    assert set(ResourcePoll.objects.values_list("name", flat=True)) == {"contacts"}


def test_one_name_written_twice_is_refused(watched: PolledInstance, client: Client, tenant: Tenant) -> None:
    answer = configure(watched, client, tenant, {"contacts": {}, " contacts": {}})
    assert (answer.status_code, "contacts twice" in answer.json()["message"]) == (400, True)
