"""Second factors: added, used, renamed, removed; the second step of a sign-in."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from instances.models import AuditEntry, FactorSecret, Membership, Organization, Role
from tests.support.factors import SECRET, Passkey, code, confirm, give_app, give_recovery_codes

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough password"


@pytest.fixture
def ruth(organization: Organization) -> User:
    account = User.objects.create_user("ruth", password=PASSWORD)
    Membership.objects.create(account=account, organization=organization, role=Role.OPERATOR)
    return account


def pass_password(name: str = "ruth") -> Client:
    """Take the first step of a sign-in."""
    client = Client()
    answer = client.post(reverse("signin"), {"username": name, "password": PASSWORD})
    assert answer.status_code == 302
    return client


def signed_in(client: Client) -> bool:
    return SESSION_KEY in client.session


def options_of(client: Client, name: str) -> Any:
    """Return what a page asks the browser's passkeys for."""
    found = re.search(r'data-options="([^"]+)"', client.get(reverse(name)).content.decode())
    assert found
    return json.loads(found[1].replace("&quot;", '"'))


def actions() -> list[str]:
    return [*AuditEntry.objects.order_by("pk").values_list("action", flat=True)]


def test_an_app_is_added_and_asked_for_from_then_on(ruth: User) -> None:
    client = pass_password()
    elsewhere = pass_password()
    assert client.get(reverse("mfa_activate_totp")).status_code == 302
    confirm(client, PASSWORD)
    shown = client.get(reverse("mfa_activate_totp")).content.decode()
    found = re.search(r'class="secret">([A-Z2-7 ]+)<', shown)
    assert found
    secret = found[1].replace(" ", "")
    assert secret not in str(dict(client.session))
    answer = client.post(reverse("mfa_activate_totp"), {"code": code(secret=secret)}, follow=True)
    codes = re.findall(r"<li><code>(\d{8})</code></li>", answer.content.decode())
    assert len(codes) == 10
    again = client.get(reverse("mfa_view_recovery_codes")).content.decode()
    assert not any(each in again for each in codes)
    assert not any(each in str(Authenticator.objects.values_list("data")) for each in [secret, *codes])
    assert {"second factor added"} <= {*actions()}
    assert elsewhere.get(reverse("overview")).status_code == 302
    client = pass_password()
    assert not signed_in(client)
    assert client.post(reverse("mfa_authenticate"), {"code": codes[0]}).status_code == 302
    assert signed_in(client)


def test_the_second_step_takes_each_code_once(ruth: User) -> None:
    give_app(ruth)
    typed = code()
    first, second = pass_password(), pass_password()
    assert first.post(reverse("mfa_authenticate"), {"code": typed}).status_code == 302
    assert second.post(reverse("mfa_authenticate"), {"code": typed}).status_code == 200
    assert second.post(reverse("mfa_authenticate"), {"code": code(-1)}).status_code == 200
    assert (signed_in(first), signed_in(second)) == (True, False)


@pytest.mark.parametrize(("steps", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_clocks_may_differ_by_one_step(ruth: User, steps: int, taken: bool) -> None:
    give_app(ruth)
    client = pass_password()
    client.post(reverse("mfa_authenticate"), {"code": code(steps)})
    assert signed_in(client) is taken


def test_the_second_step_lapses(ruth: User) -> None:
    give_app(ruth)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        client = pass_password()
        clock.shift(timedelta(seconds=settings.ACCOUNT_LOGIN_TIMEOUT + 1))
        assert client.post(reverse("mfa_authenticate"), {"code": code()}).headers["Location"] == reverse(
            "account_login"
        )
    assert not signed_in(client)


def test_a_recovery_code_is_good_once_and_its_use_is_recorded(ruth: User, settings: Any) -> None:
    give_app(ruth)
    used = give_recovery_codes(ruth)[3]
    client = pass_password()
    client.post(reverse("mfa_authenticate"), {"code": used})
    assert signed_in(client)
    entry = AuditEntry.objects.get(action="recovery code used")
    assert entry.details == {"factor": "recovery codes", "codes_left": 9}
    again = pass_password()
    again.post(reverse("mfa_authenticate"), {"code": used})
    assert not signed_in(again)


def add_passkey(client: Client, passkey: Passkey, name: str = "laptop") -> Any:
    options = options_of(client, "mfa_add_webauthn")
    given = {"name": name, "credential": json.dumps(passkey.create(options))}
    return client.post(reverse("mfa_add_webauthn"), given)


def test_a_passkey_is_added_signs_in_alone_and_is_renamed_and_removed(ruth: User) -> None:
    client = pass_password()
    confirm(client, PASSWORD)
    passkey = Passkey()
    assert add_passkey(client, passkey).headers["Location"] == reverse("mfa_view_recovery_codes")
    stranger = Client()
    options = stranger.get(reverse("mfa_login_webauthn")).json()
    answer = stranger.post(reverse("mfa_login_webauthn"), {"credential": json.dumps(passkey.get(options))})
    assert (answer.status_code, signed_in(stranger)) == (302, True)
    number = Authenticator.objects.get(type="webauthn").pk
    assert client.post(reverse("mfa_edit_webauthn", args=[number]), {"name": "blue key"}).status_code == 302
    assert "Passkey “blue key”" in client.get(reverse("mfa_index")).content.decode()
    assert client.post(reverse("mfa_remove_webauthn", args=[number])).status_code == 302
    assert not Authenticator.objects.exists()
    assert not FactorSecret.objects.exists()
    assert [each for each in actions() if "factor" in each or "passkey" in each] == [
        "second factor added",
        "passkey renamed",
        "second factor removed",
    ]


def test_a_passkey_is_the_second_step(ruth: User) -> None:
    client, passkey = pass_password(), Passkey(verified=False)
    confirm(client, PASSWORD)
    add_passkey(client, passkey)
    client = pass_password()
    options = options_of(client, "mfa_authenticate")
    client.post(reverse("mfa_authenticate"), {"credential": json.dumps(passkey.get(options))})
    assert signed_in(client)
    alone = Client()
    options = alone.get(reverse("mfa_login_webauthn")).json()
    alone.post(reverse("mfa_login_webauthn"), {"credential": json.dumps(passkey.get(options))})
    assert not signed_in(alone)


def test_a_mail_tells_of_each_change(
    ruth: User, settings: Any, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    settings.EMAIL_URL, settings.PUBLIC_URL = "smtp://mail.example:25?from=a@b.example", "https://cw.example"
    sent: list[tuple[str, str]] = []
    monkeypatch.setattr("instances.mails.send_later", lambda to, subject, text: sent.append((to, text)))
    User.objects.filter(pk=ruth.pk).update(email="ruth@example.com")
    client = pass_password()
    confirm(client, PASSWORD)
    with django_capture_on_commit_callbacks(execute=True):
        add_passkey(client, Passkey())
        client.post(reverse("mfa_generate_recovery_codes"))
        client.post(reverse("mfa_remove_webauthn", args=[Authenticator.objects.get(type="webauthn").pk]))
    assert {to for to, _ in sent} == {"ruth@example.com"}
    assert [text.split(",")[0].split(";")[0].split(" (")[0] for _, text in sent] == [
        "A second factor was added",
        *["Recovery codes were made"] * 2,
        "A second factor was removed",
    ]


def test_the_secret_of_another_account_opens_nothing(ruth: User) -> None:
    other = User.objects.create_user("eve", password=PASSWORD)
    app, hers = give_app(ruth), give_app(other, SECRET[::-1])
    app.data = hers.data
    app.save()
    client = pass_password()
    client.post(reverse("mfa_authenticate"), {"code": code(secret=SECRET[::-1])})
    assert not signed_in(client)
