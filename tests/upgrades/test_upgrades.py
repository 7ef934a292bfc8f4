"""A database that a released version left is migrated, and goes on: nothing lost, nothing sent again."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.required import lengthy
from tests.upgrades.dumps import DUMPS, ON_POSTGRESQL, run_sql
from tests.upgrades.upgrading import Upgrade

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180), lengthy]


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


def test_upgrade_copies_the_embedded_database_and_migrates(upgrade: Upgrade) -> None:
    before = run_sql(upgrade.folder, upgrade.environment, "SELECT count(*) FROM django_migrations")
    assert "Stop web and workers of the old version first" in upgrade.manage("upgrade")
    after = run_sql(upgrade.folder, upgrade.environment, "SELECT count(*) FROM django_migrations")
    assert after > before
    copies = sorted(upgrade.folder.glob("cwconnect.before-*.sqlite3"))
    assert len(copies) == (0 if ON_POSTGRESQL else 1)
    for copy in copies:
        with closing(sqlite3.connect(copy)) as database:
            assert database.execute("SELECT count(*) FROM django_migrations").fetchall() == before
    assert upgrade.manage("upgrade").startswith("Nothing is pending")
