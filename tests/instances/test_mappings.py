"""What a mapping makes of a record, and what it makes of that again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwconnect.core.errors import DomainError
from instances.hub.mapping_paths import read_path
from instances.hub.mappings import MappedField, Mapping

PAIRS = (
    ("givenName", "firstName"),
    ("employer.label", "company.name"),
    ("owner", "company.owner"),
    ("phones[*].number", "communicationItems[*].value"),
    ("phones[*].kind.name", "communicationItems[*].type"),
    ("tags[*]", "types[*].name"),
    ("deep.list[*].rows[*].cell", "table[*].columns[*].value.text"),
)
WHOLE = tuple(MappedField(read_path(ours), read_path(vendor)) for ours, vendor in PAIRS)


def mapping(**how: Any) -> Mapping:
    return Mapping("people", "/company/contacts", WHOLE, **how)


VALUES = st.sampled_from([None, True, 0, "", "x"])


def objects(**members: Any) -> Any:
    return st.fixed_dictionaries({}, optional=members)


RECORDS = objects(
    id=st.integers(),
    firstName=VALUES,
    lastName=VALUES,
    company=objects(name=VALUES, owner=VALUES, id=VALUES),
    communicationItems=st.lists(objects(value=VALUES, type=VALUES, default=VALUES), max_size=3),
    types=st.lists(st.fixed_dictionaries({"name": VALUES}), max_size=3),
    table=st.lists(objects(columns=st.lists(objects(value=objects(text=VALUES)), max_size=2)), max_size=2),
)


def unhollow(value: Any) -> Any:
    """Leave out what says nothing: empty objects as members, which no path leads to."""
    if isinstance(value, dict):
        return {name: left for name, item in value.items() if (left := unhollow(item)) != {}}
    return [unhollow(item) for item in value] if isinstance(value, list) else value


@given(RECORDS)
def test_a_record_shown_and_written_is_the_record(record: dict[str, Any]) -> None:
    both = mapping(keeps_shown=True, keeps_written=True)
    assert unhollow(both.written(both.shown(record))) == unhollow(record)


@given(RECORDS)
def test_without_the_rest_its_mapped_part_comes_back(record: dict[str, Any]) -> None:
    strict = mapping()
    shown = strict.shown(record)
    assert strict.shown(strict.written(shown)) == shown
    assert strict.written(shown).get("id") == record.get("id")
    assert set(shown) <= {"id", "givenName", "employer", "owner", "phones", "tags", "deep"}


def test_neither_changes_what_it_is_given() -> None:
    record = {"id": 1, "company": {"name": "x", "id": 2}, "communicationItems": [{"value": "1", "type": "a"}]}
    before = repr(record)
    both = mapping(keeps_shown=True, keeps_written=True)
    both.written(both.shown(record))
    assert repr(record) == before


def test_items_keep_their_places() -> None:
    record = {"communicationItems": [{"value": "1"}, {"type": "fax"}, {"value": "3", "type": "cell"}]}
    phones = [{"number": "1"}, {"kind": {"name": "fax"}}, {"number": "3", "kind": {"name": "cell"}}]
    assert mapping().shown(record) == {"phones": phones}
    assert mapping().written({"phones": phones}) == record


def test_what_is_written_and_not_mapped_is_refused_by_name_passed_or_removed() -> None:
    body = {"givenName": "Ada", "lastName": "L"}
    with pytest.raises(DomainError, match=r"^lastName: the transformation people has no such field"):
        mapping().written(body)
    assert mapping(keeps_written=True).written(body) == {"firstName": "Ada", "lastName": "L"}
    assert mapping(drops_written=True).written(body) == {"firstName": "Ada"}


def test_a_name_in_a_query_is_the_vendor_s() -> None:
    ours = mapping()
    assert ours.vendor_names("givenName") == ["firstName"]
    assert ours.vendor_names("employer/label") == ["company.name"]
    assert ours.vendor_names("owner.name") == ["company.owner.name"]
    assert ours.vendor_names("phones") == ["communicationItems.value", "communicationItems.type"]
    assert ours.vendor_names("_info.lastUpdated") == ["_info.lastUpdated"]
    with pytest.raises(DomainError, match="phones holds several fields"):
        ours.vendor_name("phones")
    with pytest.raises(DomainError, match="lastName: the transformation people"):
        ours.vendor_names("lastName")
    assert mapping(keeps_shown=True).vendor_name("lastName") == "lastName"
