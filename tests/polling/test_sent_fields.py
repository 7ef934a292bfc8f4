"""What is sent of a record: chosen fields, and the shape of a field mapping; of its changes the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.hub.mapping_paths import read_path
from instances.hub.mappings import MappedField, Mapping
from polling.delivery.forms.shapes import WHOLE, Shape
from polling.detection.event_shapes import EventShape
from polling.field_changes import content_of, field_changes
from polling.models import NewEvent

AT = datetime(2026, 1, 2, tzinfo=UTC)
RECORD = {
    "id": 17,
    "firstName": "Ruth",
    "company": {"id": 3, "name": "Acme", "_info": {"company_href": "https://…"}},
    "communicationItems": [{"id": 1, "value": "ruth@acme.example", "_info": {"a": 1}}, {"id": 2, "value": None}],
    "inactiveFlag": False,
    "_info": {"lastUpdated": "2026-01-02T00:00:00Z"},
}
CHANGES = [
    {"field": "company.name", "from": "Ajax", "to": "Acme"},
    {"field": "companyName", "from": 1, "to": 2},
    {"field": "communicationItems", "from": [{"id": 1, "value": "old"}], "to": RECORD["communicationItems"]},
]


def mapping(*pairs: tuple[str, str], keeps: bool = False, path: str = "/company/contacts") -> Mapping:
    fields = tuple(MappedField(read_path(ours), read_path(theirs)) for ours, theirs in pairs)
    return Mapping("people", path, fields, keeps_shown=keeps)


def event(record: Any = RECORD, changes: Any = CHANGES) -> NewEvent:
    text = None if changes == "" else json.dumps(changes)
    return NewEvent("contacts", "17", 17, "UPDATED", AT, AT, json.dumps(record), text, id=5, title="Ruth")


def sent(shape: Shape, record: Any = RECORD, changes: Any = CHANGES) -> tuple[Any, Any]:
    found = shape.sent(event(record, changes))
    assert (found.id, found.object_id, found.record_id, found.kind, found.title) == (5, "17", 17, "UPDATED", "Ruth")
    return json.loads(found.record), None if found.changes is None else json.loads(found.changes)


def test_without_a_choice_the_bytes_are_those_of_the_log() -> None:
    found = WHOLE.sent(event())
    assert (found.record, found.changes) == (event().record, event().changes)
    assert WHOLE.sent(replace(event(), changes_for_filters=True)).changes is None
    assert Shape.of(()) == WHOLE


def test_chosen_fields_and_the_id_are_sent_and_of_changes_the_same() -> None:
    record, changes = sent(Shape.of(["COMPANY", "firstname", "notThere"]))
    assert record == {name: RECORD[name] for name in ("id", "firstName", "company")}
    assert list(record) == ["id", "firstName", "company"]  # in the record's order
    assert changes == [CHANGES[0]]


@pytest.mark.parametrize(("changes", "expected"), [("", None), (None, None), ([], [])])
def test_changes_that_are_not_there_or_not_known_stay_so(changes: Any, expected: Any) -> None:
    for shape in (Shape.of(["firstName"]), Shape.of(mapping=mapping(("name", "firstName")))):
        found = shape.sent(event(changes=changes))
        assert (found.changes is None) == (changes == "")
        assert (None if found.changes is None else json.loads(found.changes)) == expected


def test_changes_that_are_not_asked_for_are_not_sent_in_any_shape() -> None:
    for shape in (Shape.of(["company"]), Shape.of(mapping=mapping(("name", "firstName")))):
        assert shape.sent(replace(event(), changes_for_filters=True)).changes is None


def test_changes_that_are_kept_for_filters_alone_are_not_sent_in_any_shape() -> None:
    kept = replace(event(), changes_for_filters=True)
    for shape in (WHOLE, Shape.of(["company"]), Shape.of(mapping=mapping(("name", "firstName")))):
        assert shape.sent(kept).changes is None


def test_a_mapping_is_applied_to_the_record_and_to_its_changes() -> None:
    shape = Shape.of(
        mapping=mapping(("employer.title", "company.name"), ("mails[*].to", "communicationItems[*].value"))
    )
    record, changes = sent(shape)
    assert record == {"id": 17, "employer": {"title": "Acme"}, "mails": [{"to": "ruth@acme.example"}, {"to": None}]}
    assert changes == [
        {"field": "employer.title", "from": "Ajax", "to": "Acme"},
        {"field": "mails", "from": [{"to": "old"}], "to": [{"to": "ruth@acme.example"}, {}]},
    ]


def test_fields_are_chosen_by_the_names_that_the_mapping_gave() -> None:
    shape = Shape.of(["employer"], mapping(("employer.title", "company.name"), ("given", "firstName"), keeps=True))
    assert sent(shape) == (
        {"id": 17, "employer": {"title": "Acme"}},
        [{"field": "employer.title", "from": "Ajax", "to": "Acme"}],
    )


def test_a_mapping_is_for_its_own_list_and_not_for_a_poll_that_has_one() -> None:
    people, others = mapping(("name", "firstName")), mapping(("n", "lastName"), path="/company/companies")
    shape = Shape.of(["name"], people)
    assert shape.for_poll("/Company/Contacts") == shape
    assert shape.for_poll("/company/contacts", own=others) == shape  # by its name, of another list: it goes by none
    assert shape.for_poll("/company/companies") == Shape.of(["name"])
    assert shape.for_poll("/company/contacts", own=people) == Shape.of(["name"])
    assert Shape.of(["name"]).for_poll("/company/contacts") == Shape.of(["name"])


def test_what_a_mapping_makes_too_deep_for_json_is_left_out_and_nothing_else_is_sent_for_it() -> None:
    deep: Any = []
    for _ in range(250):
        deep = [deep]
    shape = Shape.of(mapping=mapping(("a.b.c.d.e.f.g.h.i", "deep")))
    record = {"id": 17, "deep": deep, "secret": "x"}
    assert sent(shape, record, [{"field": "deep", "from": None, "to": deep}]) == ({"id": 17}, None)


names = st.sampled_from(["a", "b", "company", "_info", "x_href"])
leaves = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["one", "two"])
contents = st.recursive(
    leaves, lambda inner: st.dictionaries(names, inner, max_size=3) | st.lists(inner, max_size=2), max_leaves=8
)
records = st.dictionaries(names, contents, max_size=4).map(lambda record: {"id": 17, **record})
vendor = st.lists(st.sampled_from(["a", "b", "company", "a.b", "company.a", "a[*].b", "b[*].a.b"]), unique=True)


@given(records, records, vendor, st.booleans(), st.sets(st.sampled_from(["f0", "f1", "a", "items"])))
def test_changes_of_the_log_are_mapped_as_both_records_would_be(
    before: dict[str, Any], after: dict[str, Any], paths: Sequence[str], keeps: bool, fields: set[str]
) -> None:
    """A mapped event of the log says what it would if the poll itself went by the mapping."""
    pairs = [
        (f"items[*].z{number}" if "[*]" in path else f"f{number}.z", path)  # several lists into one
        for number, path in enumerate(paths)
    ]
    mapped = mapping(*pairs, keeps=keeps)
    record, changes = sent(Shape.of(fields, mapped), after, field_changes(before, after))
    whole = json.loads(EventShape(mapped).text(json.dumps(after)))
    assert record == {name: value for name, value in whole.items() if not fields or name in {"id", *fields}}
    expected = EventShape(mapped).changes(content_of(before), content_of(after))
    assert changes == [change for change in expected if not fields or change["field"].partition(".")[0] in fields]
