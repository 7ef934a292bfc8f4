"""Our patterns against Java's: tables written by golden/Golden.java, run once with Java 17."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cwconnect.connectwise.java_dates import PatternError, compile_pattern, parse_zone

GOLDEN = Path(__file__).parent / "golden"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def table(name: str) -> Iterator[list[str]]:
    lines = (GOLDEN / name).read_text(encoding="utf-8").split("\n")
    return (line.split("\t") for line in lines if line)


def written_rows() -> list[tuple[str, str, list[tuple[str, str]]]]:
    (_, _, *instants), *rows = table("written.tsv")
    return [(pattern, zone, list(zip(instants, texts, strict=True))) for pattern, zone, *texts in rows]


def named_otherwise(pattern: str, zone: str, instant: str) -> bool:
    """Java uses one name per zone for all times, made up where the tz database has another (LHDT, MMT)."""
    return "z" in pattern and (zone == "Australia/Lord_Howe" or (zone == "Asia/Kolkata" and instant.startswith("1905")))


@pytest.mark.parametrize("pattern", sorted({row[0] for row in written_rows()}))
def test_a_pattern_writes_what_java_writes(pattern: str) -> None:
    compiled = compile_pattern(pattern)
    compared = 0
    for _, zone, texts in (row for row in written_rows() if row[0] == pattern):
        for instant, text in texts:
            if not named_otherwise(pattern, zone, instant):
                assert compiled.format(datetime.fromisoformat(instant), parse_zone(zone)) == text, (zone, instant)
                compared += 1
    assert compared > 100


def read_rows() -> list[tuple[str, str, str, str]]:
    _, *rows = table("read.tsv")
    return [(pattern, zone, text, instant) for pattern, zone, text, instant in rows]


def read_otherwise(pattern: str, zone: str, text: str) -> str:
    """Why we read a text otherwise than Java, on purpose; empty where we must agree."""
    reasons = {
        "a run of S is a decimal fraction": "SSSSSS" in pattern,
        "YYYY beside month and day was meant as yyyy": pattern == "YYYY-MM-dd",
        "two values for one field (1905 and 05) are a contradiction": " yy " in pattern.lower() and "1905" in text,
        "a name in a text of 1905 means today's offset": "1905" in text and "z" in pattern,
        "GMT+2 is understood": "GMT+2" in text,
        "a time that the clocks skipped is read, as lenient Java does": text
        in ("2024-03-10 02:30", "2024-03-31 02:30"),
        "a day is found for any week and weekday's number": pattern.startswith("F "),
    }
    return next((reason for reason, applies in reasons.items() if applies), "")


def read(pattern: str, zone: str, text: str) -> str:
    try:
        instant = compile_pattern(pattern).parse(text, parse_zone(zone))
    except PatternError:
        return "error"
    return str((instant - EPOCH) // timedelta(milliseconds=1))


@pytest.mark.parametrize("pattern", sorted({row[0] for row in read_rows()}))
def test_a_pattern_reads_what_strict_java_reads(pattern: str) -> None:
    for _, zone, text, instant in (row for row in read_rows() if row[0] == pattern):
        if not read_otherwise(pattern, zone, text):
            assert read(pattern, zone, text) == instant, (zone, text)


def test_most_of_what_java_reads_is_compared() -> None:
    rows = read_rows()
    compared = [row for row in rows if not read_otherwise(*row[:3])]
    assert len(compared) > 0.9 * len(rows) > 2500


def test_the_same_letters_are_known_as_in_java() -> None:
    _, *rows = table("letters.tsv")
    for letter, meaning in rows:
        if meaning == "pattern":
            assert compile_pattern(letter).text == letter
        else:
            with pytest.raises(PatternError, match=f"letter '{letter}'"):
                compile_pattern(letter)
