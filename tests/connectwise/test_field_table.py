"""The fields of ConnectWise's records, by list."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cwconnect.connectwise import field_table
from cwconnect.connectwise.catalogue import all_resources
from cwconnect.connectwise.field_table import Field, fields_of

KINDS = {"string", "integer", "number", "boolean", "date", "object", "array"}
TABLE = json.loads((Path(field_table.__file__).parent / "fields.json").read_text())


def test_every_list_of_the_table_has_fields_that_can_be_read() -> None:
    for path in TABLE["lists"]:
        fields = fields_of(path.replace("{}", "5"))
        assert fields, path
        assert {field.type for field in fields} <= KINDS, path
        assert len({field.name for field in fields}) == len(fields)
    assert set(TABLE["lists"].values()) == set(TABLE["records"])


def test_every_list_of_the_catalogue_is_in_it() -> None:
    assert [resource.name for resource in all_resources() if not fields_of(resource.path)] == []


def test_a_field_is_as_connectwise_describes_it() -> None:
    contact = {field.name: field for field in fields_of("/Company/Contacts/")}
    assert contact["firstName"] == Field("firstName", "string", "string", required=True)
    assert contact["company"] == Field("company", "object", "CompanyReference")
    assert contact["communicationItems"].type == "array"
    assert contact["gender"].choices == ("Female", "Male")
    assert contact["id"].read_only
    ticket = {field.name: field for field in fields_of("/service/tickets")}
    assert (ticket["summary"].required, ticket["summary"].max_length) == (True, 100)
    assert ticket["closedDate"].type in ("date", "string")


def test_a_list_that_it_lacks_has_none() -> None:
    assert fields_of("/company/unheardOf") == fields_of("") == fields_of("/company/contacts/5") == ()


def test_a_field_that_is_written_otherwise_is_refused() -> None:
    with pytest.raises(ValueError, match="firstName"):
        field_table._field("firstName", "string (")
