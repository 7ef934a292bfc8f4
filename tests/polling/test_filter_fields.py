"""A filter as fields and as JSON: one filter, whichever of both was changed, and nothing is lost on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polling.filters.reading import read_filter
from polling.pages.filter_fields import (
    PARTS,
    FilterFields,
    Row,
    fields_of,
    problems_of,
    read_posted,
    with_part,
    written,
)

CLOSED = {
    "resources": ["Incidents"],
    "kinds": ["UPDATED"],
    "where": "company.id = 17",
    "changed": ["status", "owner.id"],
    "from": {"status.name": "New"},
    "to": {"status.name": ["Closed", "Done, at last"], "closedFlag": True},
}
SHOWN = FilterFields(
    resources=("incidents",),
    kinds=("UPDATED",),
    where="company.id = 17",
    rows=(
        Row("status"),
        Row("owner.id"),
        Row("status.name", "New", 'Closed, "Done, at last"'),
        Row("closedFlag", "", "true"),
    ),
)
KNOWN = ("contacts", "incidents")


def posted(wanted: dict[str, Any], typed: FilterFields | None, whole: dict[str, Any] | str | None = None) -> Any:
    """Return the filter that is read of a form over `wanted` into which that was typed."""
    text = whole if isinstance(whole, str) else written(wanted if whole is None else whole)
    return read_posted(text, written(wanted), typed, KNOWN)


def test_the_fields_show_what_the_json_holds() -> None:
    assert fields_of(CLOSED, KNOWN) == SHOWN


def test_what_nobody_changed_stays_as_it_was() -> None:
    found = posted(CLOSED, SHOWN)
    assert (found.wanted, found.fields, found.wrong) == (CLOSED, SHOWN, None)


def test_a_part_that_was_changed_is_written_and_the_others_stay() -> None:
    typed = FilterFields(SHOWN.resources, SHOWN.kinds, "", SHOWN.rows[2:])
    expected = {name: value for name, value in CLOSED.items() if name not in ("where", "changed")}
    assert posted(CLOSED, typed).wanted == expected


def test_json_that_was_changed_counts_where_the_fields_were_not() -> None:
    whole = {"resources": ["contacts"], "from": {"title": None}}
    found = posted(CLOSED, SHOWN, whole)
    assert found.wanted == whole
    assert found.fields == FilterFields(resources=("contacts",), rows=(Row("title", "null"),))


def test_a_field_that_was_changed_counts_beside_changed_json() -> None:
    typed = FilterFields(SHOWN.resources, ("CREATED",), SHOWN.where, SHOWN.rows)
    assert posted(CLOSED, typed, {"changed": ["title"]}).wanted == {"changed": ["title"], "kinds": ["CREATED"]}


def test_json_alone_counts_where_no_field_was_sent() -> None:
    assert posted({}, None, CLOSED).wanted == CLOSED


@pytest.mark.parametrize("text", ["{", "[]", "nonsense", '{"a": NaN}', "[" * 5000, '{"where": "\\ud800"}'])
def test_json_that_can_not_be_read_is_said_and_the_fields_stay(text: str) -> None:
    found = posted(CLOSED, SHOWN, text)
    assert found.wrong is not None
    assert found.fields == SHOWN


@pytest.mark.parametrize(
    "wanted",
    [
        {"resources": "incidents", "kinds": 5, "where": [], "changed": {}, "from": [], "to": "x"},
        {"resources": [1, None], "from": {"a": {}, "b": []}, "to": {"c": [[]]}, "other": True},
    ],
)
def test_what_no_field_can_show_stays_in_the_json(wanted: dict[str, Any]) -> None:
    found = posted(wanted, fields_of(wanted))
    assert found.wanted == wanted
    assert found.fields == FilterFields()


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ([Row("a"), Row("a"), Row("a", "1")], {}),
        ([Row("", "1")], {0: "Name the field"}),
        ([Row("a", "1"), Row("a", "", "2")], {1: "has a line already"}),
        ([Row("x" * 1010)], {0: "longer than the name of any field"}),
    ],
)
def test_rows_that_say_too_little_are_named_and_kept_as_typed(rows: list[Row], wrong: dict[int, str]) -> None:
    found = problems_of(rows)
    assert found.keys() == wrong.keys()
    assert all(text in found[place] for place, text in wrong.items())
    if wrong:
        assert posted({}, FilterFields(rows=tuple(rows))).fields.rows == tuple(rows)


NAMES = st.sampled_from(["status", "status.name", "owner.id", "title"])
# No body may hold a NUL.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
SCALARS = st.none() | st.booleans() | st.integers() | TEXTS | st.floats(-9, 9)
VALUES = st.dictionaries(NAMES, SCALARS | st.lists(SCALARS, min_size=1, max_size=3), min_size=1)
FILTERS = st.fixed_dictionaries(  # what a list says twice, a form keeps once
    {},
    optional={
        "resources": st.lists(st.sampled_from(["contacts", "INCIDENTS", "other"]), min_size=1, unique=True),
        "kinds": st.lists(st.sampled_from(["CREATED", "updated"]), min_size=1, unique=True),
        "where": st.sampled_from(["id > 4", " id > 4 ", "id\r\n>\r4"]),
        "changed": st.lists(NAMES, min_size=1, unique=True),
        "from": VALUES,
        "to": VALUES,
    },
)


@given(FILTERS)
def test_a_form_that_nobody_touched_changes_no_filter(wanted: dict[str, Any]) -> None:
    assert posted(wanted, fields_of(wanted, KNOWN)).wanted == wanted


@given(FILTERS)
def test_written_from_its_fields_a_filter_asks_for_the_same(wanted: dict[str, Any]) -> None:
    anew: dict[str, Any] = {}
    for part in PARTS:
        anew = with_part(anew, part, fields_of(wanted))
    before, after = read_filter(wanted), read_filter(anew)
    assert (before.resources, before.kinds, before.where) == (after.resources, after.kinds, after.where)
    assert set(before.changed) == set(after.changed)
    assert (dict(before.earlier), dict(before.later)) == (dict(after.earlier), dict(after.later))
    assert json.loads(written(anew)) == anew
