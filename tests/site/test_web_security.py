"""The front door for people: guesses, sessions, forged hosts and sites, cookies, policies, limits."""

from __future__ import annotations

import http.client
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from axes.models import AccessAttempt
from django.conf import settings as ours
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from cwconnect.core.client_ip import client_address
from cwconnect.core.sessions import SessionStore
from cwconnect.site.periodic_jobs import delete_old_failures
from tests.site.test_checks import manage
from tests.support.services import wait_until

PASSWORD = "a long enough password"


@pytest.fixture
def account(db: None) -> User:
    return User.objects.create_superuser("olga", password=PASSWORD)


def sign_in(path: str, password: str, **environment: Any) -> int:
    """Try to sign in from a fresh browser; give the status: 302 lets in."""
    client = Client(**environment)
    return client.post(path, {"username": "olga", "password": password}).status_code


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("outbound_client", ["admin:login", "signin"])
def test_after_ten_failures_the_right_password_does_not_open_any_more(outbound_client: str) -> None:
    statuses = [sign_in(reverse(outbound_client), f"guess {number}") for number in range(12)]
    assert statuses[:9] == [200] * 9
    assert statuses[9:] == [429] * 3
    assert sign_in(reverse("admin:login"), PASSWORD) == sign_in(reverse("signin"), PASSWORD) == 429


@pytest.mark.usefixtures("account")
def test_guesses_with_many_names_count_together() -> None:
    client = Client()
    for number in range(10):
        client.post("/admin/login/", {"username": f"name{number}", "password": "x"})
    assert sign_in("/admin/login/", PASSWORD) == 429


@pytest.mark.usefixtures("account")
def test_another_address_is_not_closed_out() -> None:
    for number in range(12):
        sign_in("/admin/login/", f"guess {number}", REMOTE_ADDR="203.0.113.9")
    assert sign_in("/admin/login/", PASSWORD, REMOTE_ADDR="203.0.113.9") == 429
    assert sign_in("/admin/login/", PASSWORD, REMOTE_ADDR="203.0.113.10") == 302


@pytest.mark.usefixtures("account")
def test_after_a_quarter_of_an_hour_it_opens_again() -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for number in range(12):
            sign_in("/admin/login/", f"guess {number}")
        refused = Client().post("/admin/login/", {"username": "olga", "password": PASSWORD})
        assert refused.headers["Retry-After"] == "900"
        assert "Wait 15 minutes" in refused.content.decode()
        clock.shift(timedelta(minutes=16))
        assert sign_in("/admin/login/", PASSWORD) == 302


@pytest.mark.usefixtures("account")
def test_no_password_of_a_guess_is_kept_and_old_guesses_are_forgotten() -> None:
    sign_in("/admin/login/", "a guess that is nearly right")
    (attempt,) = AccessAttempt.objects.all()
    assert "nearly right" not in str(vars(attempt))
    assert delete_old_failures(timezone.now()) == 0
    assert delete_old_failures(timezone.now() + timedelta(days=2)) == 1


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("10.0.0.1, 198.51.100.7, 203.0.113.9", "203.0.113.9"),
        ("2001:db8::7", "2001:db8::7"),
        ("203.0.113.9, nonsense", "10.0.0.2"),
        ("", "10.0.0.2"),
    ],
)
def test_behind_a_proxy_what_the_proxy_saw_counts(settings: Settings, forwarded: str, address: str) -> None:
    settings.PUBLIC_URL = "https://events.example.com"
    request = RequestFactory(REMOTE_ADDR="10.0.0.2").get("/", headers={"X-Forwarded-For": forwarded})
    assert client_address(request) == address


def test_without_a_proxy_a_header_changes_nothing() -> None:
    request = RequestFactory(REMOTE_ADDR="10.0.0.2").get("/", headers={"X-Forwarded-For": "203.0.113.9"})
    assert client_address(request) == "10.0.0.2"


def test_a_session_ends_after_a_working_day(account: User) -> None:
    client = Client()
    with time_machine.travel(timezone.now(), tick=False) as clock:
        client.force_login(account)
        clock.shift(timedelta(hours=11))
        assert client.get("/admin/").status_code == 200
        clock.shift(timedelta(hours=2))
        assert client.get("/admin/").status_code == 302


def test_signing_in_changes_the_session_and_a_new_password_ends_it(account: User) -> None:
    client = Client()
    client.get("/admin/login/")
    client.post("/admin/login/", {"username": "olga", "password": PASSWORD})
    first = client.session.session_key
    assert client.get("/admin/").status_code == 200
    account.set_password("another long password")
    account.save()
    assert client.get("/admin/").status_code == 302
    client.post("/admin/login/", {"username": "olga", "password": "another long password"})
    assert client.session.session_key != first


def test_who_reads_the_database_can_not_take_a_session_over(account: User) -> None:
    client = Client()
    client.force_login(account)
    (row,) = Session.objects.all()
    cookie = client.cookies["sessionid"].value
    assert client.get("/admin/").status_code == 200
    for stolen in (row.session_key, row.session_data, ""):
        thief = Client()
        thief.cookies["sessionid"] = stolen
        assert thief.get("/admin/").status_code == 302
    assert cookie not in str(vars(row))
    client.post("/admin/logout/")
    assert Session.objects.count() == 0


async def _live_through_async() -> list[object]:
    store = SessionStore()
    await store.aset("a", 1)
    await store.asave()
    again = SessionStore(store.session_key)
    found = [await again.aget("a"), await again.aexists(store.session_key or "")]
    await again.adelete()
    return [*found, await SessionStore(store.session_key).aget("a")]


@pytest.mark.django_db(transaction=True)
def test_an_asynchronous_server_finds_the_same_sessions() -> None:
    assert async_to_sync(_live_through_async)() == [1, True, None]


def test_a_post_without_a_token_is_refused(account: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(account)
    assert client.post("/admin/logout/").status_code == 403
    assert client.post("/admin/login/", {"username": "olga", "password": PASSWORD}).status_code == 403


def test_a_post_from_another_site_is_refused_even_with_a_token(account: User) -> None:
    client = Client(enforce_csrf_checks=True)
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)', client.get("/admin/login/").content.decode())
    assert token
    form = {"username": "olga", "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
    assert client.post("/admin/login/", form, headers={"Origin": "https://evil.example"}).status_code == 403
    assert client.post("/admin/login/", form, headers={"Origin": "http://testserver"}).status_code == 302


@pytest.mark.parametrize("path", ["/admin/login/", "/instances", "/app/signin", "/elements/api-v2/instances"])
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil.example:80",
        "127.0.0.1@evil.example",
        "a b",
        "[::1",
        "localhost/x",
    ],
)
@pytest.mark.django_db
def test_a_forged_host_is_refused(path: str, host: str) -> None:
    answer = Client().get(path, headers={"Host": host}, SERVER_NAME="localhost")
    assert answer.status_code == 400
    assert "evil" not in answer.content.decode()
    assert "evil" not in answer.headers.get("Location", "")


@pytest.mark.parametrize(
    "path",
    [
        "/admin/",
        "/admin/auth/user/",
        "/admin/auth/user/add/",
        "/admin/instances/auditentry/",
        "/admin/instances/instance/",
        "/admin/polling/event/",
    ],
)
def test_the_admin_keeps_the_policy_nothing_inline_nothing_from_elsewhere(account: User, path: str) -> None:
    client = Client()
    client.force_login(account)
    answer = client.get(path)
    page = answer.content.decode()
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*\b(src|type=\"application/json\"))[^>]*>", page)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|javascript:", page)
    assert not re.search(r"(src|href)=\"(https?:)?//(?!testserver)", page)
    for header, value in (("X-Frame-Options", "DENY"), ("X-Content-Type-Options", "nosniff")):
        assert answer.headers[header] == value


def test_a_body_that_is_too_long_is_refused(account: User) -> None:
    form = {"username": "olga", "password": "x" * (ours.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)}
    assert Client().post("/admin/login/", form).status_code in (400, 413)


_BEHIND_TLS = """
import json
from django.conf import settings
from django.test import Client
client = Client(headers={"Host": "events.example.com"})
secure = Client(headers={"Host": "events.example.com", "X-Forwarded-Proto": "https"})
plain, form, probe = client.get("/admin/login/"), secure.get("/admin/login/"), client.get("/healthz")
cookie = form.cookies["__Host-csrftoken"]
print(json.dumps({
    "plain": [plain.status_code, plain.headers["Location"]],
    "hsts": form.headers["Strict-Transport-Security"],
    "cookie": [cookie["secure"], cookie["path"], cookie["domain"], cookie["samesite"]],
    "probe": probe.status_code,
    "session": [settings.SESSION_COOKIE_NAME, settings.SESSION_COOKIE_SECURE, settings.SESSION_COOKIE_HTTPONLY],
    "origins": settings.CSRF_TRUSTED_ORIGINS,
    "other host": Client(headers={"Host": "evil.example"}).get("/admin/login/").status_code,
}))
"""


def test_an_https_public_url_turns_on_all_that_goes_with_it(tmp_path: Path) -> None:
    done = manage(
        tmp_path, "shell", "--no-imports", "-c", _BEHIND_TLS, CWCONNECT_PUBLIC_URL="https://events.example.com"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "plain": [301, "https://events.example.com/admin/login/"],
        "hsts": "max-age=31536000; includeSubDomains; preload",
        "cookie": [True, "/", "", "Lax"],
        "probe": 200,
        "session": ["__Host-sessionid", True, True],
        "origins": ["https://events.example.com"],
        "other host": 400,
    }


def ask(port: int, path: str, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.processes
def test_the_server_limits_the_line_and_the_headers(gunicorn_port: int) -> None:
    wait_until(lambda: ask(gunicorn_port, "/healthz", {}) == 200, 40, "the web")
    assert ask(gunicorn_port, "/healthz?" + "a" * 8000, {}) == 200
    assert 400 <= ask(gunicorn_port, "/healthz?" + "a" * 9000, {}) < 500
    assert 400 <= ask(gunicorn_port, "/healthz", {"X-Long": "a" * 9000}) < 500
    assert 400 <= ask(gunicorn_port, "/healthz", {f"X-{number}": "a" for number in range(80)}) < 500
    assert ask(gunicorn_port, "/instances", {"Host": "evil.example"}) == 400
