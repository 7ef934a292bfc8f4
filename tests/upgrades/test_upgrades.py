"""A database that a released version left is migrated, and goes on: nothing lost, nothing sent again."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.databases import drop_storage
from tests.support.receivers import Receiver, start_receiver
from tests.support.services import ROOT, environment_of
from tests.upgrades.__main__ import HERE, RECEIVER, SITE
from tests.upgrades.site import Site, serving

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

RUN = """
import sys, django
django.setup()
from django.core.management import call_command
for command in sys.argv[1:]:
    call_command(*command.split())
"""
KILLED = """
import os, signal, sys, django
django.setup()
from django.core.management import call_command
from instances import secrets
seal, left = secrets.seal, [int(sys.argv[1])]
def sealed(*args):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    return seal(*args)
secrets.seal = sealed
call_command("migrate", verbosity=0)
"""
ON_POSTGRESQL = os.environ.get("CWCONNECT_DATABASE_URL", "").startswith("postgres")
DUMPS = sorted(HERE.glob("*.postgresql.sql" if ON_POSTGRESQL else "*.sqlite.sql"))


@dataclass(frozen=True)
class Upgrade:
    """A restored dump, and what is around it."""

    environment: dict[str, str]
    site: Site
    receiver: Receiver
    delivered: list[str]

    def manage(self, *commands: str, may_fail: bool = False) -> str:
        """Run commands of this version in one process, one after the other; give what they print."""
        program = [sys.executable, "-c", RUN, *commands]
        done = subprocess.run(program, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=150)
        assert may_fail or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def migrate_until(self, sealed: int) -> int:
        """Run `migrate` until it has sealed so many secrets, and kill it; give its exit code."""
        program = [sys.executable, "-c", KILLED, str(sealed)]
        return subprocess.run(program, cwd=ROOT, env=self.environment, timeout=150, check=False).returncode

    def settle(self) -> None:
        """Poll and deliver until all is delivered: a record's events follow one another, and so do a cut-off poll's."""
        self.manage(*["poll -v0"] * 2, *["deliver -v0"] * 3)


@pytest.fixture(params=DUMPS, ids=[dump.name for dump in DUMPS])
def upgrade(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Upgrade]:
    dump: Path = request.param
    kept: dict[str, Any] = json.loads(dump.with_suffix(".json").read_text(encoding="utf-8"))
    site = Site()
    site.records = {int(number): record for number, record in kept["records"].items()}
    with serving(site.handler()) as port, start_receiver() as receiver:
        text = dump.read_text(encoding="utf-8").replace(SITE, f"127.0.0.1:{port}")
        environment = {**environment_of(tmp_path), "DJANGO_SETTINGS_MODULE": "tests.settings"}
        restore(text.replace(RECEIVER, receiver.url.split("/")[2]), tmp_path, environment)
        yield Upgrade(environment, site, receiver, kept["delivered"])
    drop_storage()


def restore(text: str, folder: Path, environment: dict[str, str]) -> None:
    """Run a dump."""
    if not ON_POSTGRESQL:
        with closing(sqlite3.connect(folder / "cwconnect.sqlite3")) as database:
            database.executescript(text)
        return
    import psycopg

    with psycopg.connect(environment["CWCONNECT_DATABASE_URL"], autocommit=True) as connection:
        connection.execute(text.encode())


def run_sql(folder: Path, environment: dict[str, str], statement: str) -> list[tuple[Any, ...]]:
    """Run a statement on the database; give the rows of a query."""
    if not ON_POSTGRESQL:
        with closing(sqlite3.connect(folder / "cwconnect.sqlite3", isolation_level=None)) as database:
            return database.execute(statement).fetchall()
    import psycopg

    with psycopg.connect(environment["CWCONNECT_DATABASE_URL"], autocommit=True) as connection:
        done = connection.execute(statement.encode())
        return done.fetchall() if done.description else []


def test_there_is_a_dump() -> None:
    assert DUMPS


@pytest.mark.skipif(ON_POSTGRESQL, reason="backup and restore are of the embedded database")
def test_after_a_restore_verify_lists_what_comes_twice(upgrade: Upgrade, tmp_path: Path) -> None:
    upgrade.manage("migrate -v0")
    upgrade.settle()
    upgrade.site.write(1, "before the backup, sent after it", datetime.now(UTC))
    upgrade.manage("poll -v0", f"backup {tmp_path}/backup -v0")
    upgrade.receiver.got.clear()
    upgrade.site.write(4, "since the backup", datetime.now(UTC))
    upgrade.site.write(6, "new since the backup", datetime.now(UTC))
    upgrade.settle()
    before = list(upgrade.receiver.got)

    upgrade.manage(f"restore {tmp_path}/backup -v0")
    (found,) = json.loads(upgrade.manage("verify 1 --json", may_fail=True))
    upgrade.receiver.got.clear()
    upgrade.settle()

    assert (found["coming"], found["undelivered"], found["missed"], found["stale"]) == (2, 1, [], [])
    expected = [("CREATED", "6"), ("UPDATED", "1"), ("UPDATED", "4")]
    twice = list(upgrade.receiver.got)
    assert sorted(event for got in twice for event in got.events()) == expected
    assert sorted(event for got in before for event in got.events()) == expected
    ids = {got.webhook_id: got.json["message"]["raw"]["eventId"] for got in [*before, *twice]}
    assert len(ids) == len(set(ids.values())), "an id was given to two events"
    assert len({got.webhook_id for got in before} & {got.webhook_id for got in twice}) == 1, "what was undelivered"


def test_a_database_of_an_earlier_version_goes_on(upgrade: Upgrade) -> None:
    upgrade.manage("migrate -v0")
    now = datetime.now(UTC)
    upgrade.site.write(3, "after the upgrade", now)
    upgrade.site.write(6, "new", now)
    upgrade.manage(*["poll -v0"] * 2)
    del upgrade.site.records[2]
    upgrade.manage("deletes 1 --sweep -v0", *["deliver -v0"] * 3)
    expected = sorted(upgrade.receiver.events())
    updated = [("UPDATED", number) for number in ("1", "3", "3", "4", "5")]
    assert expected == [("CREATED", "6"), ("DELETED", "2"), *updated]
    assert not set(upgrade.delivered) & {got.webhook_id for got in upgrade.receiver.got}
    assert json.loads(upgrade.manage("verify 1 --json"))


def test_killed_while_it_seals_secrets_it_goes_on_from_there(upgrade: Upgrade) -> None:
    assert [upgrade.migrate_until(sealed) for sealed in (0, 2, 4)] == [-signal.SIGKILL] * 3
    upgrade.manage("migrate -v0")
    assert upgrade.manage("rotate_keys -v0").startswith("0 secrets written anew; 5 stood under the first key already.")
    now = datetime.now(UTC)
    upgrade.site.write(6, "new", now)
    upgrade.settle()
    assert ("CREATED", "6") in upgrade.receiver.events()


def test_periodic_jobs_keep_their_hour_and_what_ran_is_forgotten(upgrade: Upgrade, tmp_path: Path) -> None:
    before = ["chore forget sessions", "chore retention", "cluster here", "answered here", "slot here poll 0"]
    rows = ", ".join(f"('{name}', '2026-11-20 08:00:0{number}')" for number, name in enumerate(before))
    run_sql(tmp_path, upgrade.environment, f"INSERT INTO polling_heartbeat (name, seen_at) VALUES {rows}")  # noqa: S608  (our own)
    upgrade.manage("migrate -v0")
    kept = run_sql(tmp_path, upgrade.environment, "SELECT kind, name, taken_at FROM polling_lock ORDER BY taken_at")
    assert [(kind, name) for kind, name, _ in kept] == [("job", "delete expired sessions"), ("job", "retention")]
    assert [str(at)[:19] for *_, at in kept] == ["2026-11-20 08:00:00", "2026-11-20 08:00:01"]
    assert run_sql(tmp_path, upgrade.environment, "SELECT * FROM polling_heartbeat") == []
