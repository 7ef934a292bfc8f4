"""Every form of the site, with nonsense in every field: what is wrong is said beside the field, and in a summary above.

The forms are found on the pages of the routes, so one that is added is tried too. The pattern is GOV.UK's: a summary
that takes the focus, each wrong field a link in it; a title that begins with "Error:"; what is folded is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.urls import reverse

from cwconnect.connectwise.catalogue import DEFAULT_RESOURCES
from cwconnect.sandbox import SandboxServer
from instances.models import Instance, Organization
from polling.delivery.first_subscriptions import first_subscription
from tests.api.test_table_of_answers import ExampleRows
from tests.conftest import Tenant
from tests.pages.conftest import sign_in
from tests.support.page_forms import Element, Form, Page
from tests.support.required import lengthy
from tests.support.routes import pages

pytestmark = pytest.mark.django_db
NONSENSE = ("", "nonsense " * 2500, "{", "2999-01-01T00:00")
# Pages with fields, as they are now: so that no page is missed because it could not be opened.
WITH_FIELDS = {
    *("new-instance", "instance-settings", "add-resource", "edit-resource", "delete-instance", "new-token"),
    *("poll-page", "password", "signin", "first-start", "add-alert-destination", "mute-alerts"),
    *("add-subscription", "edit-subscription"),
    *("copies-page", "people", "api-keys", "own-address", "join", "new-password", "account_reauthenticate"),
}


def takes_anything(page: str, control: Element) -> bool:
    """Return whether a field has nothing to be refused here: it is not chosen, or one of few that else mean the first.

    A bar above a list is no form in this sense: what it refuses is said in a message above the list.
    """
    resource, _, key = control.get("name").rpartition(".")
    unwatched = page == "new-instance" and key == "json" and resource not in DEFAULT_RESOURCES
    # Of a closed choice that is sent at once, what no page offers is refused by a message.
    elsewhere = (("mute-alerts", "until"), ("people", "second_factor"))
    not_chosen = unwatched or (page, control.get("name")) in elsewhere
    return not_chosen or page == "instances-page" or control.get("name") in ("from", "organization")


def complaints(page: Page) -> Iterator[str]:
    """Return what is wrong with how a page says what is wrong."""
    (title,), summaries = page.of_tag("title")[:1], page.of_class("summary")
    if not title.text.startswith("Error: "):
        yield f"the title is {title.text!r}"
    if len(summaries) != 1 or not {"data-focus", "tabindex"} <= summaries[0].attributes.keys():
        yield f"{len(summaries)} summaries, or one that takes no focus"
    links = [each for each in page.of_tag("a") if any(summary in each.around for summary in summaries)]
    for link in links:
        yield from _complaints_of(page, link)
    linked = {link.get("href").removeprefix("#") for link in links}
    for control in page.elements:
        if not control.get("aria-invalid"):
            continue
        group = [each for each in page.elements if each.get("name") == control.get("name")][:1]
        if not {control.get("id"), *(each.get("id") for each in group)} & linked:
            yield f"nothing leads to {control.get('id')}"
    described = " ".join(each.get("aria-describedby") for each in page.elements).split()
    for error in page.of_class("error"):
        if error.get("id") not in described:
            yield f"{error.text!r} belongs to no field"


def _complaints_of(page: Page, link: Element) -> Iterator[str]:
    field = page.by_id(link.get("href").removeprefix("#"))
    if field is None:
        yield f"{link.get('href')} leads nowhere"
        return
    if field.get("aria-invalid") != "true":
        yield f"{field.get('id')} is not marked"
    if field.hidden:
        yield f"{field.get('id')} is folded away"
    describing = " ".join(each.get("aria-describedby") for each in (field, *field.around)).split()
    said = [text.text for each in describing if (text := page.by_id(each)) and "error" in text.classes]
    beside = next(each for each in reversed(link.around) if each.tag == "li").text
    if not said or said[0] not in beside:
        yield f"beside {field.get('id')} stands {said}, and above {beside!r}"


@pytest.fixture
def world(tenant: Tenant, sandbox: SandboxServer) -> ExampleRows:
    """Rows for every page; an instance at rest, so that nothing is asked outside for long."""
    return ExampleRows(tenant, sandbox)


def visit(name: str, world: ExampleRows, person: Client) -> tuple[str, Client]:
    """Return a page's path, and who looks at it."""
    known: dict[str, Any] = {"number": world.watched.instance.pk, "poll": world.watched.poll.pk, "name": "contacts"}
    known["subscription"] = first_subscription(world.watched.instance).pk
    path = reverse(name, kwargs={each: known.get(each, 1) for each in dict(pages())[name].pattern.converters})
    return path, Client() if name in ("signin", "first-start") else person


def refused(person: Client, path: str, form: Form, control: Element) -> list[str] | None:
    """Send nonsense in one field, until it is refused; give what is wrong with how it is said, None if it never is."""
    for nonsense in NONSENSE:
        with transaction.atomic():
            answer = person.post(form.action or path, form.values() | {control.get("name"): nonsense})
            transaction.set_rollback(True)
        page = Page(answer.content.decode())
        if any(each.get("aria-invalid") and each.get("name") == control.get("name") for each in page.elements):
            return list(complaints(page))
    return None


@lengthy
@pytest.mark.parametrize("name", sorted(WITH_FIELDS))
def test_nonsense_in_any_field_is_said_beside_it_and_above(
    world: ExampleRows, organization: Organization, name: str
) -> None:
    person = sign_in("olga", organization)
    if name == "first-start":
        User.objects.all().delete()
    Instance.objects.update(events_enabled=False)
    path, person = visit(name, world, person)
    page = Page(person.get(path).content.decode())
    found = {
        f"{form.action} {name_of}": refused(person, path, form, control)
        for form in page.forms()
        # Boxes of one name, as those of the catalogue, are one field.
        for name_of, control in {control.get("name"): control for control in form.typed()}.items()
        if not takes_anything(name, control)
    }
    assert found, "the page has no field"
    assert {control: wrong for control, wrong in found.items() if wrong != []} == {}


def test_no_page_with_fields_is_forgotten(world: ExampleRows, organization: Organization) -> None:
    person = sign_in("olga", organization)
    with_fields = set()
    for name, _ in pages():
        path, who = visit(name, world, person)
        answer = who.get(path)
        if (
            answer.status_code == 200
            and not answer.streaming
            and any(
                not takes_anything(name, control)
                for form in Page(answer.content.decode()).forms()
                for control in form.typed()
            )
        ):
            with_fields.add(name)
    assert with_fields == WITH_FIELDS - {"first-start"}  # of which there is none once there is an account
