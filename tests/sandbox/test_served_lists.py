"""The lists beside the catalogue's: reference lists and nested ones, and that every reference points at a record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cwconnect.sandbox import CATALOGUE, Store
from cwconnect.sandbox.parts import BASE
from cwconnect.sandbox.table import Table
from tests.sandbox.caller import Caller


def table_at(store: Store, path: str) -> Table | None:
    return store.find_table(path) or store.nested_table(path)


def references(value: Any) -> Iterator[tuple[str, int]]:
    """Yield the list and id of each reference within a record."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    if isinstance(value, dict):
        for key, text in (value.get("_info") or {}).items():
            if key.endswith("_href"):
                path, _, number = text.removeprefix(BASE).rpartition("/")
                yield path, int(number)
        for item in value.values():
            yield from references(item)


def test_every_reference_of_a_new_sandbox_points_at_a_record() -> None:
    store = Store()
    asked = {
        reference
        for spec in CATALOGUE
        for row in store.table(spec.name).rows
        for reference in references(store.table(spec.name).record(row))
    }
    tables = {path: table_at(store, path) for path, _ in asked}
    missing = [(path, number) for path, number in asked if not (found := tables[path]) or not found.row(number)]
    assert (len(asked) > 1500, missing) == (True, [])


def test_the_records_beneath_a_parent_say_whose_they_are() -> None:
    store = Store({"projects": 2, "organizations": 2})
    statuses = table_at(store, "/service/boards/2/statuses")
    assert statuses is not None
    assert [(row.id, statuses.record(row)["board"]["id"]) for row in statuses.rows[:2]] == [(101, 2), (102, 2)]
    phases, sites = table_at(store, "/project/projects/2/phases"), table_at(store, "/company/companies/2/sites")
    assert phases is not None
    assert phases.record(phases.rows[0])["projectId"] == 2
    assert sites is not None
    assert sites.record(sites.rows[0])["company"]["id"] == 2
    assert table_at(store, "/project/projects/3/phases") is None


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("/service/priorities", "Priority 1 - Critical"),
        ("/SERVICE/PRIORITIES/", "Priority 1 - Critical"),
        ("/service/boards/1/teams/", "First line"),
        ("/time/workTypes", "Regular"),
        ("/finance/glAccounts", None),
    ],
)
def test_a_list_that_nobody_asked_for_is_there(caller: Caller, path: str, first: str | None) -> None:
    page = caller.get(path)
    assert page.status == 200
    assert first is None or page.json[0]["name"] == first
    assert caller.get(f"{path.rstrip('/')}/{page.json[0]['id']}").json == page.json[0]
    assert caller.get(f"{path.rstrip('/')}/count").json == {"count": len(page.json)}


def test_such_lists_are_written_like_any(caller: Caller) -> None:
    made = caller.post("/service/boards/3/statuses", {"name": "On hold"})
    assert (made.status, made.json["id"]) == (201, 205)
    refused = caller.post("/time/workTypes", {"billTime": "Billable"})
    assert (refused.status, {error["field"] for error in refused.json["errors"]}) == (400, {"name", "rateType", "rate"})


def test_lists_beside_the_catalogue_stay_out_of_counts_and_do_not_change_by_themselves() -> None:
    store = Store({"incidents": 1})
    before = store.lists()
    table_at(store, "/service/boards")
    assert store.lists() == before
