"""The search of events: by the instance, named as people name it."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from instances.models import Instance, Organization
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of
from tests.support.notifications import make_instance, make_notifications

URL = "http://127.0.0.1:9/"


@pytest.fixture
def instances(organization: Organization) -> dict[str, Instance]:
    """Three instances with an event of one record each: 1, 2 and 3."""
    made = {name: make_instance(organization, URL, name) for name in ("Acme", "Acme West", "Globex (7)")}
    for record, instance in enumerate(made.values(), 1):
        make_notifications(instance, [[record]])
    return made


def found_by(client: Client, **query: object) -> set[str]:
    page = text_of(client.get("/app/events", {name: str(value) for name, value in query.items()}))
    return set(re.findall(r"contacts/(\d+)</small></a>", page))


def test_an_instance_is_named_by_its_name_its_id_or_both(instances: dict[str, Instance], operator: Client) -> None:
    acme = instances["Acme"]
    for text in ("Acme", "acme", acme.pk, f"Acme ({acme.pk})"):
        assert found_by(operator, instance=text) == {"1"}
    assert found_by(operator, instance="Globex (7)") == {"3"}  # a name, whatever instance has the id


def test_a_part_of_the_names_finds_all_that_have_it(instances: dict[str, Instance], operator: Client) -> None:
    assert found_by(operator, instance="cme") == {"1", "2"}
    assert found_by(operator, instance="cme", object=2) == {"2"}
    assert found_by(operator, instance=f"cme {instances['Globex (7)'].pk}") == set()  # no id, and in no name
    assert found_by(operator, instance="") == {"1", "2", "3"}


def test_what_was_typed_stays(instances: dict[str, Instance], operator: Client) -> None:
    acme = instances["Acme"]
    assert f'value="Acme ({acme.pk})" list="instances"' in text_of(operator.get("/app/events", {"instance": acme.pk}))
    assert 'value="cme" list="instances"' in text_of(operator.get("/app/events", {"instance": "cme"}))


def test_an_instance_that_there_is_not_is_said_beside_the_field(
    instances: dict[str, Instance], operator: Client, other_tenant: Tenant
) -> None:
    stranger = sign_in("stranger", other_tenant.organization)
    for client, text in ((operator, "Initech"), (operator, "999999"), (stranger, str(instances["Acme"].pk))):
        page = text_of(client.get("/app/events", {"instance": text}))
        assert "No instance is called so, or has this id." in page
        assert 'aria-describedby="instance_error"' in page
        assert "contacts/" not in page
