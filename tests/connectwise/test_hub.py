"""Hub URLs as their users write them, and the polls that they stand for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwconnect.connectwise.client import Client
from cwconnect.connectwise.credentials import Credentials
from cwconnect.connectwise.errors import RateLimited
from cwconnect.connectwise.hub_url import (
    HubUrl,
    HubUrlError,
    field_value,
)
from cwconnect.outbound import OutboundClient
from cwconnect.sandbox import SandboxServer
from tests.connectwise.pages import read_pages
from tests.support.raw_servers import LOOPBACK
from tests.support.sandboxes import start_sandbox

OPENING = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)
STAMP = "[2026-03-01T12:30:05Z]"
SEED = "/hubs/crm/contacts?where=lastUpdated>'${gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}'"


def parse(url: str) -> HubUrl:
    return HubUrl.parse(url, resource_key="contacts")


@pytest.mark.parametrize(
    ("query", "conditions"),
    [
        ("where=lastUpdated>'${gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}'", f"lastUpdated > {STAMP}"),
        ("where=lastUpdated >= '${gmtDate:yyyy-MM-dd'T'HH:mm:ssXXX}' and inactiveFlag=false",
         f"lastUpdated >= {STAMP} and inactiveFlag = false"),
        ("where=_info.lastUpdated>${dateTimeZone:-6:00:yyyy-MM-dd HH:mm:ss}", f"lastUpdated > {STAMP}"),
        ("where=lastUpdated>'${dateTimeZone:America/Denver:MM/dd/yyyy HH:mm:ss}'", f"lastUpdated > {STAMP}"),
        ("where=lastUpdated>'${date:yyyy-MM-dd'&'HH?mm'='ss}'&pageSize=5", f"lastUpdated > {STAMP}"),
        ("where=lastUpdated%3E%27${gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}%27", f"lastUpdated > {STAMP}"),
        ("where=lastUpdated%20%3e%20%27%24%7BgmtDate%3Ayyyy-MM-dd%27T%27HH%3Amm%3Ass%27Z%27%7D%27",
         f"lastUpdated > {STAMP}"),
        ("WHERE=lastUpdated>'${epoch}'", f"lastUpdated > {STAMP}"),
        ("where=name='A & B'&fields=id", 'name = "A & B"'),
        ("where=name='A?B=C'", 'name = "A?B=C"'),
        ("where=name='C++'", 'name = "C++"'),
        ("where=name%3D'a%2Bb'", 'name = "a+b"'),
        ("where=firstName+LIKE+'50%25%'+AND+id+>+3", 'firstName like "50%%" and id > 3'),
        ("where=lastUpdated>2026-03-01T14:30:05+02:00", f"lastUpdated > {STAMP}"),
        ("where=lastUpdated>'2026-03-01T14:30:05+02:00'", f"lastUpdated > {STAMP}"),
        ("where=name='50%'", 'name = "50%"'),
        ("where=name='M%C3%BCller ü'", 'name = "Müller ü"'),
        ("where=name='%FF'", 'name = "%FF"'),
        ("where=company.id='250'", "company/id = 250"),
        ("", None),
        ("where=", None),
        ("where=&fields=id&", None),
    ],
)  # fmt: skip
def test_a_where_is_read_as_its_user_meant_it(query: str, conditions: str | None) -> None:
    assert parse(f"/hubs/crm/contacts?{query}").params(OPENING, needed_fields=()).get("conditions") == conditions


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/hubs/crm/contacts", "/company/contacts"),
        ("/hubs/anything/Accounts?", "/company/companies"),
        ("/hubs/crm/contacts/", "/company/contacts"),
        ("/hubs/crm/company/contacts", "/company/contacts"),
        ("/hubs/crm/finance/agreements?where=id>1", "/finance/agreements"),
        ("/hubs/crm/service/boards", "/service/boards"),
        ("/hubs/crm/system/audittrail/5/x_y", "/system/audittrail/5/x_y"),
        ("/elements/api-v2/hubs/crm/tickets", "/service/tickets"),
        ("  /hubs/crm/time-entries  ", "/time/entries"),
    ],
)
def test_the_path_is_the_catalogues_or_a_module_and_its_resource(url: str, path: str) -> None:
    assert parse(url).path == path


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://api-na.myconnectwise.net/hubs/crm/contacts", "without a host"),
        ("//evil.example/hubs/crm/contacts", "without a host"),
        ("contacts", "/hubs/crm/contacts"),
        ("", "/hubs/crm/contacts"),
        ("/hubs/crm", "/hubs/crm/contacts"),
        ("/hubs/crm/", "/hubs/crm/contacts"),
        ("/company/contacts", "/hubs/crm/contacts"),
        ("/hubs/crm/widgets", "'widgets'"),
        ("/hubs/crm/company/../system", "no resource"),
        ("/hubs/crm/%2e%2e/system", "no resource"),
        ("/hubs/crm/company//contacts", "no resource"),
        ("/hubs/crm/company/contacts%3fx=y", "no resource"),
        ("/hubs/crm/${date}/contacts", "template"),
        ("/hubs/crm/contacts?colour=red", "'colour'"),
        ("/hubs/crm/contacts?where=id>1&colour=red", "'colour'"),
        ("/hubs/crm/contacts?where=id>1&where=id>2", "where twice"),
        ("/hubs/crm/contacts?pageSize=many", "'many'"),
        ("/hubs/crm/contacts?pageSize=0", "'0'"),
        ("/hubs/crm/contacts?fields=id,a b", "'a b'"),
        ("/hubs/crm/contacts?where=id>", "Error parsing query"),
        ("/hubs/crm/contacts?where=inactiveFlag=perhaps", "inactiveFlag"),
        ("/hubs/crm/contacts?where=lastUpdated>'${gmtDate:yyyy-MM-ddTHH}'", "T"),
        ("/hubs/crm/contacts?where=lastUpdated>'${dateTimeZone:Mars/Base:yyyy}'", "Mars"),
        ("/hubs/crm/contacts?where=lastUpdated>'${gmtDate:yyyy", "gmtDate"),
        ("/hubs/crm/contacts?where=name='a\x00b'", "control"),
        ("/hubs/crm/contacts?where=name='a%00b'", "control"),
        ("/hubs/crm/contacts?where=name='%010%01'", "control"),
        (f"/hubs/crm/contacts?where=name='{'x' * 1800}'", "characters long"),
        (f"/hubs/crm/contacts?where=name='{'ü' * 400}'", "characters long"),
        ("/hubs/crm/contacts?where=name='\ud800'", "half of a surrogate pair"),
    ],
)
def test_a_url_that_can_not_be_polled_is_refused_in_words(url: str, words: str) -> None:
    with pytest.raises(HubUrlError) as caught:
        parse(url)
    assert words in str(caught.value)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_any_query_is_read_or_refused(query: str) -> None:
    try:
        parse(f"/hubs/crm/contacts?where={query}").params(OPENING, needed_fields=())
    except ValueError as error:
        assert isinstance(error, HubUrlError)  # noqa: PT017  # either outcome is right, another exception is not


def test_parameters_of_connectwises_own_are_passed_on_with_their_templates() -> None:
    url = parse('/hubs/crm/contacts?childConditions=types/id=4&customFieldConditions=caption="a+b"&where=id>0')

    assert url.params(OPENING, needed_fields=()) == {
        "childConditions": "types/id=4",
        "customFieldConditions": 'caption="a+b"',
        "conditions": "id > 0",
    }


def test_a_polls_contacts_are_chosen_by_their_email() -> None:
    url = parse(
        "/hubs/crm/contacts?where=lastUpdated>='${gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}' AND email LIKE '%@acme.com'"
    )

    params = url.params(OPENING, needed_fields=())
    assert params["conditions"].startswith("lastUpdated >= [")
    assert params["childConditions"] == (
        'communicationItems/communicationType = "Email" and communicationItems/value like "%@acme.com"'
    )


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("where=email='a' OR id=3", "email can stand in one part"),
        ("where=email='a'&childConditions=types/id=4", "has childConditions too"),
    ],
)
def test_an_email_that_cannot_be_asked_for_is_refused_when_the_poll_is_set_up(query: str, words: str) -> None:
    with pytest.raises(HubUrlError, match=words):
        parse(f"/hubs/crm/contacts?{query}")


def test_order_and_page_are_dropped_and_the_page_size_is_capped() -> None:
    url = parse("/hubs/crm/contacts?orderBy=id+desc&page=3&pageSize=5000")

    assert (url.order_by, url.page_size, url.params(OPENING, needed_fields=())) == ("id desc", 1000, {})


@pytest.mark.parametrize(
    ("fields", "asked"),
    [("firstName", "firstName,id,_info"), ("ID,_info", "ID,_info"), ("id, firstName,_info.lastUpdated", None),
     ("_info/lastUpdated,id,id", "_info/lastUpdated,id"), ("id,_infox", "id,_infox,_info")],
)  # fmt: skip
def test_what_a_poll_needs_is_added_to_fields_that_lack_it(fields: str, asked: str | None) -> None:
    params = parse(f"/hubs/crm/contacts?fields={fields}").params(OPENING, needed_fields=("id", "_info.lastUpdated"))

    assert params == {"fields": asked or "id,firstName,_info/lastUpdated"}


def test_without_fields_none_are_asked_for() -> None:
    assert parse("/hubs/crm/contacts").params(OPENING, needed_fields=("_info.lastUpdated",)) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", 17),
        ("_info.lastUpdated", "2026"),
        ("a.b.c", None),
        ("_info.lastUpdated.x", None),
        ("", None),
        ("n", None),
    ],
)
def test_a_dotted_name_is_looked_up(name: str, value: Any) -> None:
    assert field_value({"id": 17, "_info": {"lastUpdated": "2026"}, "n": None, "a": {"b": [1]}}, name) == value


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with start_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def client(sandbox: SandboxServer) -> Iterator[Client]:
    outbound_client = OutboundClient(LOOPBACK)
    yield Client(Credentials(sandbox.url, "acme", "PUB", "PRIV", "a-client-id"), outbound_client)
    outbound_client.close()


def test_all_pages_are_read_with_the_window_on_each(sandbox: SandboxServer, client: Client) -> None:
    url = parse(SEED + "&pageSize=7&orderBy=firstName&fields=firstName")
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    pages = list(read_pages(client, url, opening=long_ago, needed_fields=("_info.lastUpdated",)))

    records = [record for page in pages for record in page.records]
    assert [record["id"] for record in records] == list(range(1, 31))
    assert all(field_value(record, "_info.lastUpdated") for record in records)
    assert [page.is_last for page in pages] == [False] * 4 + [True]
    asked = {request.query["conditions"] for request in sandbox.store.requests}
    assert asked == {"lastUpdated > [2000-01-01T00:00:00Z]"}


def test_only_what_changed_since_the_opening_is_read(sandbox: SandboxServer, client: Client) -> None:
    opening = client.page("/company/contacts", {}).date
    assert opening
    sandbox.store.change("contacts", 17, {"title": "Owner"})

    before = opening.replace(microsecond=0, second=0)
    records = [record for page in read_pages(client, parse(SEED), opening=before) for record in page.records]
    assert [record["id"] for record in records] == [17]


def test_a_reading_that_failed_goes_on_behind_the_last_page(sandbox: SandboxServer, client: Client) -> None:
    url = parse("/hubs/crm/contacts?fields=id")
    pages = read_pages(client, url, opening=OPENING, page_size=10)
    first = next(pages)
    sandbox.store.fail_next(1, status=429)
    with pytest.raises(RateLimited):
        next(pages)
    rest = list(read_pages(client, url, opening=OPENING, page_size=10, after_id=first.last_id))

    assert [record["id"] for page in (first, *rest) for record in page.records] == list(range(1, 31))


def test_a_row_deleted_meanwhile_shifts_no_other(sandbox: SandboxServer, client: Client) -> None:
    seen = []
    for page in read_pages(client, parse("/hubs/crm/contacts?fields=id"), opening=OPENING, page_size=10):
        seen += [record["id"] for record in page.records]
        if len(seen) == 10:
            sandbox.store.delete("contacts", 3)

    assert seen == list(range(1, 31))
