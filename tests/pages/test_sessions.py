"""One's own sessions: listed, distinguished, ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from instances import sign_ins
from instances.browsers import browser_in_words
from instances.models import AuditEntry, Organization, SignIn
from tests.pages.conftest import sign_in, text_of

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough password"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.6 Mobile/15E148 Safari/604.1"
)


def browser(address: str = "203.0.113.7", agent: str = FIREFOX, name: str = "victor") -> Client:
    """Sign in by the form."""
    client = Client(REMOTE_ADDR=address, headers={"User-Agent": agent})
    answer = client.post(reverse("signin"), {"username": name, "password": PASSWORD})
    assert answer.status_code == 302
    return client


def page(client: Client) -> str:
    """Return the page's text, without tags between words."""
    return " ".join(text_of(client.get(reverse("sessions"))).split())


def is_in(client: Client) -> bool:
    return client.get(reverse("sessions")).status_code == 200


def test_a_viewer_sees_where_they_are_signed_in(viewer: Client) -> None:
    phone = browser("2001:db8::7", SAFARI)
    shown = page(phone)
    assert 'Safari on iPhone <span class="muted">this browser</span>' in shown
    assert "2001:db8::7" in shown
    assert 'action="/app/sessions/' in shown  # the fixture's, which can be ended
    assert 'aria-label="End Safari' not in shown
    assert "Firefox on Windows" in page(browser("198.51.100.1"))


def test_with_one_session_there_is_nothing_to_end(viewer: Client) -> None:
    shown = page(viewer)
    assert "You are signed in nowhere else." in shown
    assert "End all others" not in shown
    assert "You did not sign in before this" in shown


def test_the_last_sign_in_is_shown(viewer: Client) -> None:
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False):
        browser("203.0.113.99")
    with time_machine.travel(timezone.now() + timedelta(hours=3), tick=False):
        shown = page(browser("198.51.100.1", SAFARI))
    assert "2 h ago</time> with Firefox on Windows from <bdi>203.0.113.99</bdi>" in shown


def test_one_is_ended_and_the_others_go_on(viewer: Client, organization: Organization) -> None:
    lost, other = browser("203.0.113.66"), browser("198.51.100.1")
    row = SignIn.objects.get(address="203.0.113.66")
    answer = viewer.post(reverse("end-session", args=[row.pk]), follow=True)
    assert "The session has ended" in text_of(answer)
    assert (is_in(lost), is_in(other), is_in(viewer)) == (False, True, True)
    assert "203.0.113.66" not in page(other).partition("<table")[2]
    entry = AuditEntry.objects.get(action="sessions ended")
    assert (entry.subject, entry.actor, entry.organization) == ("account victor", "account victor", organization)
    assert entry.details["sessions"][0]["address"] == "203.0.113.66"


def test_all_others_are_ended(viewer: Client) -> None:
    others = [browser(f"203.0.113.{number}") for number in range(3)]
    assert "nowhere else now" in text_of(viewer.post(reverse("end-other-sessions"), follow=True))
    assert [is_in(each) for each in [*others, viewer]] == [False] * 3 + [True]
    viewer.post(reverse("end-other-sessions"))
    assert AuditEntry.objects.filter(action="sessions ended").count() == 1


def test_this_browsers_session_ends_by_signing_out_alone(viewer: Client) -> None:
    assert viewer.post(reverse("end-session", args=[SignIn.objects.get().pk])).status_code == 404
    assert is_in(viewer)


def test_a_session_of_somebody_else_can_not_be_ended(viewer: Client, organization: Organization) -> None:
    other = sign_in("olga", organization)
    row = SignIn.objects.get(account__username="olga")
    assert viewer.post(reverse("end-session", args=[row.pk])).status_code == 404
    viewer.post(reverse("end-other-sessions"))
    assert is_in(other)
    assert "olga" not in page(viewer)


@pytest.mark.parametrize("name", ["end-session", "end-other-sessions"])
def test_nothing_ends_by_a_link(viewer: Client, name: str) -> None:
    url = reverse(name, args=[SignIn.objects.get().pk] if name == "end-session" else [])
    assert viewer.get(url).status_code == 405
    assert Client().post(url).headers["Location"].startswith(reverse("signin"))
    assert Client(enforce_csrf_checks=True).post(url).status_code == 403


def test_a_session_that_signed_out_or_expired_is_not_listed(viewer: Client) -> None:
    browser("203.0.113.1").post(reverse("signout"))
    browser("203.0.113.2")
    Session.objects.filter(session_key=SignIn.objects.get(address="203.0.113.2").session_key).update(
        expire_date=timezone.now() - timedelta(seconds=1)
    )
    assert "203.0.113" not in page(viewer).partition("<table")[2]


def test_a_new_password_ends_the_others_and_keeps_this(viewer: Client) -> None:
    other = browser("203.0.113.1")
    new = "another long enough password"
    viewer.post(reverse("password"), {"old_password": PASSWORD, "new_password1": new, "new_password2": new})
    assert "203.0.113.1" not in page(viewer).partition("<table")[2]
    assert "this browser" in page(viewer)
    assert not is_in(other)
    assert SignIn.objects.count() == 2


def test_last_seen_is_kept_to_the_minute(viewer: Client) -> None:
    other = browser("203.0.113.1")
    row = SignIn.objects.get(address="203.0.113.1")
    with time_machine.travel(row.at + timedelta(hours=2), tick=False) as clock:
        other.get("/")
        clock.shift(30)
        other.get("/")
        row.refresh_from_db()
        assert row.last_seen_at == row.at + timedelta(hours=2)
        clock.shift(31)
        other.get("/")
        row.refresh_from_db()
        assert row.last_seen_at == row.at + timedelta(hours=2, seconds=61)


def test_a_session_of_an_earlier_version_gets_its_row(viewer: Client) -> None:
    SignIn.objects.all().delete()
    sign_ins._seen.clear()
    viewer.get("/")
    assert "this browser" in page(viewer)


def test_a_page_is_shown_where_its_use_can_not_be_written(viewer: Client, monkeypatch: Any) -> None:
    def away(*_: object) -> None:
        raise DatabaseError("attempt to write a readonly database")

    monkeypatch.setattr(sign_ins, "_write_use", away)
    sign_ins._seen.clear()
    assert viewer.get("/").status_code == 200


def test_someone_without_an_organization_has_sessions_too(client: Client) -> None:
    client.force_login(User.objects.create_user("root", password=PASSWORD))
    assert "this browser" in page(client)


def test_programs_and_anonymous_visitors_leave_no_row(tenant: Any) -> None:
    client = Client()
    client.get("/app/signin")
    client.get("/instances", headers={"Authorization": tenant.auth})
    assert not SignIn.objects.exists()


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Windows"),
        (SAFARI, "Safari on iPhone"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/141.0.0.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/141.0 Safari/537.36 Edg/141.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/141.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.6 Safari/605.1.15", "Safari on macOS"),
        ("curl/8.14.1", "curl"),
        ("<script>alert(1)</script>", "an unknown browser"),
        ("", "an unknown browser"),
    ],
)
def test_browsers_in_words(agent: str, words: str) -> None:
    assert browser_in_words(agent) == words
