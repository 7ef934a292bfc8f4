"""The catalogue against ConnectWise's description of its API: whole, true, and each of its lists polled once."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cwconnect.connectwise import field_table
from cwconnect.connectwise.callbacks.types import TYPES, type_of_path
from cwconnect.connectwise.catalogue import (
    all_names,
    all_resources,
    default_configuration,
    find_resource,
    further_by_module,
    resource_for_path,
)
from cwconnect.connectwise.ceql.conditions import parse_where
from cwconnect.connectwise.client import Client
from cwconnect.connectwise.common_resources import COMMON_RESOURCES
from cwconnect.connectwise.credentials import Credentials
from cwconnect.connectwise.field_table import fields_of
from cwconnect.connectwise.further_resources import FURTHER_RESOURCES, rows_of
from cwconnect.connectwise.hub_url import HubUrl, HubUrlError, read_page
from cwconnect.connectwise.only_per_record import all_per_record, find_per_record, unlisted_by_parent
from cwconnect.connectwise.titles import title_of
from cwconnect.connectwise.where import where_params
from cwconnect.outbound import OutboundClient
from tests.support.raw_servers import LOOPBACK
from tests.support.sandboxes import start_sandbox

LISTS = json.loads((Path(field_table.__file__).parent / "fields.json").read_text())["lists"]
# docs/catalogue.md#what-it-leaves-out
SHORTENED = {  # each shows less of a list that is there
    *("/company/companies/info/types", "/finance/info/taxIntegrations", "/procurement/subcategories/info"),
    *("/service/info/boards", "/system/info/departments", "/system/info/links", "/system/info/locations"),
    *("/system/info/members", "/system/info/standardNotes", "/system/mycompany/info/services"),
    "/system/members/withSso",
}
OF_ONE_RECORD = {"/system/documents"}  # only by its type and id
SECRET = {"/system/callbacks"}  # URLs that are secrets of whoever registered them
TWICE = {"/sales/opportunities/{}/notes/count", "/system/members/{}/mycertifications", "/system/myAccount/"}


def stamped(path: str) -> bool:
    """Whether the records of a list have an id and ConnectWise's stamp: without them nothing of it can be polled."""
    return {"id", "_info"} <= {field.name for field in fields_of(path.replace("{}", "5"))}


def test_every_list_that_can_be_polled_is_in_it() -> None:
    pollable = {path for path in LISTS if "{}" not in path and stamped(path)}
    left_out = SHORTENED | OF_ONE_RECORD | SECRET
    assert {resource.path for resource in all_resources()} == pollable - left_out
    assert left_out <= pollable


def test_every_list_beneath_a_record_is_named() -> None:
    beneath = {path for path in LISTS if "{}" in path and "/usages" not in path and stamped(path)}
    beneath = {path for path in beneath if not any(path.startswith(each) for each in TWICE)}
    named = {each.path.replace("{id}", "{}") for each in all_per_record()}
    assert named <= beneath
    # Those that have no name here have the name of the list of the catalogue that has all of them.
    assert {path.rpartition("/")[2] for path in beneath - named} == {
        *("typeAssociations", "types", "locations", "expenseTypes"),
    }


def test_names_are_plain_unique_and_no_module_of_connectwise() -> None:
    names = [name for resource in all_resources() for name in (resource.name, *resource.aliases)]
    names += [each.name for each in all_per_record()]
    assert [name for name in names if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)] == []
    assert len(names) == len(set(names))
    modules = {resource.module for resource in all_resources()}
    assert modules.isdisjoint(names)  # the hub reads what begins with one as a path
    assert {"ping", "objects", "bulk", "keys", "elements", "hubs", "instances"}.isdisjoint(names)


def test_what_is_said_of_each_is_of_its_fields() -> None:
    for resource in FURTHER_RESOURCES:
        fields = {field.name: field for field in fields_of(resource.path)}
        assert fields["id"].type == "integer"
        assert resource.created_field is None or resource.created_field in fields, resource.name
        for part in re.split(r", | ", " ".join(resource.titles)):
            name, _, inner = part.partition(".")
            assert bool(inner) == fields[name].native_type.endswith("Reference"), (resource.name, part)


def test_the_common_ones_come_first_and_all_others_by_module() -> None:
    assert all_resources()[: len(COMMON_RESOURCES)] == COMMON_RESOURCES
    assert [each for group in further_by_module().values() for each in group] == list(FURTHER_RESOURCES)
    assert list(further_by_module()) == sorted(further_by_module())
    assert {resource.module for resource in FURTHER_RESOURCES} == further_by_module().keys()


def test_every_list_that_calls_back_is_in_it() -> None:
    assert {type_of_path(resource.path) for resource in all_resources()} - {None} == TYPES


def test_fields_are_compared_as_connectwise_describes_them() -> None:
    board = find_resource("service-boards")
    assert board
    types = [board.field_types.get(name) for name in ("inactiveFlag", "location.id", "name", "_info.lastUpdated")]
    assert types == ["boolean", "number", None, "date"]
    where = "location.id='2' AND inactiveFlag='false' AND lastUpdated>'2026-01-01T00:00:00Z'"
    assert where_params(parse_where(where), board.path) == {
        "conditions": "location/id = 2 and inactiveFlag = false and lastUpdated > [2026-01-01T00:00:00Z]"
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ticket-notes", "ticket notes only beneath a ticket, so no poll sees all of them; the URL "
         "/hubs/crm/service/tickets/{id}/notes reads those of one"),
        ("Agreement-Additions", "agreement additions only beneath an agreement, so no poll sees all of them; the URL "
         "/hubs/crm/finance/agreements/{id}/additions reads those of one"),
        ("ticket-time-entries",
         "ticket time entries only beneath a ticket; the resource time-entries has those of all"),
    ],
)  # fmt: skip
def test_what_is_only_beneath_a_record_is_said_in_words(name: str, words: str) -> None:
    found = find_per_record(name)
    assert found
    assert found.words == f"ConnectWise lists {words}"
    with pytest.raises(HubUrlError, match=re.escape(found.words)):
        HubUrl.parse(f"/hubs/crm/{name}?where=id>0", resource_key="x")


def test_what_a_list_has_of_all_is_no_gap() -> None:
    assert find_per_record("contacts") is None
    assert {each.elsewhere for each in all_per_record()} - {""} <= all_names()
    said = {name for names in unlisted_by_parent().values() for name in names}
    assert said == {each.name for each in all_per_record() if not each.elsewhere}


def test_one_list_beneath_a_record_is_polled_by_its_url() -> None:
    each = find_per_record("company-sites")
    assert each
    path = each.path.replace("{id}", "5")
    url = f"/hubs/crm{path}?where=lastUpdated>'2026-01-01T00:00:00Z'"
    assert HubUrl.parse(url, resource_key=each.name).path == path
    assert resource_for_path(path) is None


@pytest.mark.parametrize("text", ["a | /b | -\n", "a | /b | - | name | more\n", "a | /b | | name\n"])
def test_a_row_with_other_cells_is_refused(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lists.txt").write_text(text)
    monkeypatch.setattr("cwconnect.connectwise.further_resources.__file__", str(tmp_path / "further_resources.py"))
    with pytest.raises(ValueError, match=r"lists\.txt has 'a \| /b"):
        list(rows_of("lists.txt", 4))


def test_every_list_is_polled_once_by_its_usual_poll() -> None:
    """Its records come by the stamp, in the order of ids, each with what the poll reads of it and with a title."""
    opening = datetime(2000, 1, 1, tzinfo=UTC)
    with start_sandbox(records={resource.name: 2 for resource in COMMON_RESOURCES}) as server:
        outbound_client = OutboundClient(LOOPBACK)
        client = Client(Credentials(server.url, "acme", "PUB", "PRIV", "a-client-id"), outbound_client)
        for resource in all_resources():
            url = HubUrl.parse(str(default_configuration(resource)["url"]), resource_key=resource.name)
            page = read_page(client, url, opening=opening, needed_fields=("id", "_info.lastUpdated"))
            assert page.records, resource.name
            for record in page.records:
                assert record["_info"]["lastUpdated"], resource.name
                assert title_of(record, resource.titles), resource.name
            assert client.get(resource.path, page.records[0]["id"]) == page.records[0]
        outbound_client.close()
