"""Guesses of passwords, codes and secrets: counted by network and by account, and nobody locks an owner out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core import signing
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from cwconnect.core.client_ip import client_network
from cwconnect.site.periodic_jobs import delete_old_counts
from instances import guesses
from instances.accounts import first_start_code
from instances.known_browsers import ADDRESS_AGE
from instances.models import FailureCount, SignIn
from instances.sign_ins import delete_old_sign_ins

PASSWORD = "a long enough password"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROUTES = ("signin", "admin:login")
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(NOON, tick=False) as travelling:
        yield travelling


@pytest.fixture
def olga() -> User:
    return User.objects.create_superuser("olga", password=PASSWORD)


def attempt(
    client: Client, address: str, *, route: str = "signin", name: str = "olga", password: str = PASSWORD
) -> int:
    """Try to sign in; give the status: 302 lets in."""
    form = {"username": name, "password": password}
    return client.post(reverse(route), form, REMOTE_ADDR=address).status_code


def guess(addresses: list[str], *, route: str = "signin", name: str = "olga") -> list[int]:
    """Guess once from each address, each time in a new browser."""
    return [attempt(Client(), each, route=route, name=name, password=f"guess {each}") for each in addresses]


def one_network() -> list[str]:
    return [f"2001:db8:0:7:{number:x}::{number:x}" for number in range(1, 26)]


def many_networks() -> list[str]:
    return [f"198.51.100.{number}" for number in range(1, 14)] + [f"2001:db8:0:{n:x}::1" for n in range(1, 13)]


@pytest.mark.parametrize("route", ROUTES)
def test_guesses_from_one_network_of_ipv6_count_together(olga: User, route: str) -> None:
    statuses = guess(one_network(), route=route)
    assert statuses == [200] * 9 + [429] * 16
    assert attempt(Client(), "2001:db8:0:7:ffff::1", route=route) == 429
    assert attempt(Client(), "2001:db8:0:8::1", route=route) == 302


def test_names_make_no_difference_to_a_network(olga: User) -> None:
    for number, address in enumerate(one_network()):
        guess([address], name=f"name{number}")
    assert attempt(Client(), "2001:db8:0:7::1") == 429


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", ["olga", "nobody"])
def test_guesses_at_one_account_from_many_networks_meet_a_delay(olga: User, route: str, name: str) -> None:
    statuses = guess(many_networks(), route=route, name=name)
    assert statuses == [200] * 14 + [429] * 11
    assert attempt(Client(), "203.0.113.9", route=route, name=name) == 429


def test_the_delay_grows_and_each_time_one_guess_is_let_through(olga: User, clock: Any) -> None:
    guess(many_networks())
    waits = []
    for number in range(7):
        client = Client()
        form = {"username": "olga", "password": "wrong"}
        refused = client.post(reverse("signin"), form, REMOTE_ADDR=f"203.0.113.{number}")
        waits.append(int(refused.headers["Retry-After"]))
        clock.shift(timedelta(seconds=waits[-1]))
        assert attempt(Client(), f"192.0.2.{number}", password="wrong") == 429  # looked at, wrong, and has to wait
    assert waits == [60, 120, 240, 480, 900, 900, 900]
    clock.shift(timedelta(minutes=15))
    assert attempt(Client(), "192.0.2.99") == 302


def test_at_the_end_of_a_delay_no_two_guesses_pass(olga: User) -> None:
    key = guesses.key_of(guesses.ACCOUNT, "olga")
    FailureCount.objects.create(key=key, failures=20, last_at=NOON - timedelta(hours=1))
    assert guesses.take_turn(key, NOON) == guesses.NONE
    assert guesses.take_turn(key, NOON) == timedelta(minutes=15)


def test_a_clock_that_was_ahead_locks_nobody_out_until_then(olga: User) -> None:
    key = guesses.key_of(guesses.ACCOUNT, "olga")
    FailureCount.objects.create(key=key, failures=20, last_at=NOON + timedelta(days=400))
    assert attempt(Client(), "203.0.113.9") == 302


def test_a_day_after_the_last_failure_the_count_begins_anew(olga: User, clock: Any) -> None:
    guess(many_networks())
    clock.shift(timedelta(days=1, seconds=1))
    assert attempt(Client(), "203.0.113.9", password="wrong") == 200
    assert delete_old_counts(timezone.now()) == 0
    assert delete_old_counts(timezone.now() + timedelta(days=2)) == 1


def test_strangers_do_not_lock_out_the_browser_of_the_owner(olga: User) -> None:
    browser = Client()
    assert attempt(browser, "203.0.113.1") == 302
    browser.post(reverse("signout"))
    guess(many_networks())
    assert attempt(Client(), "203.0.113.9") == 429
    assert attempt(browser, "203.0.113.9") == 302


def test_not_even_a_neighbour_at_the_same_address_does(olga: User) -> None:
    browser = Client()
    assert attempt(browser, "203.0.113.1") == 302
    browser.post(reverse("signout"))
    guess(["203.0.113.1"] * 25)
    assert attempt(Client(), "203.0.113.1") == 429
    assert attempt(browser, "203.0.113.1") == 302


def test_strangers_do_not_lock_out_the_address_of_the_owner(olga: User, clock: Any) -> None:
    assert attempt(Client(), "2001:db8:aa:1::5") == 302
    guess(many_networks())
    assert attempt(Client(), "2001:db8:aa:1:77::1") == 302
    assert attempt(Client(), "2001:db8:aa:2::5") == 429
    clock.shift(ADDRESS_AGE + timedelta(hours=1))
    guess(many_networks())
    assert attempt(Client(), "2001:db8:aa:1::5") == 429


def test_a_known_browser_is_counted_by_itself(olga: User) -> None:
    browser = Client()
    attempt(browser, "203.0.113.1")
    browser.post(reverse("signout"))
    statuses = [attempt(browser, f"198.51.100.{number}", password="wrong") for number in range(25)]
    assert statuses == [200] * 9 + [429] * 16
    assert attempt(browser, "198.51.100.99") == 429
    assert attempt(Client(), "198.51.100.98") == 302


def test_a_cookie_knows_one_account_alone_and_can_not_be_made_up(olga: User) -> None:
    eve = User.objects.create_user("eve", password=PASSWORD)
    known = Client()
    attempt(known, "203.0.113.1", name="eve")
    guess(many_networks())
    own = known.cookies[f"known-{eve.pk}"].value
    for value in (own, own[:-1], "", "[1,2]", signing.dumps([olga.pk, "x"], salt="another"), signing.dumps(7)):
        forger = Client()
        forger.cookies[f"known-{olga.pk}"] = value
        assert attempt(forger, "203.0.113.9") == 429


def test_the_cookie_is_for_the_server_alone(olga: User, settings: Settings) -> None:
    browser = Client()
    attempt(browser, "203.0.113.1")
    cookie = browser.cookies[f"known-{olga.pk}"]
    assert cookie["httponly"]
    assert (cookie["samesite"], cookie["path"], cookie["secure"]) == ("Lax", "/", "")
    settings.SESSION_COOKIE_SECURE = True
    attempt(secure := Client(), "203.0.113.1")
    assert secure.cookies[f"__Host-known-{olga.pk}"]["secure"]


def test_the_present_password_can_not_be_guessed_by_who_holds_a_session(olga: User) -> None:
    thief = Client()
    thief.force_login(olga)
    changed = {"new_password1": "another long password", "new_password2": "another long password"}
    given = [f"guess {number}" for number in range(25)] + [PASSWORD]
    answers = [thief.post(reverse("password"), {"old_password": each, **changed}).status_code for each in given]
    assert answers == [200] * 9 + [429] * 17
    olga.refresh_from_db()
    assert olga.check_password(PASSWORD)


def test_the_admin_changes_ones_own_password_on_the_same_page(olga: User) -> None:
    client = Client()
    client.force_login(olga)
    answer = client.post("/admin/password_change/", {"old_password": "guess"})
    assert (answer.status_code, answer.headers["Location"]) == (302, reverse("password"))


def start(address: str, code: str) -> int:
    """Try to make the first account; give the status: 302 made it."""
    form = {"code": code, "username": "olga", "password": PASSWORD, "organization": "Alpha"}
    return Client().post(reverse("first-start"), form, REMOTE_ADDR=address).status_code


def test_the_code_of_the_first_start_can_not_be_guessed() -> None:
    assert [start(address, "0" * 20) for address in one_network()] == [200] * 9 + [429] * 16
    assert start("2001:db8:0:7::1", first_start_code()) == 429
    assert not User.objects.exists()
    assert start("203.0.113.9", first_start_code()) == 302


def test_secrets_of_the_api_are_counted_by_network_too(tenant: object) -> None:
    def status(address: str, header: str) -> int:
        return Client().get("/instances", headers={"Authorization": header}, REMOTE_ADDR=address).status_code

    for parts in ("User a{0}, Organization b", "User a, Element b{0}", "User a{0}, Organization b, Element c"):
        addresses = [f"2001:db8:0:{len(parts):x}:{number:x}::1" for number in range(61)]
        found = [status(address, parts.format(number)) for number, address in enumerate(addresses)]
        assert found == [401] * 60 + [429]
    assert status("2001:db8:ffff::1", "User a, Organization b") == 401


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("64:ff9b::c000:201", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("::1", "::"),
        ("", "::"),
        ("unix:", "::"),
    ],
)
def test_what_guesses_are_counted_by(address: str, network: str) -> None:
    assert client_network(RequestFactory(REMOTE_ADDR=address).get("/")) == network


def test_whoever_has_no_address_is_counted_and_never_known(olga: User) -> None:
    assert attempt(Client(), "") == 302
    assert guess([""] * 25)[-1] == 429
    assert attempt(Client(), "") == 429


def test_what_was_typed_is_not_kept(olga: User) -> None:
    guess(["198.51.100.1"], name="my secret, in the wrong field")
    assert "wrong field" not in str(list(FailureCount.objects.values()))


@pytest.mark.parametrize(("failures", "minutes"), [(0, 0), (9, 0), (10, 1), (11, 2), (13, 8), (14, 15), (10_000, 15)])
def test_how_long_a_delay_is(failures: int, minutes: int) -> None:
    assert guesses.delay_after(failures, 10) == timedelta(minutes=minutes)


def test_old_sign_ins_are_forgotten(olga: User) -> None:
    attempt(Client(), "203.0.113.1")
    assert delete_old_sign_ins(NOON + ADDRESS_AGE) == 0
    assert delete_old_sign_ins(NOON + ADDRESS_AGE + timedelta(days=1)) == 1
    assert not SignIn.objects.exists()
