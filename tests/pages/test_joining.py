"""Invitations accepted: by somebody new, by somebody known; once, in time, and by nobody who guesses."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from cwconnect.core.errors import ConflictError
from instances.invitations import invite, join_anew, join_as, revoke
from instances.models import AuditEntry, Invitation, Membership, Organization, Role
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse 7 battery"
NEW = {"username": "ida", "password": PASSWORD, "email": "ida@example.com"}


def invited(organization: Organization, role: str = Role.VIEWER, **options: Any) -> tuple[Invitation, str]:
    given: dict[str, Any] = {"email": "", "now": timezone.now(), "good_for": timedelta(days=7)}
    return invite(organization, role=role, **(given | options))


def with_code(code: str, client: Client | None = None) -> Client:
    """Open a link in a browser, as the page's script does."""
    client = client or Client()
    client.post("/app/join", {"code": code})
    return client


def test_somebody_new_chooses_name_and_password_and_is_in(tenant: Tenant) -> None:
    client = with_code(invited(tenant.organization)[1])
    assert "Join <bdi>Alpha" in client.get("/app/join").content.decode()
    answer = client.post("/app/join", NEW, follow=True)
    assert "Welcome to Alpha" in text_of(answer)
    account = User.objects.get(username="ida")
    assert account.check_password(PASSWORD)
    assert (account.email, account.is_staff, account.is_superuser) == ("ida@example.com", False, False)
    assert Membership.objects.get(account=account).role == Role.VIEWER
    assert not Invitation.objects.exists()
    entries = AuditEntry.objects.filter(organization=tenant.organization).order_by("-pk")
    assert ("person joined", "account ida") in [(entry.action, entry.actor) for entry in entries]


def test_somebody_known_signs_in_and_joins(tenant: Tenant, other_tenant: Tenant) -> None:
    sign_in("eve", other_tenant.organization)
    client = with_code(invited(tenant.organization, Role.OPERATOR)[1])
    client.post("/app/signin", {"username": "eve", "password": "a long enough password", "next": "/app/join"})
    assert "Join as eve" in text_of(client.get("/app/join"))
    assert "Welcome to Alpha" in text_of(client.post("/app/join", follow=True))
    assert Membership.objects.filter(account__username="eve").count() == 2
    assert "API keys of Alpha" in text_of(client.get("/app/keys"))


def test_a_member_gains_by_an_invitation_and_never_loses(operator: Client, viewer: Client, tenant: Tenant) -> None:
    for client, role in ((operator, Role.VIEWER), (viewer, Role.OPERATOR)):
        with_code(invited(tenant.organization, role)[1], client).post("/app/join")
    assert set(Membership.objects.values_list("role", flat=True)) == {Role.OPERATOR}


def test_an_invitation_is_good_once_until_it_ends_or_is_revoked(tenant: Tenant) -> None:
    now = timezone.now()
    used, revoked, ended = (invited(tenant.organization) for _ in range(3))
    with_code(used[1]).post("/app/join", NEW)
    revoke(revoked[0])
    Invitation.objects.filter(pk=ended[0].pk).update(expires_at=now)
    for _, code in (used, revoked, ended):
        client = Client()
        assert client.post("/app/join", {"code": code}).status_code == 422
        assert "Join an organization" in text_of(client.get("/app/join"))
    assert User.objects.count() == 1


@pytest.mark.parametrize("known", [False, True])
def test_one_revoked_while_the_page_is_open_lets_nobody_in(tenant: Tenant, known: bool) -> None:
    invitation, code = invited(tenant.organization)
    client = with_code(code, sign_in("eve") if known else None)
    stale = Invitation.objects.get(pk=invitation.pk)
    revoke(invitation)
    client.post("/app/join", NEW)
    assert not Membership.objects.exists()
    with pytest.raises(ConflictError):
        join_anew(stale, username="ida", password=PASSWORD, email="", now=timezone.now())
    with pytest.raises(ConflictError):
        join_as(User.objects.create_user("otto"), stale, timezone.now())
    assert not User.objects.filter(username="ida").exists()


@pytest.mark.parametrize(
    "wrong",
    [{"password": "short"}, {"username": "olga"}, {"username": "a b"}, {"email": "no address"}, {"username": ""}],
)
def test_what_is_wrong_is_said_beside_its_field_and_the_invitation_stays(
    operator: Client, tenant: Tenant, wrong: dict[str, str]
) -> None:
    client = with_code(invited(tenant.organization)[1])
    answer = client.post("/app/join", NEW | wrong)
    assert answer.status_code == 422
    assert f'id="id_{next(iter(wrong))}_error"' in text_of(answer)
    assert Invitation.objects.count() == 1


def test_codes_can_not_be_guessed(tenant: Tenant) -> None:
    code = invited(tenant.organization)[1]
    statuses = [Client().post("/app/join", {"code": f"guess {number}"}).status_code for number in range(12)]
    assert statuses == [422] * 9 + [429] * 3
    assert Client().post("/app/join", {"code": code}).status_code == 429
    assert Client().post("/app/join", {"code": code}, REMOTE_ADDR="203.0.113.9").status_code == 302


def test_a_session_with_another_number_opens_nothing(tenant: Tenant) -> None:
    invited(tenant.organization)
    assert Client().post("/app/join", NEW).status_code == 200
    assert not User.objects.exists()


def test_no_code_is_in_the_session_the_log_or_what_is_stored(tenant: Tenant, caplog: pytest.LogCaptureFixture) -> None:
    code = invited(tenant.organization)[1]
    client = with_code(code)
    client.post("/app/join", {"code": code + "x"})
    assert code not in str(client.session.items())
    assert code not in caplog.text
    assert code not in str([*Invitation.objects.values(), *AuditEntry.objects.values()])
