"""Attacks on second factors: none gets in, and what was tried too often waits."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from instances import guesses
from instances.models import AuditEntry, FactorSecret, Membership, Organization, Role
from tests.pages.test_factors import add_passkey, options_of, signed_in
from tests.support.factors import SECRET, Passkey, code, confirm, give_app, give_recovery_codes
from tests.support.routes import pages

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough password"
FREE = guesses.FREE[guesses.SECOND_FACTOR]


@pytest.fixture
def ruth(organization: Organization) -> User:
    account = User.objects.create_user("ruth", password=PASSWORD)
    Membership.objects.create(account=account, organization=organization, role=Role.OPERATOR)
    return account


def pass_password(name: str = "ruth", **more: Any) -> Client:
    client = Client(**more)
    client.post(reverse("signin"), {"username": name, "password": PASSWORD})
    return client


def with_passkey(account: User, passkey: Passkey) -> None:
    client = Client()
    client.force_login(account)
    confirm(client, PASSWORD)
    add_passkey(client, passkey)


def test_guesses_at_codes_wait_longer_each_time_and_the_right_one_too(ruth: User) -> None:
    give_app(ruth)
    give_recovery_codes(ruth)
    waits = []
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for number in range(FREE + 7):
            client = pass_password(REMOTE_ADDR=f"203.0.113.{number}")
            answer = client.post(reverse("mfa_authenticate"), {"code": "12345678" if number % 2 else "123456"})
            waits.append(int(answer.headers.get("Retry-After", 0)) // 60)
            if waits[-1]:
                right = pass_password(REMOTE_ADDR="203.0.113.99")
                assert right.post(reverse("mfa_authenticate"), {"code": code()}).status_code == 429
                assert not signed_in(right)
            clock.shift(timedelta(minutes=waits[-1]))
    assert waits == [*[0] * (FREE - 1), 1, 2, 4, 8, 15, 15, 15, 15]
    assert AuditEntry.objects.filter(action="sign-in failed").count() == FREE + 7


def test_the_guesses_of_others_have_no_known_browser_wait(ruth: User) -> None:
    kept = dict(pass_password().cookies)
    give_app(ruth)
    for _ in range(FREE):
        pass_password().post(reverse("mfa_authenticate"), {"code": "123456"})
    assert pass_password().post(reverse("mfa_authenticate"), {"code": code()}).status_code == 429
    known = Client()
    for name in kept:
        if "known" in name:
            known.cookies[name] = kept[name].value
    known.post(reverse("signin"), {"username": "ruth", "password": PASSWORD})
    assert known.post(reverse("mfa_authenticate"), {"code": code()}).status_code == 302
    assert signed_in(known)


@pytest.mark.parametrize("name", ["mfa_reauthenticate", "account_reauthenticate"])
def test_guesses_at_confirming_wait(ruth: User, name: str) -> None:
    give_app(ruth)
    client = Client()
    client.force_login(ruth)
    given = {"code": "123456", "password": "a wrong password"}
    answers = [client.post(reverse(name), given).status_code for _ in range(20)]
    assert answers[0] == 200
    assert answers[-1] == 429


def test_guesses_at_the_first_code_of_an_app_wait(ruth: User) -> None:
    client = Client()
    client.force_login(ruth)
    confirm(client, PASSWORD)
    client.get(reverse("mfa_activate_totp"))
    answers = [client.post(reverse("mfa_activate_totp"), {"code": "123456"}).status_code for _ in range(FREE)]
    assert answers == [*[200] * (FREE - 1), 429]


def test_whoever_passed_the_password_alone_is_nobody_anywhere(ruth: User) -> None:
    give_app(ruth)
    client = pass_password()
    for name, pattern in pages():
        if not pattern.pattern.converters and name not in ("mfa_authenticate", "mfa_login_webauthn"):
            answer = client.get(reverse(name))
            assert not signed_in(client), name
            assert b"ruth" not in getattr(answer, "content", b""), name
    for path in ("/admin/", "/v1/events", "/api/docs"):
        assert b"ruth" not in client.get(path).content
    assert client.get("/v1/events").status_code == 401


def test_the_first_step_of_one_account_is_not_the_second_of_another(ruth: User) -> None:
    eve = User.objects.create_user("eve", password=PASSWORD)
    give_app(ruth)
    give_app(eve, SECRET[::-1])
    client = pass_password()
    client.post(reverse("mfa_authenticate"), {"code": code(secret=SECRET[::-1])})
    assert not signed_in(client)


def test_a_session_from_before_the_sign_in_is_another_afterwards(ruth: User) -> None:
    give_app(ruth)
    client = pass_password()
    fixed = client.session.session_key or ""
    client.post(reverse("mfa_authenticate"), {"code": code()})
    assert signed_in(client)
    assert client.session.session_key != fixed
    intruder = Client()
    intruder.cookies["sessionid"] = fixed
    assert intruder.get(reverse("people")).status_code == 302


def test_what_was_begun_with_a_password_ends_with_it(ruth: User) -> None:
    give_app(ruth)
    client = pass_password()
    ruth.set_password("another long password")
    ruth.save()
    client.post(reverse("mfa_authenticate"), {"code": code()})
    assert client.get(reverse("people")).status_code == 302


CHANGES: dict[str, Callable[[User], str]] = {
    "add an app": lambda ruth: reverse("mfa_activate_totp"),
    "remove the app": lambda ruth: reverse("mfa_deactivate_totp"),
    "add a passkey": lambda ruth: reverse("mfa_add_webauthn"),
    "rename a passkey": lambda ruth: reverse("mfa_edit_webauthn", args=[_passkey_of(ruth)]),
    "remove a passkey": lambda ruth: reverse("mfa_remove_webauthn", args=[_passkey_of(ruth)]),
    "see recovery codes": lambda ruth: reverse("mfa_view_recovery_codes"),
    "make new codes": lambda ruth: reverse("mfa_generate_recovery_codes"),
}


def _passkey_of(account: User) -> int:
    number: int = Authenticator.objects.get(user=account, type="webauthn").pk
    return number


def _state() -> list[Any]:
    return [*Authenticator.objects.order_by("pk").values_list("pk", "data")]


@pytest.mark.parametrize("what", CHANGES)
def test_no_change_without_saying_once_more_who_it_is(ruth: User, what: str) -> None:
    with_passkey(ruth, Passkey())
    if what != "add an app":
        give_app(ruth)
    client, before, url = Client(), _state(), CHANGES[what](ruth)
    client.force_login(ruth)
    for answer in (client.get(url), client.post(url, {"name": "mine", "code": code()})):
        assert answer.status_code == 405 or answer.headers["Location"].startswith(reverse("account_reauthenticate"))
    assert _state() == before


@pytest.mark.parametrize("what", CHANGES)
def test_no_change_from_another_site(ruth: User, what: str) -> None:
    with_passkey(ruth, Passkey())
    if what != "add an app":
        give_app(ruth)
    client, url = Client(enforce_csrf_checks=True), CHANGES[what](ruth)
    client.force_login(ruth)
    before = _state()
    assert client.post(url, {"name": "mine"}).status_code in (403, 405)
    assert _state() == before


@pytest.mark.parametrize("name", ["mfa_edit_webauthn", "mfa_remove_webauthn"])
def test_the_passkey_of_another_is_not_there(ruth: User, name: str) -> None:
    with_passkey(ruth, Passkey())
    eve = User.objects.create_user("eve", password=PASSWORD)
    client = Client()
    client.force_login(eve)
    confirm(client, PASSWORD)
    assert client.post(reverse(name, args=[_passkey_of(ruth)]), {"name": "mine"}).status_code == 404
    assert Authenticator.objects.filter(type="webauthn").count() == 1


Forged = Callable[[Passkey, Any], Any]
FORGED: dict[str, Forged] = {
    "a challenge of another time": lambda key, asked: key.get({"publicKey": {"challenge": "AAAA"}}),
    "another origin": lambda key, asked: key.get(asked, origin="https://evil.example"),
    "a subdomain": lambda key, asked: key.get(asked, origin="https://evil.testserver"),
    "another port": lambda key, asked: key.get(asked, origin="https://testserver:8443"),
    "no TLS": lambda key, asked: key.get(asked, origin="http://testserver"),
    "an answer of another kind": lambda key, asked: key.get(asked, type="webauthn.create"),
    "another host's passkey": lambda key, asked: Passkey(
        host="evil.example", key=key.key, credential_id=key.credential_id, user_handle=key.user_handle
    ).get(asked, origin="https://testserver"),
    "another key": lambda key, asked: Passkey(credential_id=key.credential_id, user_handle=key.user_handle).get(asked),
    "another credential's id": lambda key, asked: Passkey(key=key.key, user_handle=key.user_handle).get(asked),
    "no signature": lambda key, asked: _without(key.get(asked), "signature"),
    "an empty signature": lambda key, asked: _with(key.get(asked), "signature", ""),
    "no data": lambda key, asked: _without(key.get(asked), "authenticatorData"),
    "data that is none": lambda key, asked: _with(key.get(asked), "authenticatorData", "AAAA"),
    "a user handle that is none": lambda key, asked: _with(key.get(asked), "userHandle", "!"),
    "a user handle of nobody": lambda key, asked: _with(key.get(asked), "userHandle", "enp6enp6enp6eg"),
    "a list": lambda key, asked: [key.get(asked)],
    "a text": lambda key, asked: "credential",
    "a number": lambda key, asked: 7,
    "nothing": lambda key, asked: {},
    "far too much": lambda key, asked: _with(key.get(asked), "signature", "A" * 30_000),
}


def _with(answer: Any, name: str, value: str) -> Any:
    return answer | {"response": answer["response"] | {name: value}}


def _without(answer: Any, name: str) -> Any:
    return answer | {"response": {key: value for key, value in answer["response"].items() if key != name}}


@pytest.mark.parametrize("trick", FORGED)
def test_a_forged_passkey_opens_neither_the_second_step_nor_a_sign_in(ruth: User, trick: str) -> None:
    passkey = Passkey()
    with_passkey(ruth, passkey)
    for name in ("mfa_authenticate", "mfa_login_webauthn"):
        client = pass_password() if name == "mfa_authenticate" else Client()
        asked = options_of(client, name) if name == "mfa_authenticate" else client.get(reverse(name)).json()
        given = {"credential": json.dumps(FORGED[trick](passkey, asked))}
        if name == "mfa_authenticate" and "user handle" in trick:
            continue  # whose it is, is known there
        assert client.post(reverse(name), given).status_code in (200, 302)
        assert not signed_in(client), name


@pytest.mark.parametrize("trick", ["a list", "a text", "nothing", "no data", "another origin", "far too much"])
def test_a_forged_passkey_is_not_added(ruth: User, trick: str) -> None:
    client, passkey = Client(), Passkey()
    client.force_login(ruth)
    confirm(client, PASSWORD)
    asked = options_of(client, "mfa_add_webauthn")
    passkey.create(asked)
    given = {"name": "x", "credential": json.dumps(FORGED[trick](passkey, asked))}
    assert client.post(reverse("mfa_add_webauthn"), given).status_code == 200
    assert not Authenticator.objects.exists()


def test_an_answer_of_a_passkey_is_good_once(ruth: User) -> None:
    passkey = Passkey()
    with_passkey(ruth, passkey)
    client = Client()
    answer = {"credential": json.dumps(passkey.get(client.get(reverse("mfa_login_webauthn")).json()))}
    client.post(reverse("mfa_login_webauthn"), answer)
    assert signed_in(client)
    client.post(reverse("signout"))
    client.post(reverse("mfa_login_webauthn"), answer)
    assert not signed_in(client)
    elsewhere = Client()
    elsewhere.get(reverse("mfa_login_webauthn"))
    elsewhere.post(reverse("mfa_login_webauthn"), answer)
    assert not signed_in(elsewhere)


def test_the_passkey_of_another_account_is_no_second_step(ruth: User) -> None:
    eve, own, passkey = User.objects.create_user("eve", password=PASSWORD), Passkey(), Passkey()
    with_passkey(ruth, own)
    with_passkey(eve, passkey)
    client = pass_password()
    asked = options_of(client, "mfa_authenticate")
    client.post(reverse("mfa_authenticate"), {"credential": json.dumps(passkey.get(asked))})
    assert not signed_in(client)
    passkey.user_handle = own.user_handle
    alone = Client()
    asked = alone.get(reverse("mfa_login_webauthn")).json()
    alone.post(reverse("mfa_login_webauthn"), {"credential": json.dumps(passkey.get(asked))})
    assert not signed_in(alone)


def test_a_disabled_account_gets_in_by_no_passkey(ruth: User) -> None:
    passkey = Passkey()
    with_passkey(ruth, passkey)
    User.objects.filter(pk=ruth.pk).update(is_active=False)
    client = Client()
    asked = client.get(reverse("mfa_login_webauthn")).json()
    client.post(reverse("mfa_login_webauthn"), {"credential": json.dumps(passkey.get(asked))})
    assert client.get(reverse("people")).status_code == 302


def test_the_first_factor_ends_sessions_that_began_without_one(ruth: User) -> None:
    elsewhere = pass_password()
    assert elsewhere.get(reverse("people")).status_code == 200
    with_passkey(ruth, Passkey())
    assert elsewhere.get(reverse("people")).status_code == 302


@time_machine.travel("2026-11-29T12:00:00Z", tick=False)
def test_challenges_for_nobody_fill_no_table() -> None:
    for _ in range(30):
        Client(REMOTE_ADDR="203.0.113.5").get(reverse("mfa_login_webauthn"))
    assert Session.objects.count() == 20
    assert Client(REMOTE_ADDR="203.0.113.6").get(reverse("mfa_login_webauthn")).status_code == 200


def _ciphertexts() -> list[str | None]:
    return [each.text.ciphertext for each in FactorSecret.objects.all() if each.text]


def test_secrets_of_factors_are_rotated_with_the_others(ruth: User, settings: Any) -> None:
    from cryptography.fernet import Fernet

    give_app(ruth)
    before = str(_ciphertexts())
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.ENCRYPTION_KEYS]
    call_command("rotate_keys", verbosity=0)
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    assert str(_ciphertexts()) != before
    client = pass_password()
    client.post(reverse("mfa_authenticate"), {"code": code()})
    assert signed_in(client)


def test_a_redirect_after_the_second_step_leads_to_this_site(ruth: User) -> None:
    give_app(ruth)
    client = Client()
    given = {"username": "ruth", "password": PASSWORD, "next": "https://evil.example/"}
    client.post(reverse("signin"), given)
    assert client.post(reverse("mfa_authenticate"), {"code": code()}).headers["Location"] == reverse("overview")
