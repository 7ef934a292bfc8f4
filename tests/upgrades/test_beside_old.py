"""Old processes beside an upgrade: refused where they would break, and untouched where they may go on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.required import lengthy
from tests.support.services import ROOT, Service, wait_until
from tests.upgrades.dumps import ON_POSTGRESQL, run_sql
from tests.upgrades.old_code import COMMITS, migrate_by, take_out, working
from tests.upgrades.upgrading import Upgrade

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300), lengthy]


def start(upgrade: Upgrade, *arguments: str) -> subprocess.Popen[str]:
    """Start a program of this version."""
    pipe = subprocess.PIPE
    command = [sys.executable, *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=upgrade.environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def applied(upgrade: Upgrade) -> int:
    return int(run_sql(upgrade.folder, upgrade.environment, "SELECT count(*) FROM django_migrations")[0][0])


@contextmanager
def beating(upgrade: Upgrade) -> Iterator[None]:
    """Have a worker's sign of life written as version 0.1.0 wrote it, again and again."""
    done = threading.Event()

    def write(at: str) -> None:
        row = f"('cluster elsewhere', '{at}')"
        statement = f"INSERT INTO polling_heartbeat (name, seen_at) VALUES {row} ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at"  # noqa: E501, S608  (our own)
        run_sql(upgrade.folder, upgrade.environment, statement)

    def keep() -> None:
        while not done.wait(0.3):
            write(datetime.now(UTC).isoformat(" "))

    write(datetime.now(UTC).isoformat(" "))
    thread = threading.Thread(target=keep)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_what_breaks_old_workers_is_refused_while_one_is_alive(upgrade: Upgrade) -> None:
    if upgrade.release != "0.1.0":
        pytest.skip("its workers write what its own tables hold")
    before = applied(upgrade)
    with beating(upgrade):
        refused = start(upgrade, "manage.py", "migrate")
        _, words = refused.communicate(timeout=120)
        checked = start(upgrade, "manage.py", "upgrade", "--check")
        plan, _ = checked.communicate(timeout=60)
    assert (refused.returncode, checked.returncode) == (1, 5), words + plan
    assert "can't run beside processes of another version" in words
    assert "the worker elsewhere, of a version that does not name itself" in words
    assert applied(upgrade) == before
    run_sql(upgrade.folder, upgrade.environment, "DELETE FROM polling_heartbeat")  # as a worker that is stopped does
    upgrade.manage("migrate -v0")
    assert applied(upgrade) > before


def test_writes_of_the_version_before_go_on_while_migrate_runs(upgrade: Upgrade) -> None:
    upgrade.migrate_past_stops()
    check = start(upgrade, "manage.py", "upgrade", "--check", "--json")
    plan = json.loads(check.communicate(timeout=60)[0])
    assert (check.returncode, plan["needs_stop"]) == (3, False)
    load = start(upgrade, "-m", "tests.upgrades.old_writes", "load")
    assert load.stdout is not None
    assert load.stdout.readline() == "ready\n"
    upgrade.manage("migrate -v0")
    during, problems = load.communicate("\n", timeout=60)
    found = json.loads(during or "{}")
    assert found.get("failed") == {}, problems + during
    rows = run_sql(upgrade.folder, upgrade.environment, "SELECT count(*) FROM instances_auditentry WHERE actor = 'old'")
    assert rows == [(found["rows"],)]
    assert found["rows"] > 0


@pytest.mark.skipif(
    not ON_POSTGRESQL and os.environ.get("CWCONNECT_TEST_LENGTHY") != "1",
    reason="takes half a minute: CI runs it on PostgreSQL, and CWCONNECT_TEST_LENGTHY=1",
)
def test_old_code_polls_and_delivers_on_the_new_schema_and_after_a_step_back(upgrade: Upgrade, tmp_path: Path) -> None:
    released, last = (take_out(commit, tmp_path) for commit in COMMITS[upgrade.release])
    if released != last:
        with working(released, tmp_path) as worker:
            tell(upgrade, worker, 101)
            refused = start(upgrade, "manage.py", "migrate")
            assert "can't run beside" in refused.communicate(timeout=120)[1]
            tell(upgrade, worker, 102)
        assert worker.process.returncode == 0, worker.output
        migrate_by(last, upgrade)
    with working(last, tmp_path) as worker:
        tell(upgrade, worker, 103)
        migrate = start(upgrade, "manage.py", "migrate", "-v0")
        tell(upgrade, worker, 104)
        said = migrate.communicate(timeout=120)
        assert migrate.returncode == 0, said
        tell(upgrade, worker, 105)
    for number, code in ((106, ROOT), (107, last), (108, ROOT)):  # on, a step back, and on again
        with working(code, tmp_path) as worker:
            tell(upgrade, worker, number)
    events = [event for event in upgrade.receiver.events() if int(event[1]) > 100]
    assert sorted(events) == [("CREATED", str(number)) for number in range(103 - 2 * (released != last), 109)]
    webhooks = [got.webhook_id for got in upgrade.receiver.got]
    assert len(webhooks) == len(set(webhooks)), "sent twice"
    (found,) = json.loads(upgrade.manage("verify 1 --json", may_fail=True))
    assert (found["missed"], found["stale"]) == ([], [])


def tell(upgrade: Upgrade, worker: Service, number: int) -> None:
    """Make a record, and wait until whoever works has notified the receiver of it."""
    upgrade.site.write(number, f"person {number}", datetime.now(UTC))

    def arrived() -> bool:
        due = "UPDATE polling_pollstate SET next_poll_at = '2026-11-20 08:00:00' WHERE lease_token IS NULL"
        run_sql(upgrade.folder, upgrade.environment, due)
        return ("CREATED", str(number)) in upgrade.receiver.events()

    wait_until(arrived, 90, f"news of {number}", lambda: worker.output)
