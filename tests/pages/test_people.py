"""The page *People*, and what operators change there; who leaves by themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from cwconnect.core.errors import ConflictError
from instances import memberships
from instances.credentials.limits import Limits
from instances.credentials.user_secrets import create_whole_key
from instances.invitations import MOST_OPEN, invite
from instances.models import ApiUser, AuditEntry, Invitation, Membership, Organization, Role
from tests.conftest import Tenant, make_tenant
from tests.pages.conftest import sign_in, text_of
from tests.pages.mail import link_in, mail_server

pytestmark = pytest.mark.django_db
WEEK = timedelta(days=7)


def of(name: str) -> Membership:
    return Membership.objects.select_related("account", "organization").get(account__username=name)


def entry() -> tuple[str, str, Any]:
    """Return the newest entry of the audit log: action, subject, details."""
    newest = AuditEntry.objects.order_by("-pk")[0]
    return newest.action, newest.subject, newest.details


def changing(tenant: Tenant) -> dict[str, str]:
    """Return the routes that change something, about what is the organization's own."""
    invitation, _ = invite(tenant.organization, role=Role.VIEWER, email="", now=timezone.now(), good_for=WEEK)
    other = User.objects.create_user("otto")
    membership = Membership.objects.create(account=other, organization=tenant.organization)
    return {
        "invite": "/app/people/invite",
        "revoke the invitation": f"/app/people/invitations/{invitation.pk}/revoke",
        "change the role": f"/app/people/{membership.pk}/role",
        "remove": f"/app/people/{membership.pk}/remove",
        "make a key": "/app/keys/new",
        "revoke a key": f"/app/keys/{tenant.user.pk}/revoke",
    }


BODY = {"role": "operator", "days": "30", "name": "bob", "scope": "manage"}


def everything() -> str:
    return str([*Membership.objects.values(), *Invitation.objects.values(), *ApiUser.objects.values()])


def test_who_may_change_people_and_keys(tenant: Tenant, other_tenant: Tenant, viewer: Client) -> None:
    routes = changing(tenant)
    stranger, before = sign_in("eve", other_tenant.organization), everything()
    own = {"invite", "make a key"}  # of whoever asks
    for name, path in routes.items():
        assert viewer.post(path, BODY).status_code == 403, name
        assert Client().post(path, BODY).headers["Location"].startswith("/app/signin"), name
        assert name in own or stranger.post(path, BODY).status_code == 404, name
        assert name in own or stranger.get(path).status_code in (404, 405), name
    assert everything() == before
    operator = sign_in("olga", tenant.organization)
    assert {
        name: status for name, path in routes.items() if (status := operator.post(path, BODY).status_code) >= 400
    } == {}


def test_nothing_is_changed_without_the_token_against_forged_requests(tenant: Tenant, operator: Client) -> None:
    routes, before = changing(tenant), everything()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    paths = [*routes.values(), "/app/people/leave", "/app/join", "/app/password/new", "/app/address"]
    assert {path: strict.post(path, BODY).status_code for path in paths} == dict.fromkeys(paths, 403)
    assert everything() == before


def test_an_operator_sees_whom_to_make_what_and_who_is_invited(
    operator: Client, viewer: Client, tenant: Tenant
) -> None:
    invite(tenant.organization, role=Role.VIEWER, email="ida@example.com", now=timezone.now(), good_for=WEEK)
    shown = text_of(operator.get("/app/people"))
    for words in ("victor", "Make an operator", "Remove", "Invite a viewer", "ida@example.com"):
        assert words in shown
    seen = text_of(viewer.get("/app/people"))
    assert "olga" in seen
    for words in ("Make an operator", "Remove", "Invite", "ida@example.com"):
        assert words not in seen


def test_without_mail_the_link_is_shown_once_and_stored_nowhere(operator: Client, tenant: Tenant) -> None:
    shown = text_of(operator.post("/app/people/invite", {"role": "viewer", "days": "7"}))
    address, code = link_in(shown)
    assert address == "http://testserver/app/join"
    invitation = Invitation.objects.get()
    assert (invitation.role, invitation.made_by, invitation.email) == ("viewer", "account olga", "")
    assert code not in str([*Invitation.objects.values(), *AuditEntry.objects.values()])
    assert code not in text_of(operator.get("/app/people"))
    assert entry()[:2] == ("person invited", f"invitation {invitation.pk}")


def test_with_mail_it_is_sent_and_its_address_is_the_public_one(operator: Client, settings: Any) -> None:
    with mail_server(settings) as server:
        settings.ALLOWED_HOSTS = ["*"]
        sent = {"role": "operator", "days": "1", "email": "ida@example.com"}
        answer = operator.post("/app/people/invite", sent, follow=True, headers={"Host": "evil.example"})
        ((subject, text),) = server.texts()
    assert "on its way to ida@example.com" in text_of(answer)
    assert "Alpha" in subject
    address, code = link_in(text)
    assert address == "https://cw.example.com/app/join"
    assert code not in text_of(answer)
    assert "evil" not in server.mails[0]


def test_a_mail_that_is_not_taken_leaves_the_link_to_hand_over(operator: Client, settings: Any) -> None:
    with mail_server(settings) as server:
        server.refuses = True
        shown = text_of(
            operator.post("/app/people/invite", {"role": "viewer", "days": "7", "email": "ida@example.com"})
        )
    assert "No mail was sent to ida@example.com" in shown
    assert link_in(shown)[0] == "https://cw.example.com/app/join"


def test_mail_to_strangers_is_braked(operator: Client, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("instances.guesses").guesses.FREE, "invited by mail", 3)
    with mail_server(settings) as server:
        sent = {"role": "viewer", "days": "7", "email": "ida@example.com"}
        statuses = [operator.post("/app/people/invite", sent).status_code for _ in range(5)]
    assert statuses == [302] * 3 + [429] * 2
    assert len(server.mails) == 3


def test_an_organization_has_so_many_open_invitations(operator: Client, tenant: Tenant) -> None:
    now = timezone.now()
    Invitation.objects.bulk_create(
        Invitation(organization=tenant.organization, code_hash=str(n), expires_at=now + WEEK) for n in range(MOST_OPEN)
    )
    answer = operator.post("/app/people/invite", {"role": "viewer", "days": "7"}, follow=True)
    assert "100 invitations are open already" in text_of(answer)
    Invitation.objects.update(expires_at=now - timedelta(days=31))
    assert link_in(text_of(operator.post("/app/people/invite", {"role": "viewer", "days": "7"})))
    assert Invitation.objects.count() == 1


@pytest.mark.parametrize("wrong", [{"role": "admin"}, {"days": "1000"}, {"email": "no address"}, {"role": ""}])
def test_what_is_no_invitation_is_refused(operator: Client, wrong: dict[str, str]) -> None:
    answer = operator.post("/app/people/invite", {"role": "viewer", "days": "7"} | wrong)
    assert answer.status_code == 422
    assert not Invitation.objects.exists()


def test_a_role_is_changed_after_a_question(operator: Client, viewer: Client) -> None:
    path = f"/app/people/{of('victor').pk}/role"
    assert "Make victor an operator?" in text_of(operator.get(path))
    assert "victor is operator now" in text_of(operator.post(path, {"role": "operator"}, follow=True))
    assert viewer.get("/app/instances/new").status_code == 200
    assert entry() == ("role changed", "account victor", {"role": ["viewer", "operator"]})
    operator.post(path, {"role": "superuser"})
    assert of("victor").role == "operator"


def test_somebody_removed_loses_the_pages_at_once(operator: Client, viewer: Client, tenant: Tenant) -> None:
    create_whole_key(tenant.organization, "victor", Limits())
    path = f"/app/people/{of('victor').pk}/remove"
    asked = text_of(operator.get(path))
    assert "Remove victor?" in asked
    assert "API keys go on" in asked
    operator.post(path)
    assert viewer.get("/").status_code == 403
    assert viewer.get("/app/people").status_code == 403
    assert entry()[:2] == ("person removed", "account victor")
    assert User.objects.filter(username="victor", is_active=True).exists()


def test_a_viewer_may_leave(viewer: Client, operator: Client) -> None:
    assert "Leave Alpha?" in text_of(viewer.get("/app/people/leave"))
    viewer.post("/app/people/leave")
    assert viewer.get("/").status_code == 403
    assert entry()[:2] == ("person left", "account victor")


def lone(client: Client) -> list[tuple[str, dict[str, str]]]:
    own = of("olga").pk
    return [
        (f"/app/people/{own}/role", {"role": "viewer"}),
        (f"/app/people/{own}/remove", {}),
        ("/app/people/leave", {}),
    ]


@pytest.mark.parametrize("other", [None, "a viewer", "deactivated", "of another organization"])
def test_the_last_operator_stays(operator: Client, organization: Organization, other: str | None) -> None:
    if other is not None:
        elsewhere = Organization.objects.create(name="Beta") if other == "of another organization" else organization
        sign_in("otto", elsewhere, role=Role.VIEWER if other == "a viewer" else Role.OPERATOR)
        User.objects.filter(username="otto").update(is_active=other != "deactivated")
    for path, body in lone(operator):
        assert "somebody has to be one" in text_of(operator.get(path))
        assert "somebody has to be one" in text_of(operator.post(path, body, follow=True))
    assert of("olga").role == Role.OPERATOR


def test_one_of_two_operators_may_go(operator: Client, organization: Organization) -> None:
    sign_in("otto", organization)
    operator.post("/app/people/leave")
    assert not Membership.objects.filter(account__username="olga").exists()


def test_a_deactivated_operator_can_be_removed_by_the_last(operator: Client, organization: Organization) -> None:
    sign_in("otto", organization)
    User.objects.filter(username="otto").update(is_active=False)
    operator.post(f"/app/people/{of('otto').pk}/remove")
    assert not Membership.objects.filter(account__username="otto").exists()


def _at_once(*acts: Callable[[], None]) -> list[str]:
    """Do these in threads of their own that begin together; return what each was refused with."""
    barrier, refused = Barrier(len(acts)), list[str]()

    def run(act: Callable[[], None]) -> None:
        barrier.wait()
        try:
            act()
        except ConflictError as error:
            refused.append(error.message)
        finally:
            connection.close()

    threads = [Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return refused


def test_what_was_true_when_the_page_was_shown_does_not_count(organization: Organization) -> None:
    for name in ("olga", "otto"):
        sign_in(name, organization)
    olga, otto = of("olga"), of("otto")
    memberships.remove(olga)
    with pytest.raises(ConflictError):
        memberships.change_role(otto, Role.VIEWER)
    assert of("otto").role == Role.OPERATOR


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_of_two_operators_who_go_at_one_time_one_stays() -> None:
    organization = make_tenant("Alpha").organization
    for name in ("olga", "otto"):
        sign_in(name, organization)
    olga, otto = of("olga"), of("otto")
    refused = _at_once(
        lambda: memberships.remove(olga, leaves=True), lambda: memberships.change_role(otto, Role.VIEWER)
    )
    assert len(refused) == 1
    assert Membership.objects.filter(role=Role.OPERATOR).count() == 1


def test_no_operator_gets_rights_of_django(operator: Client, viewer: Client) -> None:
    operator.post(f"/app/people/{of('victor').pk}/role", {"role": "operator", "is_staff": "on", "is_superuser": "on"})
    assert not User.objects.filter(is_staff=True).exists()
    assert not User.objects.filter(is_superuser=True).exists()
