"""What sweeps for deletes cost, and what a known row takes: `python -m tests.long.benchmarks.sweeps [ROWS]`.

The sandbox runs here, the service in a process of its own on SQLite, and on PostgreSQL where CWCONNECT_DATABASE_URL
names a server. Its peak memory is the process's (VmHWM), from before the first sweep to after each one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace

from tests.long.benchmarks.measure import Stopwatch, peak_mb
from tests.long.benchmarks.storage import NO_SERVER, SERVER, postgresql, sqlite
from tests.support.sandboxes import start_sandbox

DELETED = (5, None)  # a few, then a fifth of all


def main(rows: int) -> None:
    """Measure on each database."""
    for where in (sqlite, postgresql):
        if where is postgresql and not SERVER:
            sys.stdout.write(f"{NO_SERVER}\n")
            continue
        with where() as environment:
            sys.stdout.write(f"{where.__name__}, {rows} contacts\n")
            _measure(rows, environment)


def _measure(rows: int, environment: Mapping[str, str]) -> None:
    with start_sandbox(records={"contacts": rows}) as sandbox:
        command = [sys.executable, "-m", "tests.long.benchmarks.sweeps", "service", sandbox.url]
        service = subprocess.Popen(
            command, env=os.environ | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with service:
            assert service.stdin
            assert service.stdout
            first = 1
            sys.stdout.write(service.stdout.readline())
            for count in DELETED:
                last = first + (rows // 5 if count is None else count)
                for record_id in range(first, last):
                    sandbox.store.delete("contacts", record_id)
                sandbox.store.clear_requests()
                service.stdin.write("go\n")
                service.stdin.flush()
                sys.stdout.write(service.stdout.readline())
                sys.stdout.write(f"  {len(sandbox.store.requests)} requests\n")
                first = last
            service.stdin.close()
            sys.stdout.write(service.stdout.read())


def serve(base_url: str) -> None:
    """Sweep whenever asked on standard input; then measure known rows."""
    from tests.long.benchmarks.service import Tenants, set_up

    set_up()
    from django.utils import timezone

    from polling.detection.poll_loop import sweep_these
    from polling.models import Event, PollRun, PollState, RecordSnapshot

    instance = Tenants().watch(base_url, detectDeletes=True)
    PollState.objects.update(next_poll_at=None)
    before = _size("polling_recordsnapshot")
    for what in ("baseline", "5 deleted", "a fifth deleted"):
        with Stopwatch() as watch:
            PollState.objects.update(next_sweep_at=timezone.now())
            begun = peak_mb()
            sweep_these([state.pk for state in PollState.objects.all()])
        run = PollRun.objects.latest("pk")
        recorded, held = Event.objects.filter(run=run).count(), len(run.held)
        sys.stdout.write(
            f"  {what}: {watch.seconds:.1f} s, CPU {watch.cpu:.1f} s, memory {begun:.0f} → {peak_mb():.0f} MB, "
            f"{run.page} pages, {recorded} recorded, {held} held, health {PollState.objects.get().health}\n"
        )
        sys.stdout.flush()
        if what != "a fifth deleted":
            sys.stdin.readline()
    count = RecordSnapshot.objects.count()
    sys.stdout.write(f"  known by id alone: {(_size('polling_recordsnapshot') - before) / count:.0f} bytes a row\n")
    _read_all(instance.pk)


def _read_all(instance_id: int) -> None:
    """Remember every contact with its text, in place of what the sweep knew."""
    from instances.configuration.polls import plan_of
    from instances.connections import client_for
    from instances.models import Instance
    from polling.detection.changes import digest, record_text
    from polling.detection.deletes.sweeps import EVER
    from polling.detection.snapshots import NewSnapshot, remember
    from polling.models import RecordSnapshot
    from tests.connectwise.pages import read_pages

    instance = Instance.objects.get(pk=instance_id)
    poll = instance.resource_polls.get()
    plan, client = plan_of(poll.name, poll.configuration), client_for(instance)
    RecordSnapshot.objects.all().delete()
    _vacuum()
    empty, count = _size("polling_recordsnapshot"), 0
    for page in read_pages(client, replace(plan.hub, where=None), opening=EVER):
        stamps = {record["id"]: plan.updated.read(record) for record in page.records}
        rows = [
            NewSnapshot(
                record["id"],
                int(stamp.timestamp()) if (stamp := stamps[record["id"]]) else None,
                digest(record),
                record_text(record).decode(),
            )
            for record in page.records
        ]
        remember(poll.pk, rows)
        count += len(rows)
    narrow = (_size("polling_recordsnapshot") - empty) / count
    bodies = _size("polling_snapshotbody") / count
    sys.stdout.write(f"  read: {narrow:.0f} bytes a row, and {bodies:.0f} for the text where it is kept\n")


def _size(table: str) -> int:
    """Return the bytes that a table and its indexes take."""
    from django.db import connection

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_total_relation_size(%s)", [table])
        else:
            cursor.execute(
                "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name IN"
                " (SELECT name FROM sqlite_master WHERE tbl_name = %s)",
                [table],
            )
        return int(cursor.fetchone()[0])


def _vacuum() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM FULL polling_recordsnapshot" if connection.vendor == "postgresql" else "VACUUM")


if __name__ == "__main__":
    if sys.argv[1:2] == ["service"]:
        serve(sys.argv[2])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
