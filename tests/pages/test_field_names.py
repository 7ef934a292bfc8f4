"""Field names are offered where a poll is edited: those of the table, and with an instance those of ConnectWise too."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of, words_of
from tests.support.polled_instance import PolledInstance

pytestmark = pytest.mark.django_db
CUSTOM = {"id": 7, "caption": "Customer <b>", "type": "Text", "entryMethod": "EntryField", "value": "C1"}


def names_in(html: str) -> set[str]:
    """Return the names that a page offers, having seen that each list of them is one that a field refers to."""
    lists = set(re.findall(r'<datalist id="([^"]*field-names)"', html))
    assert lists <= set(re.findall(r'list="([^"]+)"', html))
    return set(re.findall(r'<option value="([^"]*)">', html))


def at(watched: PolledInstance, rest: str) -> str:
    return f"/app/instances/{watched.instance.pk}/resources/{rest}"


def test_without_an_instance_the_table_alone_is_offered(operator: Client) -> None:
    html = operator.get("/app/instances/new/options?name=contacts").content.decode()
    assert {"firstName", "company.id"} <= names_in(html)
    assert not {"company", "communicationItems"} & names_in(html)  # nothing can be asked of them
    assert "fields?" not in html
    assert html.count('list="contacts.field-names"') == 3  # the id and the two dates


@pytest.mark.parametrize("rest", ["edit/contacts", "add"])
def test_an_instances_own_fields_are_asked_for_when_they_are_wanted(
    watched: PolledInstance, operator: Client, rest: str
) -> None:
    before = len(watched.sandbox.store.requests)
    html = text_of(operator.get(at(watched, rest)))
    assert len(watched.sandbox.store.requests) == before
    (link,) = re.findall(r'hx-get="([^"]*/resources/fields[^"]*)"', html)
    watched.sandbox.store.change("contacts", 30, {"oddity": 1, "customFields": [CUSTOM]})
    shown = operator.get(link.replace("&amp;", "&") + ("" if "name=" in link else "&name=contacts"))
    assert {"firstName", "oddity", "_info.lastUpdated"} <= names_in(html + shown.content.decode())
    assert b"<b>" not in shown.content


def test_the_fields_are_those_of_the_list_that_the_poll_reads(watched: PolledInstance, operator: Client) -> None:
    poll = watched.instance.resource_polls.get()
    poll.name = "people-of-ours"
    poll.configuration = {"url": "/hubs/crm/contacts"}
    poll.save()
    assert "firstName" in operator.get(at(watched, "fields?name=people-of-ours")).content.decode()
    assert "is known yet" in words_of(operator.get(at(watched, "fields?name=no-such")).content.decode())


def test_where_connectwise_does_not_tell_the_usual_ones_are_shown_and_why(
    watched: PolledInstance, operator: Client
) -> None:
    watched.sandbox.store.fail_next(9, status=401)
    answer = operator.get(at(watched, "fields?name=contacts&id=x"))
    assert answer.status_code == 200
    words = words_of(answer.content.decode())
    assert "These are the usual fields" in words
    assert "answered 401" in words
    assert "firstName" in words


def test_what_another_organization_watches_does_not_exist(watched: PolledInstance, other_tenant: Tenant) -> None:
    before = len(watched.sandbox.store.requests)
    assert sign_in("stranger", other_tenant.organization).get(at(watched, "fields?name=contacts")).status_code == 404
    assert len(watched.sandbox.store.requests) == before
