"""Attacks on tenancy and sign-in: every route there is, tried with every identity that must not get in.

Routes are read from the site itself, so that a new one is tried from its first day. The victim's organization has an
instance, a poll, an event, a notification; their names and texts hold a word that no answer to an attacker may hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.urls import resolve, reverse

from instances.models import Membership, Role
from instances.secrets import hash_token
from tests.conftest import Tenant
from tests.support.page_views import body_of
from tests.support.required import lengthy
from tests.support.routes import routes
from tests.support.victim import WORD, Victim

OPEN = {
    "healthz",
    "readyz",
    "metrics",
    "api-docs",
    "api-docs-tag",
    "schema",
    "connectwise-callback",
    *("help-home", "help-document", "help-file"),  # the documents
}  # for anybody, or behind a token of their own
PAGES_FOR_ALL = {"signin", "signout", "first-start", "forgot-password", "new-password", "join", "account_login"} | {
    "sign-in-by-issuer",
    "back-from-issuer",
    *("mfa_authenticate", "mfa_login_webauthn"),  # a sign-in's steps
}
OF_MEMBERSHIPS = {"change-role", "remove-person"}  # the instance's number may be one's own membership's there
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD")
REFUSED = {400, 401, 403, 404, 405, 415, 422, 428}


@dataclass(frozen=True)
class Route:
    """A route of the site and the names of its arguments."""

    name: str
    arguments: tuple[str, ...]
    is_page: bool

    def url(self, victim: Victim) -> str:
        return reverse(self.name, kwargs={name: victim.arguments[name] for name in self.arguments})


def walk() -> Iterator[Route]:
    for path, pattern in routes():
        if pattern.name and pattern.name not in OPEN | PAGES_FOR_ALL:
            names = (*pattern.pattern.converters, *pattern.pattern.regex.groupindex)
            yield Route(pattern.name, tuple(dict.fromkeys(names)), not path or path.startswith("app/"))


ROUTES = list(walk())
API = [route for route in ROUTES if not route.is_page]
PAGES = [route for route in ROUTES if route.is_page]


def own_methods(url: str) -> tuple[str, ...]:
    """Return the methods that a route of the API does something for; to all others a view has the same answer."""
    view = resolve(url).func.cls  # type: ignore[attr-defined]  # of REST framework
    return tuple(method for method in METHODS if hasattr(view, method.lower()) and method != "OPTIONS")


def attempts(
    tried: list[Route], victim: Victim, methods: Callable[[str], Sequence[str]] = lambda _: METHODS, **client: Any
) -> Iterator[tuple[str, str, Any]]:
    """Try every method of these routes, or those that `methods` names of a URL; give method, URL and answer."""
    sender = Client(raise_request_exception=False, **client)
    for route in tried:
        url = route.url(victim)
        for method in methods(url):
            sender.cookies.clear()
            cache.clear()  # each is the first of its kind: after many, even a right one would be answered 429
            yield method, url, sender.generic(method, url, "{}", content_type="application/json")


def identities(victim: Victim, attacker: Tenant) -> dict[str, str]:
    """Authorization headers that are nobody's."""
    mine, theirs = attacker, victim.tenant
    return {
        "empty": "",
        "my user alone": f"User {mine.user_secret}",
        "their token alone": f"Element {victim.token}",
        "my user, their organization": f"User {mine.user_secret}, Organization {theirs.organization_secret}",
        "their user, my organization": f"User {theirs.user_secret}, Organization {mine.organization_secret}",
        "my user, their token": f"User {mine.user_secret}, Element {victim.token}",
        "all three, of two": (
            f"User {mine.user_secret}, Organization {mine.organization_secret}, Element {victim.token}"
        ),
        "their user, a guessed token": f"User {theirs.user_secret}, Element {'A' * 43}=",
        "the parts swapped": f"User {theirs.organization_secret}, Organization {theirs.user_secret}",
        "the stored hashes": (
            f"User {hash_token(theirs.user_secret)}, Organization {hash_token(theirs.organization_secret)}"
        ),
        "another case": f"User {theirs.user_secret.swapcase()}, Organization {theirs.organization_secret}",
        "cut short": f"User {theirs.user_secret[:-2]}, Organization {theirs.organization_secret}",
        "a part twice": f"User {mine.user_secret}, {theirs.auth}",
        "a quote": "User ' OR 1=1 --, Organization ' OR 1=1 --",
        "a NUL": f"User {theirs.user_secret}\x00, Organization {theirs.organization_secret}",
        "Basic": "Basic YWRtaW46YWRtaW4=",
        "Bearer": f"Bearer {theirs.user_secret}",
        "null": "User null, Organization null",
        "very long": "User " + "A" * 100_000,
    }


NAMES = [
    *("empty", "my user alone", "their token alone", "my user, their organization", "their user, my organization"),
    *("my user, their token", "all three, of two", "their user, a guessed token", "the parts swapped"),
    *("the stored hashes", "another case", "cut short", "a part twice", "a quote", "a NUL", "Basic", "Bearer"),
    *("null", "very long"),
]


def test_the_table_is_long_enough_and_names_every_identity(victim: Victim, other_tenant: Tenant) -> None:
    assert list(identities(victim, other_tenant)) == NAMES
    assert len(API) * len(NAMES) > 80
    assert len(PAGES) > 20


# By every method there is: one that is refused unread, and one after all look-ups. The others try what is answered.
BY_EVERY_METHOD = ("empty", "their user, a guessed token")


@lengthy
@pytest.mark.parametrize("name", NAMES)
def test_nobody_gets_into_the_api(victim: Victim, other_tenant: Tenant, name: str) -> None:
    before = victim.snapshot()
    header = identities(victim, other_tenant)[name]
    methods = {} if name in BY_EVERY_METHOD else {"methods": own_methods}
    tried = [
        (method, url, answer.status_code)
        for method, url, answer in attempts(API, victim, headers={"Authorization": header}, **methods)
    ]
    assert {url for _, url, _ in tried} == {route.url(victim) for route in API}
    assert [each for each in tried if each[2] != 401] == []
    assert victim.snapshot() == before


def test_another_organization_sees_and_changes_nothing(victim: Victim, other_tenant: Tenant) -> None:
    before = victim.snapshot()
    for method, url, answer in attempts(API, victim, headers={"Authorization": other_tenant.auth}):
        assert WORD not in body_of(answer).decode(), (method, url)
        if str(victim.instance.pk) in url.split("/") and method != "OPTIONS":
            assert answer.status_code in REFUSED, (method, url, answer.status_code)
    assert victim.snapshot() == before


@pytest.mark.parametrize("trick", ["/elements/api-v2", "//", "/./", "/%2e/", "/app/..", "/admin/.."])
def test_no_spelling_of_a_path_gets_around_sign_in(victim: Victim, trick: str) -> None:
    for path in (f"/instances/{victim.instance.pk}", "/v1/events", f"/app/instances/{victim.instance.pk}"):
        answer = Client(raise_request_exception=False).get(trick + path)
        assert answer.status_code in (301, 302, 400, 401, 403, 404), (trick, path)
        assert WORD not in answer.content.decode()


@pytest.mark.parametrize(
    "header",
    [
        *("X-Forwarded-User", "Remote-User", "X-Remote-User", "X-Original-URL", "X-Rewrite-Url"),
        *("X-HTTP-Method-Override", "X-Forwarded-Host", "X-Real-IP"),
    ],
)
def test_no_header_stands_in_for_a_sign_in(victim: Victim, header: str) -> None:
    for value in ("admin", f"/instances/{victim.instance.pk}", "127.0.0.1"):
        for path in (f"/instances/{victim.instance.pk}", f"/app/instances/{victim.instance.pk}", "/admin/"):
            answer = Client(raise_request_exception=False).get(path, headers={header: value})
            assert answer.status_code in (302, 401)
            assert WORD not in answer.content.decode()


def person(*organizations: Any, role: str = Role.OPERATOR) -> Client:
    account = User.objects.create_user("eve", password="a long enough password")
    for organization in organizations:
        Membership.objects.create(account=account, organization=organization, role=role)
    client = Client(raise_request_exception=False)
    client.force_login(account)
    return client


def test_pages_send_whoever_is_not_signed_in_to_the_sign_in(victim: Victim) -> None:
    before = victim.snapshot()
    for method, url, answer in attempts(PAGES, victim):
        assert answer.status_code in (302, 405), (method, url, answer.status_code)
        assert WORD not in body_of(answer).decode(), (method, url)
    assert victim.snapshot() == before


@pytest.mark.parametrize("role", Role.values)
def test_a_person_of_another_organization_sees_and_changes_nothing(
    victim: Victim, other_tenant: Tenant, role: str
) -> None:
    before, client = victim.snapshot(), person(other_tenant.organization, role=role)
    for route in PAGES:
        for method in ("GET", "POST"):
            answer = client.generic(method, route.url(victim))
            assert WORD not in body_of(answer).decode(), (method, route)
            if "number" in route.arguments and route.name not in OF_MEMBERSHIPS:
                assert answer.status_code in (403, 404, 405), (method, route, answer.status_code)
    assert victim.snapshot() == before


# Which of one's organizations is looked at or left, one's own password, address, sessions and views of lists.
ONES_OWN = (
    *(
        "choose-organization",
        "leave",
        "password",
        "account_reauthenticate",
        "own-issuer",
        "own-address",
        "sessions",
        "end-session",
        "end-other-sessions",
    ),
    *("save-view", "remove-view"),
    *("mfa_index", "mfa_activate_totp", "mfa_deactivate_totp", "mfa_add_webauthn", "mfa_edit_webauthn"),
    *("mfa_remove_webauthn", "mfa_view_recovery_codes", "mfa_generate_recovery_codes"),
    *("mfa_reauthenticate", "mfa_reauthenticate_webauthn"),
)


def test_a_viewer_changes_nothing(victim: Victim) -> None:
    before, client = victim.snapshot(), person(victim.tenant.organization, role=Role.VIEWER)
    for route in PAGES:
        if route.name not in ONES_OWN:
            answer = client.post(route.url(victim))
            assert answer.status_code in (403, 404, 405), (route, answer.status_code)
    assert victim.snapshot() == before


def test_a_person_without_an_organization_sees_nothing(victim: Victim) -> None:
    client = person()
    for route in PAGES:
        if route.name not in ONES_OWN:
            answer = client.get(route.url(victim))
            assert answer.status_code in (403, 405), (route, answer.status_code)


def test_an_operator_is_no_administrator(victim: Victim) -> None:
    client = person(victim.tenant.organization)
    for path in ("/admin/", "/admin/auth/user/", "/admin/instances/auditentry/", "/admin/axes/accessattempt/"):
        assert client.get(path).status_code == 302
