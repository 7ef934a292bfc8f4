"""Patterns, zones and templates, beyond what the tables made by Java show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from time import process_time

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from cwconnect.connectwise.java_dates import (
    PatternError,
    ZoneError,
    compile_pattern,
    looks_iso,
    parse_zone,
    read_iso,
)

QUOTED_Z = "yyyy-MM-dd'T'HH:mm:ss'Z'"
MOMENT = datetime(2018, 7, 31, 19, 39, 46, tzinfo=UTC)
ZONES = [
    *("UTC", "GMT", "EST", "CST", "PST", "IST", "-6:00", "+0530", "GMT+2", "Z", "America/Denver", "Europe/London"),
    *(
        "Europe/Dublin",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "America/St_Johns",
        "Pacific/Apia",
        "America/Sao_Paulo",
    ),
]


@pytest.mark.parametrize(
    ("name", "hours"),
    [
        ("EST", -5), ("est", -5), ("MST", -7), ("HST", -10), ("GMT", 0), ("utc", 0), ("Z", 0), ("z", 0),
        ("-6:00", -6), ("+0530", 5.5), ("+05:30", 5.5), ("GMT+2", 2), ("gmt-06:00", -6), ("UTC+1", 1), ("-3", -3),
        ("CST", -5), ("PST", -7), ("IST", 5.5), ("JST", 9), ("AST", -8), ("America/Denver", -6), ("america/denver", -6),
        (" Europe/Berlin ", 2), ("Etc/GMT+5", -5), ("EST5EDT", -4),
    ],
)  # fmt: skip
def test_a_zone_is_known_by_each_of_its_spellings(name: str, hours: float) -> None:
    assert MOMENT.astimezone(parse_zone(name)).utcoffset() == timedelta(hours=hours)


@pytest.mark.parametrize(
    "name", ["", "Mars/Base", "EDT?", "+25:00", "6:00", "GMT+2:99", "localtime", "../../etc/passwd", "\x00", "+" * 90]
)
def test_an_unknown_zone_is_named(name: str) -> None:
    with pytest.raises(ZoneError) as caught:
        parse_zone(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("yyyy-MM-ddTHH:mm:ss", "'T'"),
        ("yyyy-bb", "'b'"),
        ("e", "'e'"),
        ("XXXX", "XXXX"),
        ("yyyy'T", "character 5"),
        ("'", "character 1"),
        ("", "empty"),
        ("y" * 401, "401"),
        ("Milliseconds", "'i'"),
    ],
)
def test_a_bad_pattern_is_refused_by_name(pattern: str, named: str) -> None:
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "zone", "text", "expected"),
    [
        # A fraction or an offset that the pattern lacks.
        (QUOTED_Z, "UTC", "2018-07-31T19:39:46Z", "2018-07-31T19:39:46+00:00"),
        (QUOTED_Z, "UTC", "2018-07-31T19:39:46.123+02:00", "2018-07-31T17:39:46.123+00:00"),
        (QUOTED_Z, "UTC", "2018-07-31T19:39:46.5Z", "2018-07-31T19:39:46.500+00:00"),
        (QUOTED_Z, "UTC", "2018-07-31T19:39:46-0600", "2018-08-01T01:39:46+00:00"),
        (QUOTED_Z, "UTC", "2018-07-31T19:39:46", "2018-07-31T19:39:46+00:00"),
        ("yyyy-MM-dd HH:mm:ss", "EST", "2018-07-31 19:39:46 +02:00", "2018-07-31T17:39:46+00:00"),
        ("yyyy-MM-dd HH:mm:ss", "EST", "2018-07-31 19:39:46Z", "2018-07-31T19:39:46+00:00"),
        ("MM/dd/yyyy HH:mm:ss", "EST", "07/31/2018 19:39:46.25", "2018-08-01T00:39:46.250+00:00"),
        ("MM/dd/yyyy HH:mm:ss", "EST", "07/31/2018 19:39:46,25-06", "2018-08-01T01:39:46.250+00:00"),
        ("yyyy-MM-dd hh:mm:ss a", "EST", "2018-07-31 07:39:46.5 PM +02:00", "2018-07-31T17:39:46.500+00:00"),
        # A quoted 'Z' says nothing of the zone; an offset in the text does.
        (QUOTED_Z, "EST", "2018-07-31T19:39:46Z", "2018-08-01T00:39:46+00:00"),
        (QUOTED_Z, "EST", "2018-07-31T19:39:46.5Z", "2018-08-01T00:39:46.500+00:00"),
        ("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", "EST", "2018-07-31T19:39:46Z", "2018-08-01T00:39:46+00:00"),
        (QUOTED_Z, "EST", "2018-07-31T19:39:46+00:00", "2018-07-31T19:39:46+00:00"),
        ("yyyy-MM-dd'T'HH:mm:ssXXX", "EST", "2018-07-31T19:39:46Z", "2018-07-31T19:39:46+00:00"),
        ("yyyy-MM-dd'T'HH:mm:ssXXX", "EST", "2018-07-31T19:39:46", "2018-08-01T00:39:46+00:00"),
        ("yyyy-MM-dd'T'HH:mm:ssXXX", "UTC", "2018-07-31T19:39:46+0200", "2018-07-31T17:39:46+00:00"),
        ("yyyy-MM-dd'T'HH:mm:ssZ", "UTC", "2018-07-31T19:39:46+02:00", "2018-07-31T17:39:46+00:00"),
        # Plain ISO 8601, whatever the pattern.
        ("yyyy-MM-dd", "EST", "2018-07-31T19:39:46Z", "2018-07-31T19:39:46+00:00"),
        ("MM/dd/yyyy", "UTC", "2018-07-31T19:39:46.123456789+02:00", "2018-07-31T17:39:46.123456+00:00"),
        ("milliseconds", "EST", "2018-07-31 19:39", "2018-08-01T00:39:00+00:00"),
        ("EEE, dd MMM yyyy HH:mm:ss Z", "EST", "2018-07-31", "2018-07-31T05:00:00+00:00"),
        # Runs of S are decimal fractions.
        ("ss.SSSSSS", "UTC", "07.000123", "1970-01-01T00:00:07.000123+00:00"),
        ("ss.SSS", "UTC", "07.5", "1970-01-01T00:00:07.500+00:00"),
        ("ss.S", "UTC", "07.123456789", "1970-01-01T00:00:07.123456+00:00"),
        ("milliseconds", "EST", "1533065986123", "2018-07-31T19:39:46.123+00:00"),
        ("milliseconds", "EST", "-1", "1969-12-31T23:59:59.999+00:00"),
        # Names, in any case; the zone given decides what CST and IST mean.
        ("dd MMMM yyyy HH:mm z", "UTC", "31 july 2018 10:00 cst", "2018-07-31T16:00:00+00:00"),
        ("dd MMMM yyyy HH:mm z", "Asia/Shanghai", "31 jul 2018 10:00 CST", "2018-07-31T02:00:00+00:00"),
        ("dd MMMM yyyy HH:mm z", "Asia/Kolkata", "31 jul 2018 10:00 IST", "2018-07-31T04:30:00+00:00"),
        ("dd MMMM yyyy HH:mm z", "UTC", "31 jul 2018 10:00 GMT-06:30", "2018-07-31T16:30:00+00:00"),
        ("HH:mm zzzz", "UTC", "10:00 Eastern Daylight Time", "1970-01-01T14:00:00+00:00"),
        # Years of the week; YYYY beside month and day.
        ("YYYY-MM-dd", "UTC", "2018-07-31", "2018-07-31T00:00:00+00:00"),
        ("YYYY-MM-dd", "UTC", "2019-12-31", "2019-12-31T00:00:00+00:00"),
        ("YYYY-'W'ww-u", "UTC", "2019-W01-1", "2018-12-31T00:00:00+00:00"),
        ("YYYY-'W'ww", "UTC", "2019-W01", "2018-12-30T00:00:00+00:00"),
        # Shown twice: standard time; skipped: moved on.
        ("yyyy-MM-dd HH:mm", "America/Denver", "2024-11-03 01:30", "2024-11-03T08:30:00+00:00"),
        ("yyyy-MM-dd HH:mm", "America/Denver", "2024-03-10 02:30", "2024-03-10T09:30:00+00:00"),
    ],
)
def test_a_value_is_read_right(pattern: str, zone: str, text: str, expected: str) -> None:
    assert compile_pattern(pattern).parse(text, parse_zone(zone)) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    ("pattern", "text", "reason"),
    [
        (QUOTED_Z, "", "does not have the form"),
        (QUOTED_Z, "yesterday", "does not have the form"),
        (QUOTED_Z, "2018-02-31T00:00:00Z", "there is no such day"),
        (QUOTED_Z, "2018-13-01T00:00:00Z", "the month 13 is not between 1 and 12"),
        (QUOTED_Z, "2018-07-31T24:00:00Z", "the hour 24 is not between 0 and 23"),
        (QUOTED_Z, "2018-07-31T19:39:46Zebra", "does not have the form"),
        (QUOTED_Z, "2018-07-31T19:39:46+99:00", "no offset"),
        (QUOTED_Z, "9" * 300 + "-01-01T00:00:00Z", "too large"),
        (QUOTED_Z, "x" * 501, "500 characters at most"),
        ("EEE, dd MMM yyyy", "Mon, 31 Jul 2018", "weekday does not go"),
        ("HH:mm a", "13:00 AM", "half of the day does not go"),
        ("yyyy yyyy", "2018 2019", "two values"),
        ("yyyy G", "44 BC", "before Christ"),
        ("HH:mm z", "10:00 XYZ", "does not have the form"),
        ("yyyy-MM-dd XXX", "0001-01-01 +12:00", "no possible time"),
        ("milliseconds", "99999999999999999", "outside the years"),
        ("milliseconds", "1533065986.5", "no number of milliseconds"),
        ("D", "366", "there is no such day"),
    ],
)
def test_what_is_no_time_is_refused_with_a_reason(pattern: str, text: str, reason: str) -> None:
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern).parse(text, UTC)
    assert reason in str(caught.value)


def test_a_time_without_a_zone_is_not_written() -> None:
    with pytest.raises(PatternError, match="without a zone"):
        compile_pattern("yyyy").format(datetime(2018, 7, 31), UTC)  # noqa: DTZ001  (what the test is about)


def test_a_time_outside_the_calendar_is_not_written() -> None:
    with pytest.raises(PatternError, match="within the years"):
        compile_pattern("yyyy").format(datetime.max.replace(tzinfo=UTC), parse_zone("+5:00"))


def test_an_iso_time_is_known_by_its_form() -> None:
    assert looks_iso("2018-02-31")
    assert not looks_iso("2018-07-31x")
    assert not looks_iso("20180731")
    with pytest.raises(ValueError, match="no possible time"):
        read_iso("2018-02-31")


# Properties

instants = st.datetimes(datetime(1910, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  (zone follows)
zones = st.sampled_from(ZONES).map(parse_zone)
patterns = st.lists(
    st.builds(lambda letter, count: letter * count, st.sampled_from("GyYMLdEuDFwWaHKhkmsSzZ"), st.integers(1, 7))
    | st.sampled_from(["'x'XXX", "-", ":", " ", "'T'", "''", "'o''clock'", "é", "'Z'"])
).map("".join)
# Everything that fixes a time to the millisecond; letters of one choice may take each other's place.
DAYS = [
    "yyyy-MM-dd",
    "y/M/d",
    "dd MMM yyyy",
    "EEEE, d MMMM y G",
    "yyyy D",
    "Y w E",
    "YYYY-ww-u",
    "y MM F E",
    "y LLL W u",
    "yyyyMMdd",
]
TIMES = ["HH:mm:ss.SSS", "k:m:s.SSS", "hh:mm:ss.SSS a", "a K:mm:ss.SSS", "HHmmssSSS"]
OFFSETS = ["X", "XX", "XXX", "Z", "z", "zzzz", "'GMT'XXX"]


@given(instants, zones, st.sampled_from(DAYS), st.sampled_from(TIMES), st.sampled_from(OFFSETS))
def test_what_a_pattern_writes_it_reads_back(
    instant: datetime, zone: timezone, day: str, time: str, offset: str
) -> None:
    local = instant.astimezone(zone)
    minutes = (local.utcoffset() or timedelta()) / timedelta(minutes=1)
    assume(minutes.is_integer())  # local times of a century ago have seconds in their offset
    assume(offset != "X" or minutes % 60 == 0)
    assume("z" not in offset or local.year > 1990)  # a name means what it means today
    pattern = compile_pattern(f"{day} '@' {time} {offset}")
    kept = instant.replace(microsecond=instant.microsecond // 1000 * 1000)
    assert pattern.parse(pattern.format(instant, zone), UTC if "z" not in offset else zone) == kept


@given(instants, zones, st.sampled_from(DAYS), st.sampled_from(TIMES))
def test_without_an_offset_the_zone_given_counts(instant: datetime, zone: timezone, day: str, time: str) -> None:
    local = instant.astimezone(zone)
    assume(local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset())  # not shown twice
    pattern = compile_pattern(f"{day}'T'{time}'Z'")
    kept = instant.replace(microsecond=instant.microsecond // 1000 * 1000)
    assert pattern.parse(pattern.format(instant, zone), zone) == kept


@given(patterns, instants, zones)
def test_every_pattern_reads_its_own_text_or_says_why_not(pattern: str, instant: datetime, zone: timezone) -> None:
    assume(pattern)
    text = compile_pattern(pattern).format(instant, zone)
    assert outcome(pattern, text, zone)


def outcome(pattern: str, text: str, zone: timezone) -> object:
    """The time, or the sentence of the PatternError."""
    try:
        return compile_pattern(pattern).parse(text, zone)
    except PatternError as error:
        return str(error)


letters = st.text("GyMdZX'SHT:-+. 0129Zz年٣\x00\n")


@given(st.one_of(patterns, letters, st.text()), st.one_of(letters, st.text()), zones)
@example("yyyy", "٢٠١٨", UTC)
@example("Y w", "1 1", UTC)
@example("D", "366", UTC)
@example("yyyy-MM-dd XXX", "9999-12-31 -12:00", UTC)
@example("z", "GMT+99:00", UTC)
def test_no_text_raises_anything_but_a_pattern_error(pattern: str, text: str, zone: timezone) -> None:
    assert outcome(pattern, text, zone)


@given(st.text())
def test_no_name_raises_anything_but_a_zone_error(text: str) -> None:
    try:
        known = parse_zone(text).utcoffset(datetime(2018, 7, 31)) is not None  # noqa: DTZ001  (asked of the zone)
    except ZoneError as error:
        known = repr(text) in str(error)
    assert known


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("y" * 400, "1" * 500),
        ("z " * 199, "Eastern Standard Time " * 20),
        ("Y w E u F W " * 30, "1 " * 250),
        ("S" * 400, "9" * 500),
        ("'" * 400, "'" * 500),
    ],
)
def test_reading_takes_bounded_time(pattern: str, text: str) -> None:
    started = process_time()
    assert outcome(pattern, text, UTC)
    assert process_time() - started < 2
