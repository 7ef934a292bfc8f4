"""manage.py issue_secrets."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from instances.api.authentication import find_caller
from instances.credentials.limits import limits_of_key
from instances.models import ApiUser, AuditEntry, Organization

pytestmark = pytest.mark.django_db


def issue(*arguments: str) -> str:
    out = io.StringIO()
    call_command("issue_secrets", "--organization", "Alpha", *arguments, stdout=out)
    return out.getvalue()


def test_both_secrets_are_printed_once_and_work() -> None:
    made = json.loads(issue("--user", "alice", "--json"))
    assert find_caller(f"User {made['user']}, Organization {made['organization']}") is not None
    assert Organization.objects.get().secret_hash != made["organization"]


def test_a_second_time_it_says_so_and_fails() -> None:
    issue("--user", "alice")
    with pytest.raises(CommandError, match="--rotate"):
        issue("--user", "alice")


def test_rotate_replaces_both() -> None:
    first = json.loads(issue("--user", "alice", "--json"))
    second = json.loads(issue("--user", "alice", "--json", "--rotate"))
    assert set(first) == set(second) == {"user", "organization"}
    assert find_caller(f"User {first['user']}, Organization {second['organization']}") is None


def test_a_second_user_gets_a_secret_and_the_organization_keeps_its_own() -> None:
    first = json.loads(issue("--user", "alice", "--json"))
    second = json.loads(issue("--user", "bob", "--json"))
    assert set(second) == {"user"}
    assert find_caller(f"User {second['user']}, Organization {first['organization']}") is not None
    assert ApiUser.objects.count() == 2


def test_the_text_for_people_holds_the_whole_header() -> None:
    header = issue("--user", "alice").partition("Authorization: ")[2].strip()
    assert find_caller(header) is not None


def test_a_blank_name_is_refused() -> None:
    with pytest.raises(CommandError, match="1 to 200"):
        issue("--user", " ")


@pytest.mark.parametrize(
    ("arguments", "writes"),
    [
        ((), False),
        (("--may-write",), True),
        (("--scope", "write"), True),
        (("--scope", "manage", "--may-write"), True),
        (("--scope", "read"), False),
    ],
)
def test_the_right_to_write_is_given_by_name(arguments: tuple[str, ...], writes: bool) -> None:
    issue("--user", "alice", *arguments)
    assert limits_of_key(ApiUser.objects.get()).writes is writes
    assert AuditEntry.objects.latest("pk").details.get("writes_to_connectwise", False) is writes


def test_a_key_that_only_reads_is_given_no_right_to_write() -> None:
    with pytest.raises(CommandError, match=r"--may-write: .*writes nothing"):
        issue("--user", "alice", "--scope", "read", "--may-write")
    assert not ApiUser.objects.exists()


def test_a_key_that_replaces_another_may_write_where_that_one_did() -> None:
    issue("--user", "alice", "--may-write")
    issue("--user", "alice", "--rotate")
    assert limits_of_key(ApiUser.objects.get()).writes
    issue("--user", "alice", "--rotate", "--scope", "read")
    assert not limits_of_key(ApiUser.objects.get()).writes
