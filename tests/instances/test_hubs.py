"""Live reads through an instance: GET /hubs/{hub}/{resource}[/{id}]."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.urls import resolve

from cwconnect.connectwise.catalogue import all_names
from cwconnect.sandbox import SandboxServer
from tests.support.api_caller import Api


class Hub:
    """The hub of one instance."""

    def __init__(self, api: Api, created: dict[str, Any]) -> None:
        self.api = api
        self.number = created["id"]
        self.auth = f"User {api.tenant.user_secret}, Element {created['token']}"

    def get(self, path: str, **query: object) -> Any:
        text = "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
        return self.api("GET", f"/hubs/crm/{path}?{text}", auth=self.auth)


@pytest.fixture
def hub(api: Api, sandbox: SandboxServer) -> Hub:
    return Hub(api, api.create(sandbox.url))


def ids(answer: Any) -> list[int]:
    assert answer.status_code == 200, answer.content
    return [record["id"] for record in answer.json()]


def test_a_list_is_read_live(hub: Hub) -> None:
    answer = hub.get("contacts")
    assert ids(answer) == list(range(1, 31))
    assert answer.headers["Elements-Returned-Count"] == "30"
    assert "Elements-Next-Page-Token" not in answer.headers


def test_pages_by_number(hub: Hub) -> None:
    assert ids(hub.get("contacts", pageSize=10, page=2)) == list(range(11, 21))


def test_page_0_is_the_first_page(hub: Hub) -> None:
    assert ids(hub.get("contacts", pageSize=10, page=0)) == list(range(1, 11))
    assert ids(hub.get("contacts", pageSize=10, page="00")) == list(range(1, 11))


@pytest.mark.parametrize(
    "query",
    [{name: value} for name in ("returnTotalCount", "RETURNTOTALCOUNT", "returnCount") for value in ("true", "True")],
)
def test_the_size_of_the_whole_list_is_answered_where_asked_for(hub: Hub, query: dict[str, str]) -> None:
    answer = hub.get("contacts", pageSize=4, where="id > 10", **query)
    assert answer.headers["Elements-Total-Count"] == "20"
    assert answer.headers["Elements-Returned-Count"] == "4"
    following = hub.get("contacts", nextPage=answer.headers["Elements-Next-Page-Token"], **query)
    assert following.headers["Elements-Total-Count"] == "20"


@pytest.mark.parametrize("query", [{}, {"returnTotalCount": "false"}, {"returnCount": ""}])
def test_the_size_of_the_whole_list_is_not_answered_unasked(hub: Hub, query: dict[str, str]) -> None:
    assert "Elements-Total-Count" not in hub.get("contacts", **query).headers


@pytest.mark.parametrize("base", ["", "/elements/api-v2"])
@pytest.mark.parametrize("name", ["contacts", "tickets", "Organizations", "service-boards", "on-hand-serial-numbers"])
def test_every_resource_of_the_catalogue_may_be_asked_for_without_the_hub(hub: Hub, base: str, name: str) -> None:
    for path in (name, name.upper(), f"{name}/17"):
        short, long = (hub.api("GET", f"{base}{before}/{path}", auth=hub.auth) for before in ("", "/hubs/crm"))
        assert short.status_code == long.status_code
        assert name != "contacts" or short.json() == long.json()
    assert hub.api("GET", f"{base}/{name}").status_code == 400  # an Element token is needed


def test_no_name_of_the_catalogue_hides_a_route_or_is_hidden_by_one() -> None:
    for name in all_names():
        for path in (f"/{name}", f"/{name.upper()}/", f"/{name}/17"):
            assert resolve(path).url_name == "hub-unnamed", path
        assert resolve(f"/hubs/crm/{name}").url_name == "hub"


def test_what_connectwise_lists_only_beneath_a_record_is_said_in_words(hub: Hub) -> None:
    answer = hub.get("ticket-notes")
    assert answer.status_code == 400
    assert "ConnectWise lists ticket notes only beneath a ticket, so no poll sees all" in answer.json()["message"]
    assert "the resource time-entries has those of all." in hub.get("Ticket-Time-Entries/17").json()["message"]


def email_of(record: dict[str, Any]) -> str:
    return str(next(item["value"] for item in record["communicationItems"] if item["communicationType"] == "Email"))


@pytest.mark.parametrize(
    "where",
    [
        "email='{}'",
        "EMAIL = '{}' AND id > 0",
        "id IN (17, 18) and email='{}'",
        "email LIKE '{}'",
        "email IN ('{}', 'no@one')",
        "(email='{}' OR email='no@one') AND id > 0",
    ],
)
def test_contacts_are_found_by_their_email(hub: Hub, sandbox: SandboxServer, where: str) -> None:
    sandbox.store.change(
        "contacts", 17, {"communicationItems": [{"communicationType": "Email", "value": "a@b.example"}]}
    )
    # A phone number that looks like it is no email.
    sandbox.store.change(
        "contacts", 18, {"communicationItems": [{"communicationType": "Phone", "value": "a@b.example"}]}
    )
    answer = hub.get("contacts", where=where.format("a@b.example"), returnTotalCount="true")
    assert [email_of(record) for record in answer.json()] == ["a@b.example"]
    assert ids(answer) == [17]
    assert answer.headers["Elements-Total-Count"] == "1"


@pytest.mark.parametrize(
    "where",
    ["email!='x'", "email IS NULL", "email='x' OR id=3", "email='x' AND email='y'", "id > 1 AND (email='x' OR id=3)"],
)
def test_what_cannot_be_asked_of_emails_is_a_400_that_says_why(hub: Hub, where: str) -> None:
    answer = hub.get("contacts", where=where)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Error parsing query: email can")


def test_pages_by_token_repeat_nothing_of_the_query(hub: Hub) -> None:
    answer, seen = hub.get("contacts", pageSize=4, where="id > 10"), []
    while token := answer.headers.get("Elements-Next-Page-Token"):
        seen += ids(answer)
        answer = hub.get("contacts", nextPage=token)
    assert seen + ids(answer) == list(range(11, 31))


def test_where_fields_and_order(hub: Hub) -> None:
    answer = hub.get(
        "contacts", where="id IN (3, 5) AND company.id IS NOT NULL", fields="id,company.id", orderBy="id desc"
    )
    assert ids(answer) == [5, 3]
    assert "firstName" not in answer.json()[0]


def test_one_record_by_id(hub: Hub) -> None:
    assert hub.get("contacts/17").json()["id"] == 17
    assert hub.get("company/contacts/17").json()["id"] == 17


def test_a_list_that_only_connectwise_knows_is_taken_by_its_path(hub: Hub) -> None:
    assert ids(hub.get("company/companies")) == [1, 2, 3, 4, 5]


def test_the_hubs_name_is_not_checked(hub: Hub) -> None:
    assert hub.api("GET", "/elements/api-v2/hubs/anything/contacts/3", auth=hub.auth).json()["id"] == 3


@pytest.mark.parametrize(("keep", "expected"), [("no", True), ("yes", False)])
def test_nulls_are_dropped_unless_the_instance_keeps_them(
    api: Api, sandbox: SandboxServer, keep: str, expected: bool
) -> None:
    sandbox.store.change("contacts", 3, {"title": None})
    hub = Hub(api, api.create(sandbox.url, filter__response__nulls=keep))
    record = hub.get("contacts/3").json()
    assert ("title" in record and record["title"] is None) is expected


def test_a_where_that_does_not_parse_is_a_400_that_says_so(hub: Hub) -> None:
    answer = hub.get("contacts", where="id >>> 1")
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Error parsing query: ")
    assert answer.json()["message"].count("Error parsing query") == 1


def test_what_connectwise_says_is_passed_on(hub: Hub) -> None:
    answer = hub.get("contacts", where="unheardOf = 1")
    assert answer.status_code == 400
    assert "unheardOf" in answer.json()["providerMessage"]


@pytest.mark.parametrize(
    ("status", "expected"), [(401, 401), (403, 403), (404, 404), (429, 429), (400, 400), (500, 500), (503, 500)]
)
def test_connectwises_refusals_keep_their_status(hub: Hub, sandbox: SandboxServer, status: int, expected: int) -> None:
    sandbox.store.fail_next(1, status=status)
    answer = hub.get("contacts")
    assert answer.status_code == expected
    assert answer.json()["providerMessage"].startswith(f"ConnectWise answered {status}")


def test_a_rate_limit_says_when_to_come_back(hub: Hub, sandbox: SandboxServer) -> None:
    sandbox.store.fail_next(1, status=429)
    assert int(hub.get("contacts").headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("contacts", {"page": "-1"}),
        ("contacts", {"page": "x"}),
        ("contacts", {"pageSize": "x"}),
        ("contacts", {"fields": "id;name"}),
        ("contacts", {"orderBy": "id sideways"}),
        ("contacts", {"nextPage": "AAAA"}),
        ("contacts", {"nextPage": "e30x"}),
        ("contacts", {"nextPage": "WzFd"}),
        ("contacts", {"nextPage": "eyJjb25kaXRpb25zIjogIlx1ZDgwMCJ9"}),  # {"conditions": "\\ud800"}
        ("unheard-of", {}),
        ("company/..", {}),
        ("company/%00", {}),
    ],
)
def test_what_makes_no_sense_is_400(hub: Hub, path: str, query: dict[str, str]) -> None:
    assert hub.get(path, **query).status_code == 400


def test_a_record_that_is_not_there_is_404(hub: Hub) -> None:
    answer = hub.get("contacts/999")
    assert answer.status_code == 404
    assert "999" in answer.json()["providerMessage"]


def test_a_disabled_instance_reads_nothing(hub: Hub) -> None:
    hub.api("DELETE", f"/instances/{hub.number}/enabled")
    assert hub.get("contacts").status_code == 403
    assert hub.get("contacts/3").status_code == 403


def test_without_an_element_token_it_is_400(api: Api) -> None:
    assert api("GET", "/hubs/crm/contacts").status_code == 400
