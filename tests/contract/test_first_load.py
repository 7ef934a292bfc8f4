"""The first load as programs written for Cloud Elements ask for it: a bulk job, its status, and its file."""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from urllib.parse import quote

import pytest
from django.utils import timezone

from cwconnect.sandbox import SandboxServer
from instances.models import ApiUser, AuditEntry, Instance
from instances.scopes import Scope
from polling.copies.page_bodies import MOST_COLUMNS, columns_of_file, joined
from polling.detection.poll_loop import poll_due
from polling.models import Copy, PollState
from tests.support.api_caller import Api
from tests.support.rows import complete_copy

TYPES = {"json": "application/json", "csv": "text/csv", "ndjson": "application/x-ndjson"}


class Program:
    """A program that speaks through one instance's Element token."""

    def __init__(self, api: Api, sandbox: SandboxServer, base: str = "/hubs/crm", **poll: Any) -> None:
        self.api, self.base = api, base
        created = api.create(sandbox.url)
        self.number = created["id"]
        self.auth = f"User {api.tenant.user_secret}, Element {created['token']}"

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        data = "" if body is None else json.dumps(body)
        sent = {"Authorization": self.auth} | {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{self.base}/bulk{path}"
        return self.api.client.generic(method, url, data, content_type="application/json", headers=sent)

    def begin(self, query: str) -> str:
        answer = self("POST", f"/query?q={quote(query)}")
        assert answer.status_code == 200, answer.content
        return str(answer.json()["id"])

    def copied(self, query: str) -> str:
        copy = self.begin(query)
        PollState.objects.update(next_poll_at=None)
        poll_due(deadline=float("inf"))
        return copy

    def file(self, copy: str, kind: str, resource: str = "contacts") -> bytes:
        answer = self("GET", f"/{copy}/{resource}", Accept=TYPES[kind])
        assert answer.status_code == 200, getattr(answer, "content", "")
        assert answer.headers["Content-Type"].partition(";")[0] == TYPES[kind]
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Disposition"].endswith(f'-{copy}.{kind}"')
        return b"".join(answer.streaming_content)


@pytest.fixture
def program(api: Api, sandbox: SandboxServer) -> Program:
    return Program(api, sandbox)


@pytest.mark.parametrize("base", ["/hubs/crm", "/elements/api-v2/hubs/crm", "", "/elements/api-v2"])
def test_the_vendors_own_calls(api: Api, sandbox: SandboxServer, base: str) -> None:
    program = Program(api, sandbox, base)
    query = "select firstName, company.id from contacts where id < 4"
    begun = program("POST", f"/query?q={quote(query)}")
    copy = begun.json()["id"]
    assert begun.status_code == 200
    assert begun.json() == {"instanceId": program.number, "id": copy, "status": "CREATED"}
    assert isinstance(copy, str)
    waiting = program("GET", f"/{copy}/contacts", Accept="text/csv")
    assert (waiting.status_code, waiting.headers["Content-Type"]) == (409, "application/json")
    assert waiting.json()["message"].startswith("The copy is not complete yet")
    PollState.objects.update(next_poll_at=None)
    poll_due(deadline=float("inf"))
    status = program("GET", f"/{copy}/status").json()
    assert (status["status"], status["recordsCount"], status["recordsFailedCount"]) == ("COMPLETED", 3, 0)
    lines = program.file(copy, "csv").decode().splitlines()
    assert lines[0] == "firstName,company.id,id"
    assert len(lines) == 4


def test_a_body_may_hold_the_query(program: Program) -> None:
    answer = program("POST", "/query", {"q": "select * from incidents"})
    assert answer.status_code == 200
    bodies: tuple[Any, ...] = ({"q": 7}, {"q": ""}, {}, [], "text", None)
    for body in bodies:
        refused = program("POST", "/query", body)
        assert refused.status_code == 400
        assert refused.json()["message"].startswith("q is needed")


def test_the_three_kinds_hold_the_same_records(program: Program) -> None:
    copy = program.copied("select * from contacts")
    records = json.loads(program.file(copy, "json"))
    assert [record["id"] for record in records] == list(range(1, 31))
    assert [json.loads(line) for line in program.file(copy, "ndjson").splitlines()] == records
    rows = list(csv.DictReader(io.StringIO(program.file(copy, "csv").decode(), newline="")))
    assert [row["id"] for row in rows] == [str(record["id"]) for record in records]
    assert rows[0]["_info.lastUpdated"] == records[0]["_info"]["lastUpdated"]
    assert json.loads(rows[0]["communicationItems"]) == records[0]["communicationItems"]


@pytest.mark.parametrize(("accepted", "kind"), [("", "json"), ("*/*", "json"), ("text/csv, */*;q=0.1", "csv")])
def test_without_a_wish_it_is_json(program: Program, accepted: str, kind: str) -> None:
    copy = complete_copy(Instance.objects.get(pk=program.number))
    headers = {"Accept": accepted} if accepted else {}
    answer = program("GET", f"/{copy.pk}/contacts", **headers)
    assert answer.headers["Content-Type"].partition(";")[0] == TYPES[kind]
    assert program("GET", f"/{copy.pk}/contacts", Accept="image/png").status_code == 406


def test_an_empty_copy_is_an_empty_file(program: Program) -> None:
    copy = program.copied("select id, firstName from contacts where id > 1000")
    assert json.loads(program.file(copy, "json")) == []
    assert program.file(copy, "ndjson") == b""
    assert program.file(copy, "csv") == b"id,firstName\r\n"
    everything = program.copied("select * from contacts where id > 1000")
    assert program.file(everything, "csv") == b"\r\n"


def test_nothing_in_csv_is_a_formula_and_columns_hold_what_is_nested(program: Program) -> None:
    records: tuple[dict[str, Any], ...] = (
        {"id": 1, "title": "=1+1", "phone": "+49 30", "company": {"id": 2, "name": "A,\nB"}, "types": [{"id": 3}]},
        {"id": 2, "company": None, "inactive": False, "rate": -1.5, "empty": {}, "@SUM(1)": "x", "nothing": None},
    )
    copy = complete_copy(Instance.objects.get(pk=program.number), *records)
    rows = list(csv.DictReader(io.StringIO(program.file(str(copy.pk), "csv").decode(), newline="")))
    names = ["id", "title", "phone", "company.id", "company.name", "types", "inactive", "rate", "empty", "'@SUM(1)"]
    assert list(rows[0]) == [*names, "nothing"]
    assert rows[0]["title"] == "'=1+1"
    assert rows[0]["phone"] == "'+49 30"
    assert (rows[0]["company.name"], rows[0]["types"]) == ("A,\nB", '[{"id":3}]')
    assert (rows[1]["inactive"], rows[1]["rate"], rows[1]["company.id"]) == ("false", "-1.5", "")
    assert json.loads(program.file(str(copy.pk), "json")) == list(records)


def test_columns_are_in_the_querys_order_then_as_they_were_met() -> None:
    met = {"id": True, "company": False, "company.id": True, "_info.lastUpdated": True, "firstName": True}
    assert columns_of_file(met, []) == ["id", "company.id", "_info.lastUpdated", "firstName"]
    named = ["FirstName", "nickName", "company"]
    assert columns_of_file(met, named) == ["firstName", "nickName", "company.id", "id", "_info.lastUpdated"]
    many = joined({}, {f"c{number}": True for number in range(MOST_COLUMNS * 2)})
    assert len(many) == MOST_COLUMNS + 1


def test_too_many_columns_for_a_table_are_refused_in_words(program: Program) -> None:
    wide = {"id": 1} | {f"c{number}": number for number in range(MOST_COLUMNS)}
    copy = complete_copy(Instance.objects.get(pk=program.number), wide)
    answer = program("GET", f"/{copy.pk}/contacts", Accept="text/csv")
    assert (answer.status_code, "2,000 columns" in answer.json()["message"]) == (409, True)
    assert json.loads(program.file(str(copy.pk), "json")) == [wide]


def test_a_file_goes_by_the_name_that_was_asked_for_or_an_alias(program: Program) -> None:
    copy = complete_copy(Instance.objects.get(pk=program.number), resource="contacts")
    for name, status in (("contacts", 200), ("CONTACTS", 200), ("incidents", 404), ("nonsense", 404)):
        assert program("GET", f"/{copy.pk}/{name}").status_code == status
    other = program.copied("select * from service/tickets where id < 3")
    assert [row["id"] for row in json.loads(program.file(other, "json", "service/tickets"))] == [1, 2]
    assert program("GET", f"/{other}/incidents").status_code == 200


def test_the_callbacks_header_is_refused_in_words(program: Program) -> None:
    answer = program("POST", "/query?q=select+*+from+contacts", Elements_Async_Callback_Url="https://example.com/")
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Elements-Async-Callback-Url is not taken: ask for the copy's status")
    assert not Copy.objects.exists()


def test_copies_are_listed_page_by_page_newest_first(program: Program) -> None:
    numbers = [str(complete_copy(Instance.objects.get(pk=program.number)).pk) for _ in range(3)]
    first = program("GET", "?pageSize=2")
    assert [row["id"] for row in first.json()] == [numbers[2], numbers[1]]
    token = first.headers["Elements-Next-Page-Token"]
    assert [row["id"] for row in program("GET", f"?nextPage={token}").json()] == [numbers[0]]


def test_others_have_no_part_in_it(program: Program, other_api: Api, sandbox: SandboxServer) -> None:
    copy = complete_copy(Instance.objects.get(pk=program.number))
    stranger = Program(other_api, sandbox)
    for method, path in (("GET", "status"), ("PUT", "cancel"), ("GET", "contacts")):
        assert stranger(method, f"/{copy.pk}/{path}").status_code == 404
        for nonsense in (-1, "x", "٣", 10**18, 0):
            assert program(method, f"/{nonsense}/{path}").status_code == 404
    assert stranger("GET", "").json() == []
    sibling = Program(program.api, sandbox)
    assert sibling("GET", f"/{copy.pk}/status").status_code == 404
    assert program.api("GET", f"/hubs/crm/bulk/{copy.pk}/status").status_code == 400  # no Element token
    assert Copy.objects.get().status == "COMPLETED"


def test_a_key_that_only_reads_copies_and_one_of_other_instances_does_not(program: Program) -> None:
    ApiUser.objects.update(scope=Scope.READ)
    copy = program.copied("select * from contacts")
    assert program.file(copy, "json")
    assert program("PUT", f"/{copy}/cancel").json()["status"] == "CANCELLED"
    ApiUser.objects.update(instance_ids=[program.number + 1])
    assert program("GET", f"/{copy}/status").status_code in (401, 403, 404)


def test_who_asked_who_cancelled_and_who_has_the_file_is_in_the_audit_log(program: Program) -> None:
    copy = program.copied("select * from contacts")
    program.file(copy, "csv")
    program("PUT", f"/{copy}/cancel")
    entries = AuditEntry.objects.filter(subject=f"copy {copy} of contacts").order_by("pk")
    assert list(entries.values_list("action", flat=True)) == ["copy asked for", "copy downloaded", "copy cancelled"]
    downloaded = entries[1]
    assert (downloaded.actor, downloaded.details) == ("API user alice (Alpha)", {"format": "csv", "records": 30})


def test_an_expired_one_is_404_before_it_is_deleted(program: Program) -> None:
    copy = complete_copy(Instance.objects.get(pk=program.number), expires_at=timezone.now())
    for method, path in (("GET", "status"), ("PUT", "cancel"), ("GET", "contacts")):
        assert program(method, f"/{copy.pk}/{path}").status_code == 404
