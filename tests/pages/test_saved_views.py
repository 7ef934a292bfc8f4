"""Saved views: one's own, viewers' too, and nobody else's."""

from __future__ import annotations

import html

import pytest
from django.test import Client

from instances.models import Membership, Organization, SavedView
from instances.saved_views import MOST_VIEWS
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of
from tests.support.page_rows import add_instances

pytestmark = pytest.mark.django_db
SAVE = "/app/views/save"


@pytest.fixture(autouse=True)
def _some(organization: Organization) -> None:
    add_instances(organization, 2)


def save(client: Client, name: str = "East", query: str = "tag=east&sort=-lag", page: str = "instances") -> str:
    """Save a view; return what the page says then."""
    return text_of(client.post(SAVE, {"name": name, "query": query, "page": page}, follow=True))


def test_a_view_is_saved_opened_and_removed(operator: Client) -> None:
    said = html.unescape(save(operator, query="tag=east&sort=-lag&page=7&q="))
    assert "Saved as “East”" in said
    assert '<a href="?tag=east&sort=-lag" aria-current="true"><bdi>East</bdi></a>' in said
    assert 'aria-current="true"><bdi>East' not in text_of(operator.get("/app/instances"))
    view = SavedView.objects.get()
    said = text_of(operator.post(f"/app/views/{view.pk}/remove", follow=True))
    assert "The view “East” is removed." in said
    assert not SavedView.objects.exists()


@pytest.mark.parametrize(("page", "query"), [("events", "kind=DELETED"), ("deliveries", "resource=contacts")])
def test_events_and_deliveries_have_views_of_their_own(operator: Client, page: str, query: str) -> None:
    said = html.unescape(save(operator, query=f"{query}&before=7", page=page))
    assert f'<a href="?{query}" aria-current="true"><bdi>East</bdi></a>' in said
    assert "East" in text_of(operator.get(f"/app/{page}"))
    assert "East" not in text_of(operator.get("/app/instances"))


def test_it_can_be_saved_where_something_narrows_the_list(operator: Client) -> None:
    assert "Save this view" not in text_of(operator.get("/app/instances"))
    page = html.unescape(text_of(operator.get("/app/instances?state=needs+you&page=2")))
    assert '<input type="hidden" name="query" value="state=needs+you">' in page
    assert "Nothing narrows the list" in save(operator, query="page=3")


def test_a_name_that_is_there_takes_the_new_query(operator: Client) -> None:
    save(operator)
    save(operator, query="state=off")
    assert SavedView.objects.get().query == "state=off"


@pytest.mark.parametrize(
    ("name", "query", "why"),
    [
        ("  ", "state=off", "A view needs a name."),
        ("x" * 61, "state=off", "longer than 60"),
        ("a\u202eb", "state=off", "The name holds"),
        ("long", "q=" + "x" * 2001, "It is too long."),
    ],
)
def test_what_cannot_be_saved_says_why(operator: Client, name: str, query: str, why: str) -> None:
    assert why in save(operator, name=name, query=query)
    assert not SavedView.objects.exists()


def test_there_is_an_end_to_them(operator: Client) -> None:
    for number in range(MOST_VIEWS):
        save(operator, name=f"view {number}")
    assert "remove one first" in save(operator, name="one more")
    assert "Saved as" in save(operator, name="view 3")


def test_a_viewer_has_views_and_nobody_sees_or_removes_anothers(
    viewer: Client, operator: Client, organization: Organization, other_tenant: Tenant
) -> None:
    save(viewer, name="mine")
    view = SavedView.objects.get()
    assert "mine" not in text_of(operator.get("/app/instances"))
    assert operator.post(f"/app/views/{view.pk}/remove").status_code == 404
    assert Client().post(f"/app/views/{view.pk}/remove").status_code == 302
    assert SavedView.objects.exists()
    account = view.account
    Membership.objects.filter(account=account).update(organization=other_tenant.organization)
    assert "mine" not in text_of(viewer.get("/app/instances")), "it is of one organization"
    assert viewer.post(SAVE, {"name": "x", "query": "a=b", "page": "no such list"}).status_code == 404
    assert viewer.get(SAVE).status_code == 405


def test_who_belongs_nowhere_saves_nothing() -> None:
    nobody = sign_in("nora")
    assert nobody.post(SAVE, {"name": "x", "query": "a=b", "page": "instances"}).status_code == 404
