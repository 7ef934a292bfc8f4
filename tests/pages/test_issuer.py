"""Signing in by an issuer: to and fro, who is let in as what, what groups give and take, links, and what is said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialToken
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from cwconnect.core.env import GroupRole
from instances.interactive import TooManyCallsError
from instances.invitations import invite
from instances.models import AuditEntry, Membership, Organization, Role, SignIn
from instances.openid import discovery, exchange
from instances.openid.groups import Held, held
from instances.openid.second_factor import issuer_saw_second_factor
from tests.pages.conftest import sign_in, text_of
from tests.support.factors import code
from tests.support.issuers import CLIENT_ID, CLIENT_SECRET, Issuer, running_issuer, use

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough password"
START, BACK, OWN = "/app/signin/issuer", "/app/signin/issuer/back", "/app/issuer"


@pytest.fixture
def issuer(settings: Any, organization: Organization) -> Iterator[Issuer]:
    """An issuer that the service uses; its group staff may look, its group ops may act."""
    discovery.forget()
    with running_issuer() as running:
        roles = [GroupRole("staff", "Alpha", "viewer"), GroupRole("ops", "Alpha", "operator")]
        use(running, settings, GROUPS=[*roles, GroupRole("staff", "Nowhere", "viewer")])
        yield running
    discovery.forget()


def begin(client: Client, path: str = START, **sent: str) -> str:
    """Press the button; return where the page leads."""
    answer = client.post(path, sent)
    assert answer.status_code == 200, text_of(answer)
    return str(answer.headers["Refresh"].removeprefix("0; url="))


def come_in(client: Client, issuer: Issuer, path: str = START, **sent: str) -> Any:
    """Sign in there and come back."""
    return client.get(BACK, issuer.agree(begin(client, path, **sent)))


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def memberships() -> dict[str, str]:
    return {row.organization.name: row.role for row in Membership.objects.select_related("organization")}


def audited(account: str = "ruth") -> list[str]:
    return list(AuditEntry.objects.filter(actor=f"account {account}").order_by("pk").values_list("action", flat=True))


def test_somebody_of_a_group_is_let_in_with_its_role(issuer: Issuer) -> None:
    client = Client()
    assert come_in(client, issuer).headers["Location"] == "/"
    account = User.objects.get()
    assert (account.username, account.has_usable_password(), account.is_staff) == ("ruth", False, False)
    assert memberships() == {"Alpha": Role.VIEWER}
    assert client.get("/").status_code == 200
    assert SignIn.objects.get().account == account
    assert audited() == ["sign-in by issuer linked", "person joined", "signed in"]
    assert AuditEntry.objects.get(action="person joined").details == {"role": "viewer", "group": "staff"}
    assert AuditEntry.objects.get(action="signed in").details["by"] == "issuer"
    assert not EmailAddress.objects.exists()
    assert not SocialToken.objects.exists()


def test_the_way_there_has_state_nonce_and_pkce_and_ends_where_it_was_asked_to(issuer: Issuer) -> None:
    client = Client()
    address = begin(client, next="/app/people")
    query = parse_qs(urlsplit(address).query)
    assert address.startswith(f"{issuer.url}/login?")
    assert query["client_id"] == [CLIENT_ID]
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == ["http://testserver/app/signin/issuer/back"]
    assert all(len(query[name][0]) >= 43 for name in ("state", "nonce", "code_challenge"))
    assert client.get(BACK, issuer.agree(address)).headers["Location"] == "/app/people"


def test_the_description_and_the_keys_are_asked_for_once(issuer: Issuer) -> None:
    for _ in range(3):
        come_in(Client(), issuer)
    assert [issuer.asked.count(path) for path in ("/.well-known/openid-configuration", "/keys", "/token")] == [1, 1, 3]
    issuer.key = "second"
    assert is_in_after(issuer)


def is_in_after(issuer: Issuer) -> bool:
    client = Client()
    come_in(client, issuer)
    return is_in(client)


def test_groups_give_and_take_at_each_sign_in(issuer: Issuer) -> None:
    for groups, expected in [
        (["staff"], {"Alpha": "viewer"}),
        (["staff", "ops"], {"Alpha": "operator"}),
        ("staff", {"Alpha": "viewer"}),
        ([], {}),
        (["ops"], {"Alpha": "operator"}),
        (["other"], {}),
    ]:
        issuer.person["groups"] = groups
        assert is_in_after(issuer)
        assert memberships() == expected
    given = AuditEntry.objects.filter(actor="account ruth", details__has_key="role").order_by("pk")
    roles = [entry.details["role"] for entry in given]
    assert roles == ["viewer", ["viewer", "operator"], ["operator", "viewer"], "viewer", "operator", "operator"]


def test_what_was_given_by_hand_stays(issuer: Issuer) -> None:
    come_in(Client(), issuer)
    Membership.objects.update(group="", role=Role.VIEWER)
    for groups, role in ((["ops"], "operator"), (["staff"], "viewer"), (["ops"], "operator"), ([], "viewer")):
        issuer.person["groups"] = groups
        assert is_in_after(issuer)
        assert memberships() == {"Alpha": role}
    Membership.objects.update(role=Role.OPERATOR)
    issuer.person["groups"] = ["staff"]
    assert is_in_after(issuer)
    assert memberships() == {"Alpha": "operator"}


def test_a_hand_and_a_group_are_weighed() -> None:
    assert held("", None) is None
    assert held("viewer", None) == Held("viewer")
    assert held("viewer", ("operator", "ops")) == Held("operator", "ops", "viewer")
    assert held("operator", ("viewer", "staff")) == Held("operator")
    assert held("viewer", ("viewer", "staff")) == Held("viewer")
    assert held("", ("viewer", "staff")) == Held("viewer", "staff")


def test_a_role_taken_away_works_at_once_where_somebody_is_signed_in_already(issuer: Issuer) -> None:
    issuer.person["groups"] = ["ops"]
    running = Client()
    come_in(running, issuer)
    assert running.get("/app/instances/new").status_code == 200
    issuer.person["groups"] = ["staff"]
    come_in(Client(), issuer)  # in another browser
    assert running.get("/app/instances/new").status_code == 403
    assert running.post("/app/people/invite", {"role": "operator", "days": "7"}).status_code == 403
    issuer.person["groups"] = []
    come_in(Client(), issuer)
    assert running.get("/").status_code == 403


def test_what_a_group_gives_is_not_changed_by_hand_and_can_be_removed(
    issuer: Issuer, organization: Organization
) -> None:
    operator = sign_in("olga", organization)
    come_in(Client(), issuer)
    membership = Membership.objects.get(account__username="ruth")
    page = text_of(operator.get("/app/people"))
    assert "by the group <bdi>staff</bdi>" in page
    assert f"/app/people/{membership.pk}/role" not in page
    operator.post(f"/app/people/{membership.pk}/role", {"role": "operator"})
    membership.refresh_from_db()
    assert membership.role == Role.VIEWER
    assert "gives this place" in text_of(operator.get(f"/app/people/{membership.pk}/remove"))
    operator.post(f"/app/people/{membership.pk}/remove")
    assert not Membership.objects.filter(pk=membership.pk).exists()


def test_an_invitation_is_carried_through_the_issuer(issuer: Issuer, other_tenant: Any) -> None:
    _, code = invite(
        other_tenant.organization, role="operator", email="", now=timezone.now(), good_for=timedelta(days=1)
    )
    issuer.person["groups"] = []
    client = Client()
    client.post("/app/join", {"code": code})
    assert "Join with Acme’s account" in text_of(client.get("/app/join"))
    assert come_in(client, issuer, next="/app/join").headers["Location"] == "/"
    assert memberships() == {"Beta": "operator"}
    assert "Welcome to Beta" in text_of(client.get("/"))
    assert is_in_after(issuer)  # what an invitation gave is no group's to take
    assert memberships() == {"Beta": "operator"}


def test_an_invitation_beside_a_group_stays_when_the_group_goes(issuer: Issuer, organization: Organization) -> None:
    client = Client()
    issuer.person["groups"] = ["ops"]
    come_in(client, issuer)
    _, code = invite(organization, role="viewer", email="", now=timezone.now(), good_for=timedelta(days=1))
    client.post("/app/join", {"code": code})
    client.post("/app/join")
    assert memberships() == {"Alpha": "operator"}
    issuer.person["groups"] = []
    assert is_in_after(issuer)
    assert memberships() == {"Alpha": "viewer"}


def test_who_is_neither_invited_nor_in_a_group_is_refused_in_words(issuer: Issuer) -> None:
    issuer.person["groups"] = ["other"]
    answer = come_in(Client(), issuer)
    assert answer.status_code == 403
    assert "nobody has invited you" in text_of(answer)
    assert answer.headers["Elements-Request-Id"] in text_of(answer)
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("name", "expected"), [("Jürgen Ä", "jurgen_a"), ("ruth@acme.example", "ruth"), ("", "person")]
)
def test_names_are_made_to_fit_and_unique(issuer: Issuer, name: str, expected: str) -> None:
    issuer.person["preferred_username"] = name
    come_in(Client(), issuer)
    assert User.objects.get().username.replace("_", "") == expected.replace("_", "")
    issuer.person |= {"sub": "1002"}
    come_in(Client(), issuer)
    assert User.objects.count() == 2


def test_groups_are_looked_for_in_the_user_info_too(issuer: Issuer) -> None:
    del issuer.person["groups"]
    issuer.userinfo = {"groups": ["ops"]}
    assert is_in_after(issuer)
    assert memberships() == {"Alpha": "operator"}


@pytest.mark.parametrize("overage", [{"hasgroups": True}, {"_claim_names": {"groups": "src1"}}])
def test_groups_left_out_for_their_number_are_not_taken_for_none(issuer: Issuer, overage: dict[str, Any]) -> None:
    come_in(Client(), issuer)
    del issuer.person["groups"]
    issuer.person |= overage
    answer = come_in(Client(), issuer)
    assert "so many groups" in text_of(answer)
    assert memberships() == {"Alpha": "viewer"}


def test_a_link_takes_the_password_and_is_by_issuer_and_sub_alone(issuer: Issuer, organization: Organization) -> None:
    client = sign_in("olga", organization)
    assert client.post(OWN, {"old_password": "wrong"}).status_code == 422
    assert come_in(client, issuer, OWN, old_password=PASSWORD).headers["Location"] == OWN
    assert "Linked with" in text_of(client.get(OWN))
    issuer.person |= {"preferred_username": "somebody else", "email": "other@example.com"}
    elsewhere = Client()
    come_in(elsewhere, issuer)
    assert elsewhere.session["_auth_user_id"] == client.session["_auth_user_id"]
    assert User.objects.count() == 1
    client.post(OWN, {"old_password": PASSWORD, "unlink": str(SocialAccount.objects.get().pk)})
    assert not SocialAccount.objects.exists()
    assert [row for row in audited("olga") if "issuer" in row] == [
        "sign-in by issuer linked",
        "sign-in by issuer unlinked",
    ]
    assert is_in_after(issuer)  # a new account: nothing finds the old one
    assert User.objects.count() == 2


def test_a_link_that_is_somebody_elses_is_not_taken(issuer: Issuer, organization: Organization) -> None:
    come_in(Client(), issuer)
    client = sign_in("olga", organization)
    come_in(client, issuer, OWN, old_password=PASSWORD)
    assert SocialAccount.objects.get().user.username == "ruth"
    assert "linked with another user name" in text_of(client.get(OWN))


def test_who_has_no_password_keeps_the_only_way_in(issuer: Issuer) -> None:
    client = Client()
    come_in(client, issuer)
    assert "only way in" in text_of(client.get(OWN))
    client.post(OWN, {"old_password": "", "unlink": str(SocialAccount.objects.get().pk)})
    assert SocialAccount.objects.exists()
    assert client.get("/app/password").headers["Location"] == "/app/sessions"


def test_a_disabled_account_is_not_let_in_and_gets_nothing(issuer: Issuer) -> None:
    come_in(Client(), issuer)
    User.objects.update(is_active=False)
    issuer.person["groups"] = ["ops"]
    client = Client()
    answer = come_in(client, issuer)
    assert answer.status_code == 403
    assert "disabled" in text_of(answer)
    assert not is_in(client)
    assert memberships() == {"Alpha": "viewer"}


def test_people_of_another_issuer_are_others(issuer: Issuer, settings: Any) -> None:
    come_in(Client(), issuer)
    with running_issuer() as other:
        use(other, settings)
        come_in(Client(), other)
    first, second = User.objects.order_by("pk").values_list("username", flat=True)
    assert first == "ruth"
    assert re.fullmatch(r"ruth\d+", second)
    assert User.objects.count() == 2


def test_without_an_issuer_there_is_no_way_there(organization: Organization) -> None:
    client = sign_in("olga", organization)
    assert [client.post(START).status_code, client.get(BACK).status_code, client.get(OWN).status_code] == [404] * 3
    assert START not in text_of(Client().get("/app/signin"))


def test_where_the_issuer_saw_a_second_factor_it_is_known_of_this_session(issuer: Issuer) -> None:
    for methods, seen in ((["pwd"], False), (["pwd", "mfa"], True), ("mfa", False), (None, False), (["otp"], True)):
        issuer.person["amr"] = methods
        client = Client()
        request = come_in(client, issuer).wsgi_request
        assert issuer_saw_second_factor(request, User.objects.get()) is seen
        assert not issuer_saw_second_factor(request, User(pk=0))


def test_a_client_without_a_secret_names_itself(issuer: Issuer, settings: Any) -> None:
    settings.OIDC_CLIENT_SECRET = "wrong"
    answer = come_in(Client(), issuer)
    assert "does not know this service" in text_of(answer)


BROKEN: dict[str, tuple[Callable[[Issuer], None], dict[str, str], int, str]] = {
    "refused by the person": (lambda issuer: None, {"error": "access_denied"}, 403, "changed your mind"),
    "another refusal": (lambda issuer: None, {"error": "<script>"}, 403, "(no code)"),
    "server error": (lambda issuer: issuer.answers.update({"/token": (500, b"oops")}), {}, 502, "be asked just now"),
    "no JSON": (lambda issuer: issuer.answers.update({"/token": (200, b"<html>")}), {}, 502, "be asked just now"),
    "deep JSON": (lambda issuer: issuer.answers.update({"/token": (200, b"[" * 100_000)}), {}, 502, "be asked"),
    "a list": (lambda issuer: issuer.answers.update({"/token": (200, b"[]")}), {}, 502, "be asked just now"),
    "endless": (lambda issuer: issuer.answers.update({"/keys": (200, b" " * 600_000)}), {}, 502, "be asked just now"),
    "a redirect": (lambda issuer: issuer.answers.update({"/keys": (302, b"/elsewhere")}), {}, 502, "be asked just"),
    "no keys": (
        lambda issuer: issuer.answers.update({"/keys": (200, b'{"keys": 7}')}),
        {},
        403,
        "not prove who you are",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_fails_is_said_in_words_with_the_requests_id_and_no_secret(
    issuer: Issuer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    break_it, brought, status, words = BROKEN[name]
    client = Client()
    back = issuer.agree(begin(client))
    break_it(issuer)
    answer = client.get(BACK, back | brought)
    page = text_of(answer)
    assert (answer.status_code, words in page, is_in(client)) == (status, True, False)
    assert answer.headers["Elements-Request-Id"] in page
    assert "<script>" not in answer.content.decode().split("<main")[1]
    secrets = (CLIENT_SECRET, back["code"], back["state"])
    assert not any(secret in caplog.text.replace("GET /", "") for secret in secrets)
    assert not any(secret in json.dumps([*AuditEntry.objects.values("subject", "details")]) for secret in secrets)


def test_an_issuer_that_is_away_is_said_at_the_button(issuer: Issuer, settings: Any) -> None:
    settings.OIDC_ISSUER = "http://127.0.0.1:9"
    answer = Client().post(START)
    assert answer.status_code == 502
    assert "be asked just now" in text_of(answer)


def test_an_issuer_at_a_private_address_is_refused_unless_opened(issuer: Issuer, settings: Any) -> None:
    settings.PRIVATE_NETWORKS = []
    assert Client().post(START).status_code == 502
    assert issuer.asked == []


def test_the_button_is_there_and_keeps_where_to_go(issuer: Issuer) -> None:
    sign_in("olga")
    page = text_of(Client().get("/app/signin?next=/app/people"))
    assert "Sign in with Acme’s account" in page
    form = page.partition(f'action="{START}"')[2].partition("</form>")[0]
    assert 'name="next" value="/app/people"' in form


def test_a_name_and_groups_of_the_user_info_are_taken_where_the_token_has_none(issuer: Issuer) -> None:
    issuer.person = {"sub": "1003"}
    issuer.userinfo = {"preferred_username": "ruth", "groups": ["ops"], "amr": ["mfa"]}
    client = Client()
    request = come_in(client, issuer).wsgi_request
    assert User.objects.get().username == "ruth"
    assert memberships() == {"Alpha": "operator"}
    assert not issuer_saw_second_factor(request, User.objects.get())  # that is the signed token's to say


def test_user_info_of_somebody_else_is_not_taken(issuer: Issuer) -> None:
    del issuer.person["groups"]
    issuer.userinfo = {"sub": "1", "groups": ["ops"]}
    assert come_in(Client(), issuer).status_code == 403
    assert not User.objects.exists()


def test_many_at_a_time_wait_for_a_place_and_are_refused_in_words_where_none_gets_free(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise TooManyCallsError("full")

    monkeypatch.setattr(exchange, "_PATIENCE", 0.05)
    monkeypatch.setattr(exchange, "outbound_client", full)
    answer = Client().post(START)
    assert answer.status_code == 503
    assert "at this very moment" in text_of(answer)


def test_who_has_no_password_adds_a_first_factor_soon_after_the_sign_in(issuer: Issuer) -> None:
    client, add = Client(), reverse("mfa_activate_totp")
    with time_machine.travel(timezone.now(), tick=False) as clock:
        come_in(client, issuer)
        clock.shift(timedelta(minutes=4))
        found = re.search(r'class="secret">([A-Z2-7 ]+)<', text_of(client.get(add)))
        assert found
        clock.shift(timedelta(minutes=2))
        late = client.get(add, follow=True)
        assert late.redirect_chain[0][0].startswith(reverse("mfa_index"))
        assert "sign in anew" in text_of(late)
        assert client.post(add, {"code": code(secret=found[1].replace(" ", ""))}).status_code == 302
        assert not Authenticator.objects.exists()
        again = Client()
        come_in(again, issuer)
        found = re.search(r'class="secret">([A-Z2-7 ]+)<', text_of(again.get(add)))
        assert found
        again.post(add, {"code": code(secret=found[1].replace(" ", ""))})
        assert Authenticator.objects.filter(type="totp").exists()
        clock.shift(timedelta(minutes=6))
        removing = again.get(reverse("mfa_deactivate_totp"))
        assert removing.headers["Location"].startswith(reverse("mfa_reauthenticate")), "from now on a code confirms"
