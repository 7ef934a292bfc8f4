"""What the sandbox selects by the conditions we write equals what plain Python selects by the tree."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from cwconnect.connectwise.conditions import And, Node, Or, WhereError, parse_where, to_conditions
from cwconnect.sandbox.catalogue import CATALOGUE
from cwconnect.sandbox.conditions import compile_conditions
from cwconnect.sandbox.table import Table
from tests.connectwise.trees import FIELDS, INSTANT, evaluate, records, spell, trees

CONTACTS = next(spec for spec in CATALOGUE if spec.name == "contacts")
EVERY_FIELD: dict[str, Any] = {
    "id": 1,
    "firstName": "a",
    "title": "a",
    "inactiveFlag": False,
    "company": {"id": 1, "name": "a"},
    "_info": {"lastUpdated": "2018-07-31T19:39:46Z"},
}


def selected(conditions: str, rows: list[dict[str, Any]]) -> list[bool]:
    """Tell of each record whether the sandbox's list of contacts selects it."""
    answers = []
    for record in rows:
        table = Table(CONTACTS, seed=1)
        table.put(record)
        test = compile_conditions(conditions, table.names, table.record)
        answers.append(test(table.rows[0]) is True)
    return answers


@given(trees(), st.lists(records(), min_size=1, max_size=5))
@example(parse_where("firstName = 'a''' and title != 'b\"'"), [{**EVERY_FIELD, "firstName": "A'", "title": "b"}])
@example(Or((And((parse_where("id=1"), parse_where("id=2"))), parse_where("id is null"))), [EVERY_FIELD])
def test_the_sandbox_selects_what_the_tree_selects(tree: Node, rows: list[dict[str, Any]]) -> None:
    where = parse_where(spell(tree), instant=INSTANT)
    try:
        conditions = to_conditions(where, field_types=FIELDS)
    except WhereError:
        return  # a text with both quotes can't be told
    assert selected(conditions, rows) == [evaluate(tree, row) for row in rows]
