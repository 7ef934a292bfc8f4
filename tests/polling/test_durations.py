"""Lengths of time as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwconnect.core.durations import DurationError, read_durations, write_durations


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [("", []), ("0, 5s, 5m, 2H, 1 d", [0, 5, 300, 7200, 86_400]), (" 90 ,, 1.5m", [90, 90]), ("0.25", [0.25])],
)
def test_they_are_read(typed: str, seconds: list[float]) -> None:
    assert read_durations(typed) == seconds


@pytest.mark.parametrize("typed", ["soon", "5 minutes", "-1", "5s 5m", "1e3", "٣", "9" * 10])
def test_what_is_none_is_named(typed: str) -> None:
    with pytest.raises(DurationError, match="is no length of time"):
        read_durations(f"0, {typed}")


@pytest.mark.parametrize(
    ("seconds", "text"), [([], ""), ([0, 90, 300, 7200, 86_400, 90_000], "0, 90s, 5m, 2h, 1d, 25h"), ([0.25], "0.25s")]
)
def test_they_are_written_by_the_largest_unit_that_they_are_whole_in(seconds: list[float], text: str) -> None:
    assert write_durations(seconds) == text


@given(st.lists(st.integers(0, 10**8) | st.integers(0, 10**9).map(lambda number: number / 1000)))
def test_what_is_written_is_read_as_it_was(seconds: list[float]) -> None:
    assert read_durations(write_durations(seconds)) == seconds
