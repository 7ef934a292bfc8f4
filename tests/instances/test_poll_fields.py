"""A poll's keys as fields and as JSON: one configuration, of which neither loses what it does not know."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwconnect.connectwise.catalogue import default_configuration
from cwconnect.connectwise.common_resources import COMMON_RESOURCES
from instances.configuration.polls import DatesConfiguration, PollConfiguration
from instances.pages.poll_fields import (
    KEY_AT,
    NUMBER,
    POLL_KEYS,
    SWITCH,
    PollKey,
    read_posted,
    shown_text,
    with_text,
    written,
)
from instances.poll_changes import difference, merge_patch

STRANGE = {"unknown": [1, {"deep": None}], "datesConfiguration": {"unknownToo": 1.5, "updatedDateField": "_info.x"}}
TYPED = {SWITCH: "true", NUMBER: "17", "text": "something"}


def shown(configuration: dict[str, Any]) -> dict[str, str]:
    """Return what a form of the configuration sends when nothing is typed."""
    fields = {key.name: shown_text(configuration, key) for key in POLL_KEYS}
    return fields | {"json": written(configuration), "was": written(configuration)}


def test_every_key_has_a_field() -> None:
    own = {str(field.alias) for name, field in PollConfiguration.model_fields.items() if name != "dates_configuration"}
    dates = {f"datesConfiguration.{field.alias}" for field in DatesConfiguration.model_fields.values()}
    spelt = {"filterByUpdatedDate", "filterByUpdateDate"}  # its alias is a choice of two, which the set above lacks
    assert KEY_AT.keys() == (own - {"enabled", "None"}) | dates | spelt


def test_defaults_are_those_of_the_rules() -> None:
    rules = PollConfiguration()
    for key in POLL_KEYS:
        owner: Any = rules.dates_configuration if "." in key.name else rules
        of_rules = {str(field.alias): name for name, field in type(owner).model_fields.items()}
        of_rules |= {"filterByUpdatedDate": "filter_by_updated_date"}
        value = getattr(owner, of_rules[key.name.rpartition(".")[2]])
        default = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        # No page size means the largest, and no tolerance none at all; both are said so.
        assert key.default == default or key.name in ("pageSize", "createdCheckTolerance"), key.name


@pytest.mark.parametrize("resource", COMMON_RESOURCES, ids=lambda resource: resource.name)
def test_what_nobody_touched_stays_as_it_was(resource: Any) -> None:
    for configuration in (default_configuration(resource), default_configuration(resource) | STRANGE):
        assert read_posted(shown(configuration), {}) == (configuration, None)


@pytest.mark.parametrize("key", POLL_KEYS, ids=lambda key: key.name)
def test_a_field_writes_its_own_key_alone(key: PollKey) -> None:
    sent = shown(STRANGE) | {key.name: "false" if key.default == "true" else TYPED[key.kind]}
    configuration, wrong = read_posted(sent, {})
    assert wrong is None
    assert shown_text(configuration, key) == sent[key.name]
    emptied = with_text(configuration, key, "")
    assert emptied == with_text(STRANGE, key, "")
    assert shown_text(emptied, key) == (key.default if key.kind == SWITCH else "")


def test_what_was_typed_into_json_and_into_fields_both_counts_without_a_script() -> None:
    sent = shown({"pageSize": 50, "idField": "id"})
    sent |= {"json": '{"pageSize": 7, "idField": "id", "pollDelay": 3}', "idField": "identifier"}
    assert read_posted(sent, {})[0] == {"pageSize": 7, "idField": "identifier", "pollDelay": 3}


def test_json_that_cannot_be_read_loses_nothing_that_was_typed_into_fields() -> None:
    sent = shown({"pageSize": 50}) | {"json": '{"pageSize": 7', "idField": "identifier"}
    configuration, wrong = read_posted(sent, {})
    assert configuration == {"pageSize": 50, "idField": "identifier"}
    assert wrong is not None
    assert "line 1, column 15: a comma or a closing bracket" in wrong.message


def test_a_second_spelling_is_kept() -> None:
    for former, place in (("filterByUpdateDate", "filterByUpdateDate"), ("filterByUpdatedDate", "filterByUpdatedDate")):
        sent = shown({former: "yes"}) | {"filterByUpdatedDate": "false"}
        assert read_posted(sent, {})[0] == {place: False}
    within = {"datesConfiguration": {"createdCheckTolerance": 5}}
    assert read_posted(shown(within) | {"createdCheckTolerance": "6"}, {})[0] == {
        "datesConfiguration": {"createdCheckTolerance": 6}
    }


_VALUES = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
_OBJECTS = st.dictionaries(st.sampled_from("abc"), _VALUES, max_size=3)


@given(_OBJECTS, _OBJECTS)
def test_a_difference_makes_the_one_of_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert merge_patch(before, difference(before, after)) == after
