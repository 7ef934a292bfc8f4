"""The reckoning finds what it is there to find."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.long.faults.audit import Findings, compare
from tests.long.faults.connectwise import Source
from tests.long.faults.receiver import Taken
from tests.long.faults.storage import Storage

WATCHED = {1: "contacts"}


class Log(Storage):
    """An event log that holds what a test says: for each notification its state and its events."""

    def __init__(self, run: Path) -> None:
        super().__init__(run, {})
        self.notifications: dict[str, str] = {}
        self.events: list[tuple[Any, ...]] = []

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.events if "polling_event" in query else list(self.notifications.items())

    def close(self) -> None:
        """Nothing to close."""


class Case:
    """A source with contacts 1 and 2, a receiver's log, an event log."""

    def __init__(self, run: Path) -> None:
        self.source = Source(run / "journal", lists=1, records=2)
        self.taken_log = run / "taken"
        self.taken = Taken(self.taken_log)
        self.log = Log(run)

    def arrive(self, webhook_id: str, *events: tuple[int, str, int], digest: str = "d", status: int = 204) -> None:
        """Have contacts arrive: id, kind, version."""
        delivered = [(1, "contacts", number, kind, version) for number, kind, version in events]
        with self.taken_log.open("a") as log:
            log.write(json.dumps([0.0, webhook_id, digest, status, True, delivered]) + "\n")
        if webhook_id not in self.log.notifications:
            self.log.notifications[webhook_id] = "delivered"
            self.log.events += [(webhook_id, 1, "contacts", number, kind) for number, kind, _ in events]

    def findings(self) -> Findings:
        """Compare."""
        self.taken.read_on()
        return compare(self.source, self.taken, self.log, WATCHED)[0]


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    case = Case(tmp_path)
    case.source.change("contacts", 1)  # version 1
    case.source.create("contacts")  # version 2: contact 3
    yield case
    case.source.close()
    case.taken.close()


def test_what_arrived_in_order_is_well_though_it_was_sent_twice(case: Case) -> None:
    case.arrive("a", (1, "UPDATED", 1), (3, "CREATED", 2), status=500)
    case.arrive("a", (1, "UPDATED", 1), (3, "CREATED", 2))
    case.arrive("a", (1, "UPDATED", 1), (3, "CREATED", 2))
    assert case.findings() == Findings()


def test_a_state_that_never_came_is_lost(case: Case) -> None:
    case.arrive("a", (1, "UPDATED", 1))
    assert case.findings().lost == ["contacts/3 for 1: delivered up to 0 of 2"]


def test_a_state_that_was_refused_is_lost(case: Case) -> None:
    case.arrive("a", (1, "UPDATED", 1), (3, "CREATED", 2), status=500)
    assert "a is delivered, and never came" in case.findings().lost


def test_a_state_under_two_ids_is_repeated(case: Case) -> None:
    case.arrive("a", (1, "UPDATED", 1), (3, "CREATED", 2))
    case.arrive("b", (1, "UPDATED", 1))
    assert len(case.findings().repeated) == 1


def test_an_older_state_after_a_newer_one_is_out_of_order(case: Case) -> None:
    case.source.change("contacts", 1)
    case.arrive("a", (1, "UPDATED", 3), (3, "CREATED", 2))
    case.arrive("b", (1, "UPDATED", 1))
    assert len(case.findings().out_of_order) == 1


@pytest.mark.parametrize(("first", "third"), [("CREATED", "CREATED"), ("UPDATED", "UPDATED")])
def test_created_is_said_of_new_records_alone(case: Case, first: str, third: str) -> None:
    case.arrive("a", (1, first, 1), (3, third, 2))
    assert len(case.findings().wrong) == 1


def test_the_same_id_over_other_bytes_is_wrong(case: Case) -> None:
    case.arrive("a", (1, "UPDATED", 1), (3, "CREATED", 2))
    case.arrive("a", (1, "UPDATED", 1), (3, "CREATED", 2), digest="other")
    assert case.findings().wrong == ["a came with other bytes"]


def test_what_the_log_says_was_delivered_and_never_came_is_lost(case: Case) -> None:
    case.arrive("a", (1, "UPDATED", 1), (3, "CREATED", 2))
    case.log.notifications["b"] = "delivered"
    case.log.notifications["c"] = "pending"
    case.log.events.append(("b", 1, "contacts", 2, "UPDATED"))
    assert len(case.findings().lost) == 3


def test_what_came_and_is_not_in_the_log_is_wrong(case: Case) -> None:
    case.arrive("a", (1, "UPDATED", 1), (3, "CREATED", 2))
    case.log.notifications.clear()
    assert case.findings().wrong == ["a came, and is not in the log"]
