"""Chains of notifications that are sent again: no record's events in another order, and one link each."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from polling.delivery.replay.chains import Chains

HISTORIES = st.lists(st.sets(st.integers(0, 6), max_size=3), max_size=12)


def chained(carried: Sequence[set[int]]) -> dict[int, int]:
    """Return what each notification follows; the number of a notification is its place."""
    chains = Chains()
    for notification, records in enumerate(carried):
        chains.add(notification, records)
    return chains.follows


def line_before(notification: int, follows: dict[int, int]) -> list[int]:
    """Return all that must have gone before, the nearest first."""
    line: list[int] = []
    while notification in follows:
        notification = follows[notification]
        assert notification not in line, "a ring, in which all wait for ever"
        line.append(notification)
    return line


@given(HISTORIES)
def test_what_shares_a_record_goes_in_its_order(carried: list[set[int]]) -> None:
    follows = chained(carried)
    for later, records in enumerate(carried):
        line = line_before(later, follows)
        for earlier in range(later):
            assert not records & carried[earlier] or earlier in line


@given(HISTORIES)
def test_no_two_follow_the_same(carried: list[set[int]]) -> None:
    follows = chained(carried)
    assert len(set(follows.values())) == len(follows)


def test_what_shares_nothing_waits_for_nothing() -> None:
    assert chained([{1}, {2}, {3}, set()]) == {}


def test_two_chains_that_meet_are_put_behind_each_other() -> None:
    assert chained([{1}, {2}, {1}, {2}, {1, 2}]) == {2: 0, 3: 1, 1: 2, 4: 3}
