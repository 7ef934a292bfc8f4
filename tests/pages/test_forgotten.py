"""A forgotten password: a link by mail to whoever has the address, and nothing learnt by anybody else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from instances import mails
from instances.models import AuditEntry, Organization
from tests.pages.conftest import sign_in, text_of
from tests.pages.mail import link_in, mail_server
from tests.support.mail_servers import MailServer

pytestmark = pytest.mark.django_db
OLD, NEW = "a long enough password", "correct horse 7 battery"
ADDRESS = "olga@example.com"


@pytest.fixture
def server(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """A mail server that has every mail as soon as the page is answered."""

    class AtOnce:
        def submit(self, act: Callable[..., None], *arguments: str) -> None:
            act(*arguments)

    monkeypatch.setattr(mails, "_senders", AtOnce())
    with mail_server(settings) as running:
        yield running


@pytest.fixture
def olga(organization: Organization) -> User:
    sign_in("olga", organization)
    User.objects.update(email=ADDRESS)
    return User.objects.get()


def ask_for(email: str, **request: Any) -> Any:
    return Client().post("/app/password/forgotten", {"email": email}, **request)


def choose(code: str, password: str = NEW) -> Any:
    sent = {"code": code, "new_password1": password, "new_password2": password}
    return Client().post("/app/password/new", sent)


def test_a_link_is_mailed_and_the_password_changed_and_all_sessions_end(server: MailServer, olga: User) -> None:
    elsewhere = Client()
    elsewhere.force_login(olga)
    ask_for(ADDRESS)
    ((_, text),) = server.texts()
    address, code = link_in(text)
    assert address == "https://cw.example.com/app/password/new"
    assert choose(code).headers["Location"] == "/app/signin"
    olga.refresh_from_db()
    assert olga.check_password(NEW)
    assert elsewhere.get("/").status_code == 302
    assert AuditEntry.objects.latest("pk").action == "password changed"
    assert choose(code, "yet another password 7").status_code == 422


def test_the_links_host_is_never_what_a_request_says(server: MailServer, olga: User, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    ask_for(ADDRESS, headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
    assert "evil" not in server.mails[0]


def test_who_has_no_account_is_answered_the_same(server: MailServer, olga: User) -> None:
    known, unknown = ask_for(ADDRESS), ask_for("nobody@example.com")
    pages = [
        re.sub(r'"X-CSRFToken": "\w+"|data-now="\d+"|[\w.]+@example.com', "", text_of(each))
        for each in (known, unknown)
    ]
    assert pages[0] == pages[1]
    assert known.status_code == unknown.status_code == 200
    assert len(server.mails) == 1


def test_nobody_is_deactivated_and_mailed(server: MailServer, olga: User) -> None:
    User.objects.update(is_active=False)
    ask_for(ADDRESS)
    assert server.mails == []


def test_a_code_of_a_deactivated_account_opens_nothing(server: MailServer, olga: User) -> None:
    ask_for(ADDRESS)
    User.objects.update(is_active=False)
    assert choose(link_in(server.texts()[0][1])[1]).status_code == 422


def test_one_address_is_not_flooded_and_one_network_not_let_flood(server: MailServer, olga: User) -> None:
    statuses = [ask_for(ADDRESS, REMOTE_ADDR=f"203.0.113.{number}").status_code for number in range(6)]
    assert statuses == [200] * 6
    assert len(server.mails) == 3
    others = [ask_for(f"{number}@example.com", REMOTE_ADDR="198.51.100.1").status_code for number in range(12)]
    assert others == [200] * 10 + [429] * 2


def test_a_code_ends_after_four_hours(server: MailServer, olga: User) -> None:
    ask_for(ADDRESS)
    code = link_in(server.texts()[0][1])[1]
    with time_machine.travel(timezone.now() + timedelta(hours=4, minutes=1)):
        assert choose(code).status_code == 422


@pytest.mark.parametrize("code", ["", "x", "MQ-", "MQ-x", "-", "!!!-x", "w7w-x", "OTk5OTk5OTk5OTk5OTk5OTk5OTk-x"])
def test_what_is_no_code_opens_nothing(olga: User, code: str) -> None:
    assert choose(code).status_code == 422
    olga.refresh_from_db()
    assert olga.check_password(OLD)


def test_codes_can_not_be_guessed(olga: User) -> None:
    assert [choose(f"MQ-{number}").status_code for number in range(11)] == [422] * 9 + [429] * 2


def test_a_weak_password_is_refused(server: MailServer, olga: User) -> None:
    ask_for(ADDRESS)
    assert choose(link_in(server.texts()[0][1])[1], "qazwsxedcrfv").status_code == 422
    olga.refresh_from_db()
    assert olga.check_password(OLD)


@pytest.mark.parametrize("lacking", ["EMAIL_URL", "PUBLIC_URL"])
def test_where_no_mail_is_sent_the_page_says_whom_to_ask(
    server: MailServer, olga: User, settings: Any, lacking: str
) -> None:
    setattr(settings, lacking, "")
    for answer in (Client().get("/app/password/forgotten"), ask_for(ADDRESS)):
        assert "manage.py changepassword" in text_of(answer)
    assert server.mails == []


def test_a_mail_server_that_refuses_is_in_the_log_alone(server: MailServer, olga: User, caplog: Any) -> None:
    server.refuses = True
    assert "Look into your mail" in text_of(ask_for(ADDRESS))
    assert "A mail could not be sent" in caplog.text


def test_ones_own_address_takes_the_password_and_the_former_one_gets_a_mail(server: MailServer, olga: User) -> None:
    client = Client()
    client.force_login(olga)
    assert client.post("/app/address", {"email": "new@example.com", "old_password": "wrong"}).status_code == 422
    client.post("/app/address", {"email": "new@example.com", "old_password": OLD})
    olga.refresh_from_db()
    assert olga.email == "new@example.com"
    assert olga.check_password(OLD)
    assert "To: olga@example.com" in server.mails[0]
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.details) == ("mail address changed", {"email": "changed"})
    assert client.get("/").status_code == 200
