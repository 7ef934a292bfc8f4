"""A filter in a few words, and its values as people type them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polling.filters.values_as_text import text_of, values_of
from polling.filters.words import words_of_filter


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({}, "every event"),
        ({"resources": ["incidents"], "kinds": ["UPDATED"], "to": {"status.name": "Closed"}},
         "incidents · updated · status.name became Closed"),
        ({"changed": ["status", "owner.id"]}, "status or owner.id changed"),
        ({"from": {"status.name": "New"}}, "status.name was New"),
        ({"from": {"status.name": ["New", "Open"]}, "to": {"status.name": "Closed"}},
         "status.name from New or Open to Closed"),
        ({"to": {"owner": None, "closedFlag": True, "id": 17, "note": ""}},
         'owner became nothing · closedFlag became true · id became 17 · note became ""'),
        ({"where": "status.name = 'Closed'\n AND  id > 4"}, "where status.name = 'Closed' AND id > 4"),
        ({"kinds": ["CREATED", "deleted"]}, "created or deleted"),
        ({"resources": ["a", "b", "c", "d"]}, "a, b, c and d"),
        ({"resources": ["a", "b", "c", "d", "e"]}, "a, b, c and 2 others"),
        ({"resources": None, "kinds": None, "from": None}, "every event"),
    ],
)  # fmt: skip
def test_a_filter_is_said_in_words(wanted: dict[str, Any], words: str) -> None:
    assert words_of_filter(json.dumps(wanted)) == words


@pytest.mark.parametrize("text", ["nonsense", "[]", '{"kinds":"x"}', '{"from":5}', '{"to":{"a":[{}]}}'])
def test_one_that_can_not_be_read_is_no_fault_of_the_page(text: str) -> None:
    assert words_of_filter(text).startswith("what can’t be read any more: ")


def test_no_filter_is_every_event() -> None:
    assert words_of_filter("") == "every event"


def test_a_long_condition_is_cut() -> None:
    words = words_of_filter(json.dumps({"where": f"note = '{'x' * 4000}'"}))
    assert len(words) == 200
    assert words.endswith("…")


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("", []),
        (" , ", []),
        ("Closed", ["Closed"]),
        ("Closed, In progress ,New", ["Closed", "In progress", "New"]),
        ('"Closed, done", New', ["Closed, done", "New"]),
        ("17, 1.5, true, null", [17, 1.5, True, None]),
        ('"17"', ["17"]),
        ('""', [""]),
        ('"a quote without its end, x', ['"a quote without its end', "x"]),
        ('say "yes", no', ['say "yes"', "no"]),
        ("NaN, 1e999, [1], {}", ["NaN", "1e999", "[1]", "{}"]),
        ("[" * 100_000, ["[" * 100_000]),
    ],
)
def test_what_is_typed_is_read_as_values(typed: str, values: list[Any]) -> None:
    found = values_of(typed)
    assert found == values
    assert [type(each) for each in found] == [type(each) for each in values]


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(st.lists(SCALARS))
def test_values_that_are_written_are_read_as_they_were(values: list[Any]) -> None:
    text = text_of(values)
    assert values_of(text) == values
    assert [type(each) for each in values_of(text)] == [type(each) for each in values]
    assert "\n" not in text
    assert text.strip(" \t\r\n\f\v") == text
