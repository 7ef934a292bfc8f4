"""Limits of keys and tokens: networks as people write them, both versions' columns, what a replacement keeps."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from cwconnect.core.client_ip import address_in
from cwconnect.core.networks import are_within, holds, read_networks
from instances.api.authentication import find_caller
from instances.credentials.limits import Limits, limits_of_key, limits_of_token, put_key_limits, put_token_limits
from instances.credentials.tokens import replace_token
from instances.models import ApiUser, AuditEntry, Instance
from instances.scopes import Scope
from tests.api.conftest import Watched
from tests.conftest import Tenant


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("203.0.113.9", "203.0.113.9/32"),
        ("2001:DB8:0:0::/32", "2001:db8::/32"),
        ("2001:db8::1", "2001:db8::1/128"),
        (" 10.0.0.0/8 ", "10.0.0.0/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::ffff:203.0.113.9", "203.0.113.9/32"),
    ],
)
def test_a_network_is_kept_in_its_shortest_form(written: str, kept: str) -> None:
    assert read_networks([written, written]) == [kept]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("10.1.2.3/8", "10.0.0.0/8 is that network"),
        ("1.2.3.4/0", "0.0.0.0/0 is that network"),
        ("2001:db8::1/32", "2001:db8::/32 is that network"),
        ("::ffff:203.0.113.9/120", "203.0.113.0/24 is that network"),
        ("fe80::1%eth0", "zone"),
        ("fe80::%25eth0/64", "zone"),
        ("10.0.0.0/33", "no network"),
        ("10.0.0.0/-1", "no network"),
        ("10.0.0.0/255.0.0.0", "no network"),
        ("10.0.0.0/", "no network"),
        ("010.0.0.0/8", "no network"),
        ("10.0.0", "no network"),
        ("167772160", "no network"),
        ("localhost", "no network"),
        ("*", "no network"),
        ("", "no network"),
        ("[::1]/128", "no network"),
        ("10.0.0.0/8\x00", "no network"),
        ("١٠.0.0.0/8", "no network"),
        ("1" * 100_000, "no network"),
    ],
)
def test_what_is_no_network_is_refused_with_what_would_be_one(written: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        read_networks(["10.0.0.0/8", written])
    assert len(str(error.value)) < 250
    assert str(error.value).isprintable()


def test_a_list_has_its_end() -> None:
    assert len(read_networks(f"10.0.{number}.0/24" for number in range(100))) == 100
    with pytest.raises(ValueError, match="more than 100"):
        read_networks("10.0.0.0/8" for _ in range(10**9))


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    with suppress(ValueError):
        (kept,) = read_networks([text])
        assert read_networks([kept]) == [kept]


@pytest.mark.parametrize(
    ("networks", "address", "inside"),
    [
        ((), "203.0.113.9", True),
        ((), "", True),
        (("203.0.113.0/24",), "203.0.113.9", True),
        (("203.0.113.0/24",), "::ffff:203.0.113.9", True),
        (("203.0.113.0/24",), "203.0.114.9", False),
        (("203.0.113.0/24",), "", False),
        (("203.0.113.0/24",), "unix:", False),
        (("0.0.0.0/0",), "2001:db8::1", False),
        (("::/0",), "203.0.113.9", False),
        (("::/0",), "::ffff:203.0.113.9", False),
        (("0.0.0.0/0", "::/0"), "2001:db8::1", True),
        (("2001:db8::/32",), "2001:db8:ffff::1", True),
        (("fe80::/10",), "fe80::1%eth0", True),
    ],
)
def test_an_address_is_in_a_network_or_not(networks: tuple[str, ...], address: str, inside: bool) -> None:
    assert holds(networks, address_in(address)) is inside


def test_networks_lie_within_others() -> None:
    outer = ("10.0.0.0/8", "2001:db8::/32")
    for inner in (("10.1.0.0/16",), ("2001:db8:1::/48", "10.0.0.0/8")):
        assert are_within(inner, outer)
        assert are_within(inner, ())
    outside: list[tuple[str, ...]] = [(), ("11.0.0.0/8",), ("10.0.0.0/7",), ("10.1.0.0/16", "::/0")]
    for other in outside:
        assert not are_within(other, outer)


# What version 0.1 says of a key, what this one does, and what it may.
@pytest.mark.parametrize(
    ("may_write", "scope", "effective"),
    [
        (True, "", Scope.MANAGE),  # made by version 0.1
        (False, "", Scope.READ),
        (True, "manage", Scope.MANAGE),
        (False, "write", Scope.WRITE),
        (False, "read", Scope.READ),
        (False, "manage", Scope.READ),  # narrowed by version 0.1
        (True, "write", Scope.WRITE),  # widened there: what was narrow here stays so
        (True, "read", Scope.READ),
        (True, "a scope of the next version", Scope.READ),
    ],
)
def test_of_two_versions_columns_the_narrower_holds(may_write: bool, scope: str, effective: Scope) -> None:
    assert ApiUser(may_write=may_write, scope=scope).effective_scope is effective


@pytest.mark.parametrize("scope", Scope)
def test_version_0_1_lets_no_key_do_more_than_this_one(scope: Scope) -> None:
    user = ApiUser()
    put_key_limits(user, Limits(scope))
    assert user.effective_scope is scope
    assert user.may_write is (scope is Scope.MANAGE)


@pytest.mark.django_db
def test_rows_of_version_0_1_are_written_beside_this_one_and_may_what_it_says(tenant: Tenant) -> None:
    insert = (
        "INSERT INTO instances_apiuser (organization_id, name, secret_hash, may_write, created_at)"
        " VALUES (%s, %s, %s, %s, %s)"
    )
    with connection.cursor() as cursor:
        for name, may_write in (("old writer", True), ("old reader", False)):
            values: list[int | str | datetime] = [tenant.organization.pk, name, name, may_write, timezone.now()]
            cursor.execute(insert, values)
    found = {user.name: limits_of_key(user) for user in ApiUser.objects.exclude(name="alice")}
    assert found == {"old writer": Limits(Scope.MANAGE), "old reader": Limits(Scope.READ)}


@pytest.fixture
def watched(tenant: Tenant) -> Watched:
    return Watched(tenant)


def caller_limits(tenant: Tenant, token: str) -> list[Limits]:
    caller = find_caller(f"User {tenant.user_secret}, Element {token}")
    return [] if caller is None else list(caller.limits["Element token"])


@pytest.mark.django_db
def test_a_wider_token_does_not_widen_the_former_one(tenant: Tenant, watched: Watched) -> None:
    put_token_limits(watched.instance, Limits(Scope.READ, ("10.0.0.0/8",)))
    watched.instance.save()
    token = replace_token(watched.instance, timezone.now(), limits=Limits())
    assert caller_limits(tenant, token) == [Limits()]
    assert caller_limits(tenant, watched.token) == [Limits(), Limits(Scope.READ, ("10.0.0.0/8",))]


@pytest.mark.django_db
def test_a_narrower_token_narrows_the_former_one_at_once(tenant: Tenant, watched: Watched) -> None:
    narrow = Limits(Scope.READ, ("10.0.0.0/8",))
    token = replace_token(watched.instance, timezone.now(), limits=narrow)
    assert caller_limits(tenant, token) == [narrow]
    assert caller_limits(tenant, watched.token) == [narrow, Limits()]


@pytest.mark.django_db
def test_replaced_in_silence_a_token_keeps_its_limits_but_for_its_end(watched: Watched) -> None:
    now = timezone.now()
    put_token_limits(watched.instance, Limits(Scope.WRITE, ("10.0.0.0/8",), expires_at=now + timedelta(hours=1)))
    watched.instance.save()
    replace_token(watched.instance, now)
    after = Instance.objects.get()
    assert limits_of_token(after) == Limits(Scope.WRITE, ("10.0.0.0/8",))
    assert after.previous_token_until == now + timedelta(hours=1)  # not the day that it would have been


@pytest.mark.django_db
def test_a_token_ends_when_it_expires_and_a_key_with_it(tenant: Tenant, watched: Watched) -> None:
    for ends, good in ((timedelta(minutes=1), True), (timedelta(seconds=-1), False)):
        Instance.objects.update(token_expires_at=timezone.now() + ends)
        assert (find_caller(watched.auth) is not None) is good
    Instance.objects.update(token_expires_at=None)
    ApiUser.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert find_caller(watched.auth) is None


@pytest.mark.django_db
def test_the_audit_log_has_what_a_token_was_and_is(watched: Watched) -> None:
    replace_token(watched.instance, timezone.now(), limits=Limits(Scope.READ, ("10.0.0.0/8", "::/0")))
    details = AuditEntry.objects.latest("pk").details
    assert (details["scope"], details["networks"]) == (["manage", "read"], [None, "10.0.0.0/8, ::/0"])


def issue(*arguments: str) -> str:
    out = StringIO()
    call_command("issue_secrets", "--organization", "Alpha", "--user", "bob", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_the_command_makes_a_narrow_key_and_rotates_it(tenant: Tenant) -> None:
    issue("--scope", "read", "--network", "10.0.0.0/8", "--network", "2001:db8::/32", "--expires", "30")
    first = limits_of_key(ApiUser.objects.get(name="bob"))
    assert (first.scope, first.networks) == (Scope.READ, ("10.0.0.0/8", "2001:db8::/32"))
    assert first.expires_at is not None
    assert timedelta(days=29) < first.expires_at - timezone.now() <= timedelta(days=30)
    issue("--rotate", "--scope", "write")
    assert limits_of_key(ApiUser.objects.get(name="bob")) == Limits(Scope.WRITE, first.networks, writes=True)
    assert AuditEntry.objects.latest("pk").details["scope"] == ["read", "write"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--network", "10.0.0.1/8"), "--network: .*10.0.0.0/8"),
        (("--expires", "2020-01-01T00:00:00Z"), "--expires: .*to come"),
        (("--expires", "0"), "--expires: .*to come"),
        (("--expires", "99999"), "--expires: must be at most"),
        (("--expires", "soon"), "--expires must be a time"),
        (("--scope", "all"), "invalid choice"),
    ],
)
def test_the_command_names_the_option_at_fault(tenant: Tenant, arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        issue(*arguments)
    assert not ApiUser.objects.filter(name="bob").exists()


@pytest.mark.django_db
def test_the_command_makes_a_narrow_token(tenant: Tenant, watched: Watched) -> None:
    call_command("new_token", watched.instance.pk, "--scope", "read", "--network", "::1", stdout=StringIO())
    assert limits_of_token(Instance.objects.get()) == Limits(Scope.READ, ("::1/128",))
