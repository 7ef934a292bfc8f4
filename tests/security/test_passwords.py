"""Passwords of at least twelve characters that are none of the common ones, wherever one is chosen."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.http import int_to_base36

from cwconnect.management.commands import createsuperuser
from instances.accounts import first_start_code
from instances.invitations import invite
from instances.models import Organization

pytestmark = pytest.mark.django_db
PRESENT = "a long enough password"
GOOD = "correct horse 7 battery"
# Eleven characters; a common one; one in disguise; digits; the account's own name.
BAD = ("eleven char", "qazwsxedcrfv", "P@ssw0rd2026!", "739105846213", "olga.andersson")
DISGUISED = (
    *("passwordpassword", "Password1234", "2026-dragon-2026", "letmeinletmein!", "123456789012", "aaaaaaaaaaaaaaaa"),
    *("abababababab", "qwertyuiopas", "1qaz2wsx3edc", "abcdefghijkl", "210987654321", "!!!welcome!!!"),
)
NAME = "olga.andersson"

Way = Callable[[str, pytest.MonkeyPatch], None]


def first_start(password: str, _: pytest.MonkeyPatch) -> None:
    form = {"code": first_start_code(), "username": NAME, "password": password, "organization": "Alpha"}
    Client().post(reverse("first-start"), form)


def joined(password: str, _: pytest.MonkeyPatch) -> None:
    given: Any = {"role": "viewer", "email": "", "now": timezone.now(), "good_for": timedelta(days=1)}
    code = invite(Organization.objects.create(name="Alpha"), **given)[1]
    client = Client()
    client.post(reverse("join"), {"code": code})
    client.post(reverse("join"), {"username": NAME, "password": password, "email": ""})


def forgotten(password: str, _: pytest.MonkeyPatch) -> None:
    person = User.objects.create_user(NAME, password=PRESENT)
    code = f"{int_to_base36(person.pk)}-{default_token_generator.make_token(person)}"
    form = {"code": code, "new_password1": password, "new_password2": password}
    Client().post(reverse("new-password"), form)


def own_change(password: str, _: pytest.MonkeyPatch) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser(NAME, password=PRESENT))
    client.post(reverse("password"), {"old_password": PRESENT, "new_password1": password, "new_password2": password})


def admin() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=PRESENT))
    return client


def added_in_the_admin(password: str, _: pytest.MonkeyPatch) -> None:
    form = {"username": NAME, "password1": password, "password2": password, "usable_password": "true"}
    admin().post(reverse("admin:auth_user_add"), form)


def changed_in_the_admin(password: str, _: pytest.MonkeyPatch) -> None:
    person = User.objects.create_user(NAME, password=PRESENT)
    form = {"password1": password, "password2": password, "usable_password": "true"}
    admin().post(reverse("admin:auth_user_password_change", args=[person.pk]), form)


def run(*command: str, **options: Any) -> None:
    """Run a command that may refuse, in words of the password."""
    try:
        call_command(*command, stdout=io.StringIO(), stderr=io.StringIO(), **options)
    except CommandError as error:
        if "password" not in str(error) and "Aborting" not in str(error):
            raise


def command_without_input(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", password)
    run("createsuperuser", interactive=False, username=NAME, email="")


class _Terminal:
    """A person at a terminal, who keeps whatever password they chose."""

    def isatty(self) -> bool:
        return True


def command_at_a_terminal(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda *_args, **_options: password)
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    run("createsuperuser", username=NAME, email="", stdin=_Terminal())


def changed_by_a_command(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.create_user(NAME, password=PRESENT)
    monkeypatch.setattr("getpass.getpass", lambda *_args, **_options: password)
    run("changepassword", NAME)


WAYS: tuple[Way, ...] = (
    *(first_start, joined, forgotten, own_change, added_in_the_admin, changed_in_the_admin),
    *(command_without_input, command_at_a_terminal, changed_by_a_command),
)


@pytest.mark.parametrize("way", WAYS)
def test_a_good_password_is_accepted(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    way(GOOD, monkeypatch)
    assert User.objects.get(username=NAME).check_password(GOOD)


@pytest.mark.parametrize("password", BAD)
@pytest.mark.parametrize("way", WAYS)
def test_a_bad_one_is_not(way: Way, password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    way(password, monkeypatch)
    account = User.objects.filter(username=NAME).first()
    assert account is None or account.check_password(PRESENT)


@pytest.mark.parametrize("password", DISGUISED)
def test_a_common_one_in_disguise_is_known(password: str) -> None:
    with pytest.raises(ValidationError, match=r"common|numeric"):
        validate_password(password)


@pytest.mark.parametrize(
    "password", [GOOD, PRESENT, "tulip-Ferry-91-ox", "Zq8$kkWv!t2p", "überlange wörter", "k9" * 3 + "vMx7Lp"]
)
def test_others_are_not_taken_for_one(password: str) -> None:
    validate_password(password)


def test_an_administrator_without_a_password_can_be_made() -> None:
    call_command("createsuperuser", interactive=False, username=NAME, email="", stdout=io.StringIO())
    assert not User.objects.get(username=NAME).has_usable_password()


def test_the_command_is_ours() -> None:
    from django.core.management import get_commands

    assert get_commands()["createsuperuser"] == "cwconnect"
    assert createsuperuser.Command().UserModel._default_manager.model is User
