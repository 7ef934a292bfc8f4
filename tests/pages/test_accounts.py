"""Who may see the pages, and who may change things."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from instances.accounts import first_start_code
from instances.models import Membership, Organization, Role
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of

PASSWORD = "a long enough password"
FIRST = {"username": "ada", "password": PASSWORD, "organization": "Acme"}


@pytest.mark.django_db
def test_without_any_account_the_way_leads_to_the_first_start(client: Client) -> None:
    answer = client.get("/", follow=True)
    assert [url for url, _ in answer.redirect_chain] == ["/app/signin?next=/", "/app/start"]
    assert "Nobody can sign in here yet" in text_of(answer)


@pytest.mark.django_db
def test_the_first_account_takes_the_code(client: Client) -> None:
    answer = client.post("/app/start", FIRST | {"code": "a guess"})
    assert "This is not the code" in text_of(answer)
    assert 'value="ada"' in text_of(answer)
    assert not User.objects.exists()


@pytest.mark.django_db
def test_the_first_account_operates_its_organization(client: Client) -> None:
    answer = client.post("/app/start", FIRST | {"code": first_start_code()}, follow=True)
    assert answer.redirect_chain == [("/", 302)]
    membership = Membership.objects.get(account__username="ada")
    assert (membership.organization.name, membership.role) == ("Acme", Role.OPERATOR)


@pytest.mark.django_db
def test_a_weak_password_is_refused_beside_its_field(client: Client) -> None:
    answer = client.post("/app/start", FIRST | {"code": first_start_code(), "password": "ada"})
    assert 'id="id_password_error"' in text_of(answer)


@pytest.mark.django_db
def test_the_code_is_of_no_use_once_an_account_exists(client: Client, operator: Client) -> None:
    answer = client.post("/app/start", FIRST | {"code": first_start_code()})
    assert answer.headers["Location"] == "/app/signin"
    assert User.objects.count() == 1


def test_signing_in_and_out(operator: Client) -> None:
    client = Client()
    answer = client.post("/app/signin", {"username": "olga", "password": PASSWORD, "next": "/"})
    assert answer.headers["Location"] == "/"
    client.post("/app/signout")
    assert client.get("/").headers["Location"] == "/app/signin?next=/"


def test_a_part_asked_for_after_the_session_ended_has_the_page_reloaded(viewer: Client) -> None:
    viewer.logout()
    answer = viewer.get("/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Refresh"]) == (401, "true")
    assert "Sign in" not in text_of(answer)


def test_a_wrong_password_says_so_and_keeps_the_name(operator: Client) -> None:
    answer = text_of(Client().post("/app/signin", {"username": "olga", "password": "wrong"}))
    assert "don't match" in answer.replace("&#x27;", "'")
    assert 'value="olga"' in answer


def test_a_person_changes_the_password(viewer: Client) -> None:
    new = "another long enough password"
    sent = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    answer = viewer.post("/app/password", sent, follow=True)
    assert "Your password is changed" in text_of(answer)
    assert User.objects.get(username="victor").check_password(new)


def test_a_password_that_is_not_the_present_one_changes_nothing(viewer: Client) -> None:
    sent = {"old_password": "wrong", "new_password1": "a b c d e f 1", "new_password2": "a b c d e f 1"}
    assert 'id="id_old_password_error"' in text_of(viewer.post("/app/password", sent))
    assert User.objects.get(username="victor").check_password(PASSWORD)


@pytest.mark.django_db
def test_someone_without_an_organization_reads_what_to_do(client: Client) -> None:
    client.force_login(User.objects.create_superuser("root", password=PASSWORD))
    answer = client.get("/")
    assert answer.status_code == 403
    assert "add yourself to one" in text_of(answer)


def test_the_organization_can_be_chosen(tenant: Tenant, other_tenant: Tenant) -> None:
    client = sign_in("two", tenant.organization, other_tenant.organization)
    client.post("/app/organization", {"organization": other_tenant.organization.pk})
    assert f'<option value="{other_tenant.organization.pk}" selected>' in text_of(client.get("/"))


def test_an_organization_of_others_can_not_be_chosen(operator: Client, other_tenant: Tenant) -> None:
    operator.post("/app/organization", {"organization": other_tenant.organization.pk})
    assert "Beta" not in text_of(operator.get("/"))


def test_people_shows_those_of_the_organization_with_their_roles(
    operator: Client, viewer: Client, tenant: Tenant, other_tenant: Tenant
) -> None:
    sign_in("stranger", other_tenant.organization)
    html = text_of(viewer.get("/app/people"))
    assert "olga" in html
    assert "victor" in html
    assert sorted(re.findall(r'data-label="Role">\s*<span>(\w+)', html)) == ["operator", "viewer"]
    assert "stranger" not in html
    assert "/admin/" not in html


def test_an_administrator_is_led_to_accounts_and_roles(organization: Organization, operator: Client) -> None:
    User.objects.update(is_superuser=True, is_staff=True)
    html = text_of(operator.get("/app/people"))
    assert f"/admin/instances/organization/{organization.pk}/change/" in html
    assert operator.get(f"/admin/instances/organization/{organization.pk}/change/").status_code == 200


def test_nothing_inline_and_nothing_from_elsewhere(operator: Client) -> None:
    answer = operator.get("/")
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]
    html = text_of(answer)
    assert " style=" not in html
    assert "onclick" not in html


def test_a_missing_page_answers_in_words(operator: Client, organization: Organization) -> None:
    answer = operator.get("/app/nothing")
    assert answer.status_code == 404
    assert "There is nothing here" in text_of(answer)
