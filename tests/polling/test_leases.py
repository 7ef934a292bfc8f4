"""Leases: one holder at a time, and whoever was overtaken writes nothing."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.apps import apps
from django.db import OperationalError, connection, transaction
from django.utils import timezone

import polling
from polling.models import Health, PollState
from polling.models.leased import leased_rows
from polling.workers import leases
from polling.workers.heartbeats import lease_signature
from polling.workers.leases import (
    LeaseLostError,
    claim,
    fence,
    release,
    release_or_owe,
    release_owed,
)
from tests.support.polled_instance import PolledInstance

MINUTE = timedelta(minutes=1)


@pytest.fixture
def key(watched: PolledInstance) -> int:
    """A poll that nobody holds."""
    return watched.state.resource_poll_id


def state() -> PollState:
    return PollState.objects.get()


def test_a_claim_takes_what_is_free_and_names_its_cluster_and_its_end(key: int) -> None:
    now = timezone.now()
    token, keys = claim(PollState.objects.all(), [key], now=now, length=MINUTE)
    assert keys == [key]
    assert (state().lease_token, state().lease_until) == (token, now + MINUTE)
    assert token.startswith(lease_signature())


def test_what_is_claimed_is_claimed_by_nobody_else_until_its_end_has_passed(key: int) -> None:
    now = timezone.now()
    first, _ = claim(PollState.objects.all(), [key], now=now, length=MINUTE)
    for later in (timedelta(0), MINUTE):
        assert claim(PollState.objects.all(), [key], now=now + later, length=MINUTE)[1] == []
    assert state().lease_token == first
    after = now + MINUTE + timedelta(microseconds=1)
    second, keys = claim(PollState.objects.all(), [key], now=after, length=MINUTE)
    assert keys == [key]
    assert state().lease_token == second != first


def test_what_is_due_no_more_or_was_not_chosen_is_left_alone(key: int) -> None:
    now = timezone.now()
    assert claim(PollState.objects.filter(health=Health.PAUSED), [key], now=now, length=MINUTE)[1] == []
    assert claim(PollState.objects.all(), [], now=now, length=MINUTE)[1] == []
    assert state().lease_token is None


def test_of_many_those_are_ours_that_nobody_else_holds(world: PolledInstance) -> None:
    world.watch(event__poller__configuration={"contacts": {}, "incidents": {}, "organizations": {}})
    now = timezone.now()
    held, *free = sorted(PollState.objects.values_list("pk", flat=True))
    claim(PollState.objects.all(), [held], now=now, length=MINUTE)
    _, keys = claim(PollState.objects.all(), [held, *free], now=now, length=MINUTE)
    assert sorted(keys) == free


def test_a_fence_writes_for_the_holder_and_for_nobody_else(key: int) -> None:
    now = timezone.now()
    old, _ = claim(PollState.objects.all(), [key], now=now - MINUTE, length=timedelta(seconds=1))
    new, _ = claim(PollState.objects.all(), [key], now=now, length=MINUTE)
    fence(PollState, key, new, last_error="mine")
    with pytest.raises(LeaseLostError, match=f"PollState {key} was taken over"):
        fence(PollState, key, old, last_error="not mine")
    with pytest.raises(LeaseLostError):
        fence(PollState, key + 1, new, last_error="another row")
    assert state().last_error == "mine"


def test_a_lease_that_ran_out_and_nobody_took_still_holds(key: int) -> None:
    token, _ = claim(PollState.objects.all(), [key], now=timezone.now() - 2 * MINUTE, length=MINUTE)
    fence(PollState, key, token, last_error="late, and alone")
    assert state().last_error == "late, and alone"


def test_a_release_frees_ones_own_and_leaves_what_was_taken_over(key: int) -> None:
    token, _ = claim(PollState.objects.all(), [key], now=timezone.now(), length=MINUTE)
    release(PollState, [key], "somebody else's")
    release(PollState, [], token)
    assert state().lease_token == token
    release(PollState, [key], token)
    assert (state().lease_token, state().lease_until) == (None, None)


def test_what_can_not_be_released_is_owed_until_the_database_is_back(key: int) -> None:
    token, _ = claim(PollState.objects.all(), [key], now=timezone.now(), length=MINUTE)

    def away(*_: object) -> None:
        raise OperationalError("gone")

    with connection.execute_wrapper(away):
        release_or_owe(PollState, [key], token)
        transaction.set_rollback(False)  # the test's own transaction is well
        with pytest.raises(OperationalError):
            release_owed()
        transaction.set_rollback(False)
    assert state().lease_token == token
    release_owed()
    assert state().lease_token is None
    assert leases._owed == []


def test_whatever_has_a_lease_is_among_the_leased_rows() -> None:
    columns = {model for model in apps.get_models() if any(field.name == "lease_token" for field in model._meta.fields)}
    assert columns == {rows.model for rows in leased_rows()}
    assert all(any("lease_token" in index.fields for index in model._meta.indexes) for model in columns)


def test_a_lease_ends_in_one_place() -> None:
    ends = re.compile(r"""lease_token['"]?\s*[=:]\s*None""")
    root = Path(polling.__file__).parent
    found = {path.relative_to(root).as_posix() for path in root.rglob("*.py") if ends.search(path.read_text("utf-8"))}
    assert found == {"models/leased.py"}
