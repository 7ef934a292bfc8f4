"""The catalogue, and the poll configuration that a resource has by default."""

from __future__ import annotations

import pytest

from cwconnect.connectwise.catalogue import (
    DEFAULT_RESOURCES,
    all_resources,
    default_configuration,
    find_resource,
    resource_for_path,
)
from cwconnect.connectwise.hub_url import HubUrl

BY_NAME = {resource.name: resource for resource in all_resources()}


@pytest.mark.parametrize(
    ("name", "path"),
    [("contacts", "/company/contacts"), ("CONTACTS", "/company/contacts"), ("accounts", "/company/companies"),
     ("organizations", "/company/companies"), ("Tickets", "/service/tickets"), (" incidents ", "/service/tickets"),
     ("purchase-orders", "/procurement/purchaseorders")],
)  # fmt: skip
def test_a_resource_is_found_by_name_or_alias_in_any_case(name: str, path: str) -> None:
    resource = find_resource(name)
    assert resource
    assert resource.path == path


@pytest.mark.parametrize("name", ["", "contact", "/company/contacts", "agreement s"])
def test_what_the_catalogue_lacks_is_not_found(name: str) -> None:
    assert find_resource(name) is None


def test_every_resource_is_found_by_its_path_and_has_a_poll_that_can_be_read() -> None:
    for resource in all_resources():
        url = default_configuration(resource)["url"]
        assert resource_for_path(resource.path) is resource
        assert resource_for_path(resource.path.upper() + "/") is resource
        assert HubUrl.parse(url, resource_key=resource.name).path == resource.path


def test_the_default_configuration_of_contacts_is_the_seeds() -> None:
    assert default_configuration(BY_NAME["contacts"]) == {
        "url": "/hubs/crm/contacts?where=lastUpdated>'${gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}'",
        "idField": "id",
        "datesConfiguration": {
            "updatedDateField": "_info.lastUpdated",
            "updatedDateFormat": "yyyy-MM-dd'T'HH:mm:ss'Z'",
            "updatedDateTimezone": "GMT",
            "createdDateField": "_info.lastUpdated",
            "createdDateFormat": "yyyy-MM-dd'T'HH:mm:ss'Z'",
            "createdDateTimezone": "GMT",
        },
    }


@pytest.mark.parametrize(
    ("name", "field"), [("incidents", "_info.dateEntered"), ("time-entries", "dateEntered"), ("contacts", None)]
)
def test_the_created_field_is_the_one_that_records_have(name: str, field: str | None) -> None:
    resource = BY_NAME[name]
    dates = default_configuration(resource)["datesConfiguration"]

    assert resource.created_field == field
    assert dates["createdDateField"] == (field or "_info.lastUpdated")


def test_the_default_resources_are_in_the_catalogue() -> None:
    assert all(find_resource(name) for name in DEFAULT_RESOURCES)


def test_field_types_are_known_for_dates_numbers_and_booleans() -> None:
    types = BY_NAME["incidents"].field_types
    fields = ("_info.lastUpdated", "company.id", "closedFlag", "budgetHours")
    assert [types[field] for field in fields] == ["date", "number", "boolean", "number"]
    assert "summary" not in types
