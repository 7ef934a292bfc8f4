"""Filters: how they are read, and what an event is held by."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwconnect.connectwise.catalogue import find_resource
from cwconnect.connectwise.ceql.evaluation import compile_where, find_value, same_value
from polling.field_changes import field_changes
from polling.filters.judging import Facts, Judgement, judge
from polling.filters.reading import LONGEST, FilterError, parse_filter, read_filter
from tests.connectwise.trees import FIELDS, records, spell, trees

TICKET = {"id": 5, "status": {"id": 2, "name": "Closed"}, "company": {"id": 17}, "owner": None, "summary": "Printer"}
BEFORE = {"id": 5, "status": {"id": 1, "name": "New"}, "company": {"id": 17}, "owner": {"id": 3}, "summary": "Printer"}
UNKNOWN = "the earlier content is not known"


def judged(wanted: dict[str, Any], *, before: Any = BEFORE, kind: str = "UPDATED", resource: str = "incidents") -> Any:
    changes = None if before is None else json.dumps(field_changes(before, TICKET))
    return judge(parse_filter(json.dumps(wanted)), Facts(resource, kind, json.dumps(TICKET), changes))


@pytest.mark.parametrize(
    ("wanted", "held_by"),
    [
        ({}, ""),
        ({"where": None, "changed": None}, ""),
        ({"resources": ["Incidents", "contacts"], "kinds": ["updated"]}, ""),
        ({"resources": ["contacts"]}, "resources: incidents"),
        ({"kinds": ["DELETED"]}, "kinds: UPDATED"),
        ({"where": "status.name = 'closed' AND company.id IN (17,18)"}, ""),
        ({"where": "status.name = 'closed' AND (summary LIKE 'x%' AND id = 5)"}, "where: summary LIKE 'x%'"),
        ({"where": "company.id IN (1,2) or owner.id = 3"}, "where: company.id IN (1, 2) OR owner.id = 3"),
        ({"where": "company.id NOT IN (17) and id=5"}, "where: company.id NOT IN (17)"),
        ({"changed": ["summary", "status"]}, ""),
        ({"changed": ["STATUS.name"]}, ""),
        ({"changed": ["owner.id"]}, ""),
        ({"changed": ["summary", "company.id"]}, "changed: summary, company.id"),
        ({"from": {"status.name": "new"}, "to": {"status.name": ["Cancelled", "Closed"]}}, ""),
        ({"from": {"status.name": "Open"}}, 'from.status.name: "Open"'),
        ({"to": {"status.name": ["Open", None]}}, 'to.status.name: ["Open", null]'),
        ({"from": {"owner.id": 3}, "to": {"owner.id": None}}, ""),
        ({"from": {"owner.id": 4}}, "from.owner.id: 4"),
        ({"to": {"company.id": 17}}, "to.company.id: 17"),
        ({"changed": ["status"], "where": "id = 6"}, "where: id = 6"),
    ],
)
def test_what_an_event_is_held_by(wanted: dict[str, Any], held_by: str) -> None:
    assert judged(wanted) == Judgement(passes=not held_by, held_by=held_by)


def test_where_the_earlier_content_is_not_known_the_event_passes_and_says_so() -> None:
    wanted = {"changed": ["status"], "from": {"status.name": "New"}, "to": {"status.name": "Closed"}}
    for kind in ("CREATED", "UPDATED"):
        assert judged(wanted, before=None, kind=kind) == Judgement(passes=True, unknown=f"changed, from, to: {UNKNOWN}")
    event = Facts("incidents", "UPDATED", json.dumps(TICKET), "null")
    assert judge(read_filter({"changed": ["x"]}), event) == Judgement(passes=True, unknown=f"changed: {UNKNOWN}")
    assert judged({"to": {"status.name": "Open"}}, before=None).held_by == 'to.status.name: "Open"'
    assert judged({"changed": ["x"], "where": "id=6"}, before=None).held_by == "where: id = 6"


def test_nothing_has_changed_where_the_stamp_alone_moved() -> None:
    assert judged({"changed": ["status"]}, before=TICKET).held_by == "changed: status"
    assert judged({"to": {"status.name": "Closed"}}, before=TICKET).held_by == 'to.status.name: "Closed"'


def test_a_condition_that_one_resource_can_not_be_judged_by_holds_its_events() -> None:
    wanted = {"where": "board.id = 'x'"}
    assert judged(wanted).held_by == "where: Error parsing query: board.id holds a number, and 'x' is none."
    assert judged({"where": f"summary = '{'y' * 600}'"}).held_by[-3:] == "yy…"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x", "it is no valid JSON: Expecting value"),
        ("[]", "it must be a JSON object"),
        ("{}" + " " * LONGEST, "it is longer than 4,096 bytes"),
        ("[" * 4000, "it is nested too deeply"),
        ('{"where":NaN}', "it is no valid JSON: NaN is no JSON value"),
        ('{"where":"id=1","where":"id=2"}', "where: is given more than once"),
        ('{"from":{"a":1,"a":2}}', "a: is given more than once"),
        ('{"changed":["\\ud800"]}', "it holds half of a surrogate pair"),
        ('{"were":"id=1"}', "were: is not known here; there are resources, kinds, where, changed, from, to"),
        ('{"resources":"contacts"}', "resources: must be a list of at least one name"),
        ('{"resources":[]}', "resources: must be a list"),
        ('{"resources":["contacts",""]}', "resources.1: must be a text of 1 to 200 characters"),
        ('{"kinds":["CREATED","GONE"]}', "kinds.1: must be one of CREATED, UPDATED, DELETED"),
        ('{"where":5}', "where: must be a text that is not empty"),
        ('{"where":"id="}', "where: Error parsing query: a value was expected, not the end"),
        ('{"where":"lastUpdated > \'${date}\'"}', "where: Error parsing query: it holds a .* template"),
        ('{"resources":["contacts"],"where":"id=\'x\'"}', "where: Error parsing query: id holds a number"),
        ('{"resources":["contacts"],"where":"email != \'x\'"}', "where: Error parsing query: email can be compared"),
        ('{"changed":["a..b"]}', "changed.0: must be the name of a field"),
        ('{"changed":[' + ",".join(['"a"'] * 101) + "]}", "changed: has 101 names; 100 is the most"),
        ('{"from":["a"]}', "from: must be an object of fields and values"),
        ('{"from":{"status.":"New"}}', "from.status.: must be the name of a field"),
        ('{"from":{"status.name":{"a":1}}}', "from.status.name: must be a text, a number, true, false or null"),
        ('{"to":{"status.name":[]}}', "to.status.name: has 0 values"),
    ],
)
def test_each_mistake_names_its_member(text: str, words: str) -> None:
    with pytest.raises(FilterError, match=f"^{words}"):
        parse_filter(text)


_PATHS = st.sampled_from(sorted(FIELDS))
_SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "B", "1"])


@given(trees(), records(), records(), st.lists(_PATHS, max_size=2), st.dictionaries(_PATHS, _SCALARS, max_size=2))
def test_a_judgement_equals_a_plain_one(
    tree: Any, before: dict[str, Any], after: dict[str, Any], changed: list[str], later: dict[str, Any]
) -> None:
    """What changed is taken from the two records themselves, by dotted name, and not from the list of changes."""
    text = spell(tree).replace("'${gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}'", "2018-07-31T19:39:46Z")
    wanted = read_filter({"where": text, "changed": changed or None, "to": later or None})
    event = Facts("contacts", "UPDATED", json.dumps(after), json.dumps(field_changes(before, after)))

    def differs(path: str) -> bool:
        if path.startswith("_info"):
            return False  # is no content
        return bool(find_value(before, path) != find_value(after, path))

    contacts = find_resource("contacts")
    assert contacts is not None
    expected = (
        compile_where(wanted.where, field_types=contacts.field_types).test(after) is True  # type: ignore[arg-type]
        and (not changed or any(differs(path) for path in changed))
        and all(differs(path) and same_value(find_value(after, path), value) for path, value in later.items())
    )
    assert judge(wanted, event).passes is expected
