"""The short cut for ConnectWise's own stamps gives what reading by the pattern's parts gives."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cwconnect.connectwise.java_dates import PatternError, compile_pattern, parse_zone
from cwconnect.connectwise.java_dates.parsing import read_by_tokens
from cwconnect.connectwise.java_dates.patterns import SECONDS

PATTERN = compile_pattern(SECONDS)
ZONES = st.sampled_from(["GMT", "EST", "-6:00", "+0530", "America/Denver", "Europe/Dublin", "Australia/Lord_Howe"])
STAMPS = st.datetimes().map(lambda moment: f"{moment.isoformat(timespec='seconds')}Z")
NEAR_STAMPS = st.from_regex(r"\d{4}-\d\d-[0-3]\d[T ][0-6]\d:\d\d:[0-6]\d(\.\d+)?(Z|z|\+01:00)?\s?", fullmatch=True)


def by_parts(text: str, zone: tzinfo) -> datetime | str:
    try:
        return read_by_tokens(PATTERN.text, PATTERN.tokens, text, zone)
    except PatternError as error:
        return str(error)


def parsed(text: str, zone: tzinfo) -> datetime | str:
    try:
        return PATTERN.parse(text, zone)
    except PatternError as error:
        return str(error)


@given(STAMPS | NEAR_STAMPS | st.text(max_size=25), ZONES)
@example("2026-03-08T02:30:00Z", "America/Denver")  # skipped
@example("2026-11-01T01:30:00Z", "America/Denver")  # shown twice
@example("2026-02-29T00:00:00Z", "GMT")
@example("2026-01-01T24:00:00Z", "GMT")
@example("2026-01-01T00:00:60Z", "GMT")
@example("0001-01-01T00:00:00Z", "+0530")
@example("9999-12-31T23:59:59Z", "EST")
@example("٢٠٢٦-01-01T00:00:00Z", "GMT")
def test_the_short_cut_and_the_parts_agree(text: str, zone: str) -> None:
    assert parsed(text, parse_zone(zone)) == by_parts(text, parse_zone(zone))


@pytest.mark.parametrize("zone", ["GMT", "America/Denver"])
def test_what_is_read_is_in_utc(zone: str) -> None:
    assert PATTERN.parse("2018-07-31T19:39:46Z", parse_zone(zone)).tzinfo is UTC
