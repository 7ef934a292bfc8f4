"""Whoever must have a second factor and has none passes nowhere: every route of the site, as each kind of request."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from instances.factors.rule import concerned, stricter
from instances.models import AuditEntry, FactorSecret, Membership, Organization, Role, SecondFactor
from instances.pages.second_factor_gate import OPEN, SET_UP
from tests.support.factors import code, confirm, give_app, give_recovery_codes
from tests.support.page_views import body_of
from tests.support.routes import filled, routes
from tests.support.victim import WORD, Victim

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough password"
API = "the API and probes: they ask for secrets of their own"


def somebody(organization: Organization, name: str = "ruth", role: str = Role.OPERATOR, **more: Any) -> User:
    account = User.objects.create_user(name, password=PASSWORD, **more)
    Membership.objects.create(account=account, organization=organization, role=role)
    return account


def session_of(account: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(account)
    return client


def closed_routes(victim: Victim) -> Iterator[str]:
    """Return a path for every page there is, the admin's too, but for those that stay open."""
    values = {**victim.arguments, "app_label": "auth", "object_id": 1, "content_type_id": 1, "url": "auth/x/"}
    for template, pattern in routes(of_admin=True):
        path = "/" + template.replace("^", "").replace("/?$", "").replace("$", "")
        is_page = template.startswith(("app/", "admin/")) or not template
        if is_page and pattern.name not in OPEN | {"login", "logout", "jsi18n"}:
            yield filled(path, lambda name: values.get(name, 1))


@pytest.mark.parametrize("how", ["GET", "POST", "htmx", "PUT"])
def test_nobody_passes_without_a_factor_who_must_have_one(victim: Victim, settings: Any, how: str) -> None:
    settings.SECOND_FACTOR = "everybody"
    client = session_of(somebody(victim.tenant.organization, is_staff=True, is_superuser=True))
    before, headers = victim.snapshot(), {"HX-Request": "true"} if how == "htmx" else {}
    paths = list(closed_routes(victim))
    assert len(paths) > 120
    for path in paths:
        answer = client.generic("GET" if how == "htmx" else how, path, headers=headers)
        assert WORD not in body_of(answer).decode(), path
        if how == "htmx":
            assert (answer.status_code, answer.headers["HX-Refresh"]) == (401, "true"), path
        else:
            assert (answer.status_code, answer.headers.get("Location")) == (302, reverse(SET_UP)), path
    assert victim.snapshot() == before


def test_what_stays_open_is_what_sets_one_up(victim: Victim, settings: Any) -> None:
    settings.SECOND_FACTOR = "everybody"
    client = session_of(somebody(victim.tenant.organization, is_staff=True, is_superuser=True))
    for name in OPEN - {
        "connectwise-callback",
        "metrics",
        "admin:jsi18n",
        "api-docs-tag",
        "help-document",
        "help-file",
    }:
        answer = client.get(reverse(name))
        assert WORD not in body_of(answer).decode(), name
    assert "You must have a second factor here" in client.get(reverse(SET_UP)).content.decode()


def test_the_api_goes_by_its_own_secrets(victim: Victim, settings: Any) -> None:
    settings.SECOND_FACTOR = "everybody"
    client = session_of(somebody(victim.tenant.organization))
    assert client.get("/v1/events").status_code == 401, API
    assert client.get("/v1/events", headers={"Authorization": victim.tenant.auth}).status_code == 200


def test_an_app_that_is_added_opens_the_pages_and_one_that_is_removed_closes_them(
    organization: Organization, settings: Any
) -> None:
    settings.SECOND_FACTOR = "operators"
    account = somebody(organization)
    client = session_of(account)
    assert client.get(reverse("people")).headers["Location"] == reverse(SET_UP)
    give_app(account)
    client = session_of(account)
    assert client.get(reverse("people")).status_code == 200
    confirm(client, PASSWORD)
    assert "led to add another" in client.get(reverse("mfa_deactivate_totp")).content.decode()
    client.post(reverse("mfa_deactivate_totp"))
    assert client.get(reverse("people")).headers["Location"] == reverse(SET_UP)


def test_recovery_codes_alone_are_no_factor(organization: Organization, settings: Any) -> None:
    settings.SECOND_FACTOR = "everybody"
    account = somebody(organization)
    give_recovery_codes(account)
    assert session_of(account).get(reverse("people")).headers["Location"] == reverse(SET_UP)


@pytest.mark.parametrize(
    ("service", "asked", "role", "staff", "must"),
    [
        ("optional", "optional", Role.OPERATOR, True, False),
        ("optional", "operators", Role.VIEWER, False, False),
        ("optional", "operators", Role.OPERATOR, False, True),
        ("optional", "everybody", Role.VIEWER, False, True),
        ("operators", "optional", Role.VIEWER, False, False),
        ("operators", "optional", Role.VIEWER, True, True),
        ("operators", "optional", Role.OPERATOR, False, True),
        ("operators", "everybody", Role.VIEWER, False, True),
        ("everybody", "optional", Role.VIEWER, False, True),
    ],
)
def test_who_must_have_one(
    organization: Organization, settings: Any, service: str, asked: str, role: str, staff: bool, must: bool
) -> None:
    settings.SECOND_FACTOR = service
    Organization.objects.filter(pk=organization.pk).update(second_factor=asked)
    answer = session_of(somebody(organization, role=role, is_staff=staff)).get(reverse("people"))
    assert answer.status_code == (302 if must else 200)


def test_each_pair_of_asking_has_the_stricter() -> None:
    order = [*SecondFactor.values]
    assert [stricter(one, other) for one in order for other in order] == [
        *("optional", "operators", "everybody"),
        *("operators", "operators", "everybody"),
        *("everybody", "everybody", "everybody"),
    ]


def test_an_organization_elsewhere_that_asks_counts_everywhere(organization: Organization, settings: Any) -> None:
    account = somebody(organization)
    strict = Organization.objects.create(name="Strict", second_factor="everybody")
    Membership.objects.create(account=account, organization=strict, role=Role.VIEWER)
    assert session_of(account).get(reverse("people")).headers["Location"] == reverse(SET_UP)


def test_operators_ask_for_it_on_people_and_see_who_has_none(organization: Organization) -> None:
    ruth = somebody(organization)
    somebody(organization, "bea", Role.VIEWER)
    give_app(ruth)
    client = session_of(ruth)
    viewer = session_of(somebody(organization, "victor", Role.VIEWER))
    url = reverse("require-second-factor")
    assert viewer.post(url, {"second_factor": "everybody"}).status_code == 403
    assert client.post(url, {"second_factor": "nonsense"}).status_code == 302
    assert client.post(url, {"second_factor": "everybody"}).status_code == 302
    shown = " ".join(client.get(reverse("people")).content.decode().split())
    assert "3 people must have one; 2 people without one yet (<bdi>bea, victor</bdi>)" in shown
    assert viewer.get(reverse("people")).headers["Location"] == reverse(SET_UP)
    entry = AuditEntry.objects.get(action="second factor required")
    assert (entry.details, entry.actor) == ({"second_factor": ["optional", "everybody"]}, "account ruth")
    organization.refresh_from_db()
    assert concerned(organization).without == ("bea", "victor")


def let_in(*arguments: str) -> str:
    out = StringIO()
    call_command("let_in", *arguments, stdout=out)
    return out.getvalue()


def test_break_glass_gives_a_link_that_is_good_once(organization: Organization) -> None:
    account = somebody(organization)
    give_app(account)
    give_recovery_codes(account)
    session = session_of(account)
    printed = let_in("ruth", "--without-factors")
    assert not Authenticator.objects.exists()
    assert not FactorSecret.objects.exists()
    assert session.get(reverse("people")).status_code == 302
    path, _, key = next(line for line in printed.splitlines() if "#" in line).partition("#")
    assert path == reverse("new-password")
    given = {"code": key, "new_password1": "another long password", "new_password2": "another long password"}
    assert Client().post(path, given).status_code == 302
    assert Client().post(path, given).status_code == 422
    client = Client()
    client.post(reverse("signin"), {"username": "ruth", "password": "another long password"})
    assert client.get(reverse("people")).status_code == 200
    kinds = [*AuditEntry.objects.order_by("pk").values_list("action", "organization")]
    assert ("let in by a command", organization.pk) in kinds
    assert ("second factor removed", organization.pk) in kinds


def test_break_glass_leaves_factors_where_they_are_unless_asked(organization: Organization) -> None:
    account = somebody(organization)
    give_app(account)
    assert "--without-factors" in let_in("ruth")
    assert Authenticator.objects.count() == 1
    with pytest.raises(CommandError, match="nobody called nobody"):
        let_in("nobody")
    User.objects.update(is_active=False)
    with pytest.raises(CommandError, match="disabled"):
        let_in("ruth")


def test_the_admin_asks_for_the_second_step_too(organization: Organization) -> None:
    give_app(somebody(organization, is_staff=True, is_superuser=True))
    client = Client()
    form = {"username": "ruth", "password": PASSWORD, "next": "/admin/"}
    assert client.post("/admin/login/?next=/admin/", form).headers["Location"] == reverse("mfa_authenticate")
    assert client.get("/admin/").status_code == 302
    assert client.post(reverse("mfa_authenticate"), {"code": code()}).headers["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_deleting_an_account_takes_its_factors_along(organization: Organization) -> None:
    account = somebody(organization)
    give_app(account)
    account.delete()
    assert not Authenticator.objects.exists()
    assert not FactorSecret.objects.exists()
    assert not AuditEntry.objects.filter(action="second factor removed").exists()
