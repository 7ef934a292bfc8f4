"""The sandbox's state in a file: what survives a restart, and how a file that can't be used is refused."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cwconnect.sandbox import SandboxServer, Store
from cwconnect.sandbox.changer import Changer
from cwconnect.sandbox.errors import DataFileError, UnknownListError
from cwconnect.sandbox.keeping import VERSION, DataFile
from cwconnect.sandbox.table import Table
from tests.sandbox.caller import CONTACTS, Caller
from tests.sandbox.hooked import arrivals, register, said
from tests.support.receivers import Receiver

CAPTION = {"id": 77, "caption": "Shoe size", "type": "Number", "value": 44}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sandbox.sqlite3"


def tables(store: Store) -> dict[str, tuple[int, dict[int, tuple[int | None, bytes]]]]:
    """Return all that the lists hold, by path: the next id, and each record's stamp and JSON."""
    found: dict[str, Table] = {table.spec.path: table for table in store._tables.values()}
    return {path: (t.next_id, {row.id: (row.stamp, row.body) for row in t.rows}) for path, t in found.items()}


def live(caller: Caller) -> None:
    """Do of everything one: records made, changed and deleted, on lists of each kind."""
    store = caller.server.store
    assert caller.post(CONTACTS, {"firstName": "Zoë", "customFields": [{"id": 1, "value": "44"}]}).status == 201
    store.change("contacts", 2, {"customFields": [CAPTION]})
    assert caller.patch(f"{CONTACTS}/3", {"op": "replace", "path": "title", "value": "Owner"}).status == 200
    assert caller.send("DELETE", f"/v4_6_release/apis/3.0{CONTACTS}/5").status == 204
    store.change("incidents", 2, {"summary": "\ud800 alone"})
    store.touch("incidents", 1, stamp="2017-03-04T05:06:07Z")
    store.create("/company/notes", {"odd name": None}, remove=["_info"])
    assert caller.post("/service/boards", {"name": "Ours", "location": {"id": 1}, "department": {"id": 1}}).status < 300
    store.add_note("incidents", 2, "A word")
    assert caller.post("/service/tickets/2/configurations", {"id": 1}).status == 201


def test_all_records_are_as_they_were_at_the_next_start(file: Path) -> None:
    records = {"contacts": 30, "incidents": 3, "configurations": 1, "/company/notes": 2}
    with SandboxServer(data=file, records=records) as server, Caller(server) as caller:
        live(caller)
        before = tables(server.store)
    with SandboxServer(data=file) as server:
        for path in ("/service/tickets/2/notes", "/service/tickets/2/configurations"):
            assert server.store.nested_table(path) is not None
        assert tables(server.store) == before
        assert server.store.lists()["/company/notes"] == 3


def test_user_defined_fields_and_their_values_are_kept(file: Path) -> None:
    definition = {"podId": 1, "caption": "VIP", "sequenceNumber": 2, "fieldTypeIdentifier": "Checkbox"}
    with SandboxServer(data=file, records={"contacts": 3}) as server, Caller(server) as caller:
        number = caller.post("/system/userDefinedFields", definition).json["id"]
        value = [{"id": number, "value": True}]
        made = caller.post(CONTACTS, {"firstName": "Zoë", "customFields": value}).json
    with SandboxServer(data=file) as server, Caller(server) as caller:
        assert caller.get(f"{CONTACTS}/{made['id']}").json == made
        assert {"caption": "VIP", "value": True}.items() <= made["customFields"][1].items()
        assert (
            caller.post(CONTACTS, {"firstName": "Noé", "customFields": value}).json["customFields"][1]["value"] is True
        )


def test_ids_are_never_given_twice(file: Path) -> None:
    with SandboxServer(data=file, records={"contacts": 3}) as server:
        last = server.store.create("contacts")["id"]
        server.store.delete("contacts", last)
        waiting = server.store.create("contacts", visible_after=60)["id"]
    with SandboxServer(data=file) as server:
        assert server.store.create("contacts")["id"] == waiting + 1 == last + 2


def test_conditions_know_the_fields_that_records_were_given(file: Path) -> None:
    with SandboxServer(data=file, records={"contacts": 30}) as server, Caller(server) as caller:
        server.store.change("contacts", 29, {"shoeSize": 44, "customFields": [CAPTION]})
    with SandboxServer(data=file) as server, Caller(server) as caller:
        assert caller.ids("shoeSize > 40") == [29]
        found = caller.get(CONTACTS, customFieldConditions='caption="Shoe size" and value=44').json
        assert [record["id"] for record in found] == [29]


def test_registrations_go_on_hearing_and_name_the_origin_they_were_made_by(file: Path, receiver: Receiver) -> None:
    with SandboxServer(data=file, records={"contacts": 3}) as server, Caller(server) as caller:
        wanted = {"url": f"{receiver.url}/c", "objectId": 1, "type": "contact", "level": "owner"}
        assert (
            caller.send("POST", "/v4_6_release/apis/3.0/system/callbacks", wanted, {"Host": "cw.example"}).status == 201
        )
    with SandboxServer(data=file) as server, Caller(server) as caller:
        server.store.change("contacts", 2, {"title": "Owner"})
        (got,) = arrivals(caller, receiver)
        assert (said(got), urlsplit(got.json["Metadata"]["key_url"]).netloc) == (
            ("contact", "updated", 2),
            "cw.example",
        )


def test_a_registration_that_is_deleted_stays_so(file: Path, receiver: Receiver) -> None:
    with SandboxServer(data=file, records={}) as server, Caller(server) as caller:
        number = register(caller, receiver)
        assert caller.send("DELETE", f"/v4_6_release/apis/3.0/system/callbacks/{number}").status == 204
    with SandboxServer(data=file) as server:
        assert server.store.ids("callbacks") == []


def test_each_company_has_its_own_and_one_may_join_later(file: Path) -> None:
    with SandboxServer(data=file, records={"contacts": 3}, more_companies=["Beta"]) as server:
        server.companies.store("beta").change("contacts", 1, {"title": "Theirs"})
    with SandboxServer(data=file, more_companies=["BETA", "gamma"]) as server:
        titles = [(store.get("contacts", 1) or {})["title"] for store in server.companies.stores]
        assert [title == "Theirs" for title in titles] == [False, True, False]
        assert len(server.companies.store("gamma").ids("contacts")) == 1000


def test_the_options_of_the_first_start_may_be_repeated_and_not_be_changed(file: Path) -> None:
    with SandboxServer(data=file, records={"contacts": 3, "incidents": 2}, seed=5) as server:
        begun = server.store.begun
    with SandboxServer(data=file, records={"tickets": 2, "contacts": 3}, seed=5) as server:
        assert (server.store.begun, server.store.seed) == (begun, 5)
    words = "began with --records contacts=3,incidents=2 --seed 5, .* leave {} out, or name another file"
    for given, asked in ({"records": {"contacts": 4}}, "--records"), ({"seed": 1}, "--seed"):
        with pytest.raises(DataFileError, match=words.format(asked)):
            SandboxServer(data=file, **given)


def test_a_start_that_fails_has_written_nothing(file: Path) -> None:
    with pytest.raises(UnknownListError):
        SandboxServer(data=file, records={"contacts": 5, "nonsense": 1})
    with SandboxServer(data=file, records={"contacts": 3}) as server:
        assert server.store.ids("contacts") == [1, 2, 3]


def newer(path: Path) -> None:
    DataFile(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()


def of_another_program(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE contact (id INTEGER)")
    connection.close()


def torn(path: Path) -> None:
    SandboxServer(data=path, records={"contacts": 100}).stop()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.write_text("contacts=1000\n" * 500), "file is not a database"),
        (of_another_program, "it is a database of another program"),
        (newer, f"a newer version of the sandbox wrote it (shape {VERSION + 1}, this one knows {VERSION})"),
        (torn, "database disk image is malformed"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.symlink_to(path.parent / "missing" / "file"), "No such file or directory"),
    ],
    ids=["text", "foreign", "newer", "torn", "folder", "nowhere"],
)
def test_a_file_that_cant_be_used_is_refused_in_words_and_left_as_it_is(
    file: Path, spoil: Callable[[Path], Any], why: str
) -> None:
    spoil(file)
    before = file.read_bytes() if file.is_file() else b""
    with pytest.raises(DataFileError) as caught:
        SandboxServer(data=file)
    assert str(caught.value) == f"--data {file} can't be used: {why}."
    assert (file.read_bytes() if file.is_file() else b"") == before


def test_two_sandboxes_never_share_a_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cwconnect.sandbox.keeping._LOCK_SECONDS", 0.05)
    with SandboxServer(data=file, records={}), pytest.raises(DataFileError, match="another sandbox uses it"):
        SandboxServer(data=file)
    SandboxServer(data=file).stop()


def test_a_port_in_use_leaves_the_file_to_others(file: Path) -> None:
    with SandboxServer(records={}) as other:
        server = SandboxServer(data=file, records={}, port=other.port)
        with pytest.raises(OSError, match="in use"):
            server.start()
        server.stop()
        SandboxServer(data=file).stop()


def test_the_file_is_its_owners_alone(file: Path) -> None:
    with SandboxServer(data=file, records={}):
        assert {path.stat().st_mode & 0o777 for path in file.parent.iterdir()} == {0o600}


def fill_up(server: SandboxServer) -> None:
    """Let the file not grow any more, as on a full disk."""
    assert server._file is not None
    server._file.run("PRAGMA max_page_count = 1")


def test_what_cant_be_written_is_answered_500_and_not_done(file: Path) -> None:
    with SandboxServer(data=file, records={"contacts": 30}) as server, Caller(server) as caller:
        fill_up(server)
        large, before = "x" * 100_000, tables(server.store)
        answer = caller.post(CONTACTS, {"firstName": large})
        assert (answer.status, answer.json["message"]) == (
            500,
            f"--data {file} can't be used: database or disk is full.",
        )
        assert caller.control("change", list="contacts", id=3, fields={"title": large}).status == 500
        after = tables(server.store)
        assert after["/company/contacts"][1] == before["/company/contacts"][1]
        assert caller.get().status == 200
    with SandboxServer(data=file) as server:
        assert tables(server.store)["/company/contacts"] == after["/company/contacts"]


def test_changes_by_themselves_outlive_a_full_disk(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with SandboxServer(data=file, records={"contacts": 30}) as server:
        failed = threading.Event()

        def change() -> None:
            if failed.is_set():
                again.set()
            failed.set()
            raise DataFileError("the disk is full")

        again, changer = threading.Event(), Changer(server.store, 60_000)
        changer.change_something = change  # type: ignore[method-assign]  # it has one thing to do
        changer.start()
        assert again.wait(5)
        changer.stop()
    assert "the disk is full" in capfd.readouterr().err
