"""What the sandbox selects by the conditions we write equals what plain Python selects by the tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cwconnect.connectwise.ceql.conditions import (
    And,
    Node,
    Or,
    WhereError,
    parse_where,
    to_conditions,
)
from cwconnect.connectwise.client import Client
from cwconnect.connectwise.credentials import Credentials
from cwconnect.connectwise.hub_url import HubUrl, HubUrlError
from cwconnect.outbound import OutboundClient
from cwconnect.sandbox import SandboxServer, Store
from cwconnect.sandbox.catalogue import CATALOGUE
from cwconnect.sandbox.conditions import compile_conditions
from cwconnect.sandbox.table import Table
from tests.connectwise.pages import read_pages
from tests.connectwise.trees import FIELDS, INSTANT, evaluate, records, spell, trees
from tests.support.raw_servers import LOOPBACK
from tests.support.sandboxes import start_sandbox

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
    """Say of each record whether the sandbox's list of contacts selects it."""
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
        return  # a text with both quotes can't be written
    assert selected(conditions, rows) == [evaluate(tree, row) for row in rows]


@pytest.fixture(scope="module")
def site() -> Iterator[tuple[SandboxServer, Client]]:
    outbound_client = OutboundClient(LOOPBACK)
    with start_sandbox(records={}) as sandbox:
        yield sandbox, Client(Credentials(sandbox.url, "acme", "PUB", "PRIV", "client"), outbound_client)
    outbound_client.close()


@given(trees(), st.lists(records(), max_size=5, unique_by=lambda row: row["id"]), st.booleans())
def test_a_hub_url_reads_the_records_that_its_where_selects(
    site: tuple[SandboxServer, Client],
    tree: Node,
    rows: list[dict[str, Any]],
    escaped: bool,
) -> None:
    sandbox, client = site
    sandbox.store = Store({})
    for row in [*rows, EVERY_FIELD]:
        sandbox.store.table("contacts").put(row)
    where = quote(spell(tree)) if escaped else spell(tree).replace("%", "%25")
    try:
        url = HubUrl.parse(f"/hubs/crm/contacts?where={where}", resource_key="contacts")
    except HubUrlError:
        return
    found = [record["id"] for page in read_pages(client, url, opening=INSTANT, page_size=2) for record in page.records]
    there = {row["id"]: row for row in [*rows, EVERY_FIELD]}
    assert found == sorted(number for number, row in there.items() if evaluate(tree, row))
