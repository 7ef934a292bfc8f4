"""A sandbox with a file is killed while clients write: nothing that was answered is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cwconnect.sandbox import SandboxServer
from cwconnect.site.demo import free_port
from tests.sandbox.caller import BASE, CONTACTS, Caller
from tests.support.services import manage, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

Answered = dict[int, str | None]
"""The title that each record was last answered to have, by id; None for one whose deletion was answered."""


@contextmanager
def sandbox(data: Path, port: int, *options: str) -> Iterator[Caller]:
    """Run the command with a file, killed at the end; give a caller of it."""
    arguments = ("--port", str(port), "--data", str(data / "kept.sqlite3"), "--changes-per-minute", "0")
    with manage(data, "sandbox", *arguments, *options) as service:
        wait_until(lambda: "Kept in" in service.output, 60, "a sandbox", lambda: service.output)
        with Caller(cast(SandboxServer, SimpleNamespace(port=port))) as caller:
            yield caller
        # Leaving kills it, with SIGKILL, in the middle of what writers do.


def write(port: int, answered: Answered, unsure: set[int]) -> None:
    """Make, change and delete contacts until nobody answers; note what was answered, and what was not."""
    number = 0
    try:
        with Caller(cast(SandboxServer, SimpleNamespace(port=port))) as caller:
            while True:
                number = 0
                made = caller.post(CONTACTS, {"firstName": "Zoë", "title": "new"})
                number = made.json["id"]
                answered[number] = "new"
                step: dict[str, object] = {"op": "replace", "path": "title", "value": f"changed {number}"}
                assert caller.patch(f"{CONTACTS}/{number}", step).status == 200
                answered[number] = f"changed {number}"
                if number % 3 == 0:
                    assert caller.send("DELETE", f"{BASE}{CONTACTS}/{number}").status == 204
                    answered[number] = None
    except (OSError, HTTPException):
        unsure.add(number)  # done or not, as with every answer that is lost


def test_nothing_that_was_answered_is_lost_by_a_kill(data: Path) -> None:
    data.mkdir()
    port, answered, unsure = free_port(), Answered(), set[int]()
    with sandbox(data, port, "--records", "contacts=20"):
        writers = [threading.Thread(target=write, args=(port, answered, unsure)) for _ in range(3)]
        for writer in writers:
            writer.start()
        wait_until(lambda: len(answered) > 200, 60, "writes")
    for writer in writers:
        writer.join()
    with sandbox(data, port) as caller:
        found = titles(caller)
        fresh = caller.post(CONTACTS, {"firstName": "Zoë"}).json["id"]
    sure = {number: title for number, title in answered.items() if number not in unsure}
    assert {number: found.get(number) for number in sure} == sure
    assert fresh > max(answered)


def titles(caller: Caller) -> dict[int, Any]:
    """Return all contacts' titles by id."""
    found, last = dict[int, Any](), 0
    while page := caller.forward(last, pageSize=1000).json:
        found |= {record["id"]: record.get("title") for record in page}
        last = page[-1]["id"]
    return found
