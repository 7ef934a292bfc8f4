"""What people call a record, by the fields that its resource names; and where ConnectWise itself shows it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwconnect.connectwise.catalogue import find_resource
from cwconnect.connectwise.common_resources import COMMON_RESOURCES
from cwconnect.connectwise.titles import GENERIC_TITLES, LONGEST_TITLE, title_of, titles_of
from cwconnect.connectwise.web_links import web_link
from cwconnect.sandbox.catalogue import CATALOGUE
from cwconnect.sandbox.records import make_record

CLOUD = "https://api-na.myconnectwise.net/v4_6_release/apis/3.0"
RUTH = {"id": 17, "firstName": "Ruth", "lastName": "Lindqvist", "title": "Engineer"}


def named(resource: str, record: dict[str, Any]) -> str:
    return title_of(record, titles_of(find_resource(resource)))


@pytest.mark.parametrize(
    ("resource", "record", "title"),
    [
        ("contacts", RUTH, "Ruth Lindqvist"),
        ("contacts", {"id": 17, "firstName": "Ruth", "lastName": None}, "Ruth"),
        ("contacts", {"id": 17, "title": "Engineer"}, ""),  # what she does is no name
        ("organizations", {"identifier": "Cobalt", "name": "Cobalt Ltd"}, "Cobalt Ltd"),
        ("organizations", {"identifier": "Cobalt"}, "Cobalt"),
        ("accounts", {"name": "Cobalt Ltd"}, "Cobalt Ltd"),
        ("tickets", {"summary": "Printer \n on\tfire"}, "Printer on fire"),
        ("invoices", {"invoiceNumber": 1204, "company": {"name": "Cobalt"}}, "1204, Cobalt"),
        ("invoices", {"company": {"name": "Cobalt"}}, "Cobalt"),
        ("time-entries", {"member": {"name": "Olga"}, "ticket": {"id": 3, "summary": "Printer"}}, "Olga, Printer"),
        ("members", {"identifier": "olga", "firstName": " "}, "olga"),
        ("unheard-of", {"subject": "Renewal", "description": "…"}, "Renewal"),
        ("unheard-of", {"name": {"first": "Ruth"}, "summary": True, "caption": ["a"]}, ""),
        ("contacts", {}, ""),
        ("contacts", {"firstName": "R\x00uth\x00"}, "Ruth"),  # PostgreSQL takes no U+0000
        ("incidents", {"summary": "x" * 500}, "x" * 199 + "…"),
        ("incidents", {"summary": "x" * 200}, "x" * 200),
    ],
)
def test_a_record_is_called_by_the_fields_of_its_resource(resource: str, record: dict[str, Any], title: str) -> None:
    assert named(resource, record) == title


@pytest.mark.parametrize("resource", COMMON_RESOURCES, ids=lambda resource: resource.name)
def test_each_record_of_the_catalogue_has_a_title(resource: Any) -> None:
    spec = next(spec for spec in CATALOGUE if spec.name == resource.name)
    assert title_of(make_record(spec, seed=1, number=7, stamp=1_700_000_000), resource.titles)


def test_a_list_that_the_catalogue_lacks_has_titles_too() -> None:
    assert titles_of(find_resource("unheard-of")) == GENERIC_TITLES
    assert title_of({"id": 7, "name": "Help Desk", "title": "Board"}, GENERIC_TITLES) == "Help Desk"


texts = st.text(max_size=8) | st.text("a\x00 \n\u2003", max_size=300)
values = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.lists(texts, max_size=1)
names = st.sampled_from(["name", "summary", "firstName", "lastName", "title", "member", "company", "invoiceNumber"])


@given(
    st.dictionaries(names, values | st.fixed_dictionaries({"name": values}), max_size=4),
    st.sampled_from([*COMMON_RESOURCES, None]),
)
def test_whatever_a_record_holds_its_title_can_be_stored(record: dict[str, Any], resource: Any) -> None:
    title = title_of(record, titles_of(resource))
    assert len(title) <= LONGEST_TITLE
    assert "\x00" not in title
    assert title == " ".join(title.split())


def test_a_record_of_a_cloud_site_is_linked_to_where_people_see_it() -> None:
    url = urlsplit(web_link(CLOUD, "a&b co", "contacts", 17))
    assert (url.scheme, url.netloc) == ("https", "na.myconnectwise.net")
    assert url.path == "/v4_6_release/services/system_io/router/openrecord.rails"
    assert parse_qs(url.query) == {
        "locale": ["en_US"],
        "companyName": ["a&b co"],
        "recordType": ["ContactFV"],
        "recid": ["17"],
    }


@pytest.mark.parametrize(
    ("base_url", "resource"),
    [
        ("http://api-na.myconnectwise.net/v4_6_release/apis/3.0", "contacts"),
        ("https://cw.example.com/v4_6_release/apis/3.0", "contacts"),  # on premises: who knows where
        ("http://127.0.0.1:8100/v4_6_release/apis/3.0", "contacts"),
        ("https://api-na.myconnectwise.net.evil.example/", "contacts"),
        ("https://[", "contacts"),
        ("", "contacts"),
        (CLOUD, "members"),  # no source names the type of record
        (CLOUD, "unheard-of"),
    ],
)
def test_nothing_is_linked_that_is_not_known(base_url: str, resource: str) -> None:
    assert web_link(base_url, "cobalt", resource, 17) == ""
