"""How long an upgrade takes: `python -m tests.long.benchmarks.upgrade [--rows 1000000] [--release 0.1.0]`.

Restores the dump of a release in a folder of its own (with CWCONNECT_DATABASE_URL set: into that empty PostgreSQL),
multiplies its audit entries, events, notifications and attempts, and migrates; prints the estimate of `upgrade --check`
beside the seconds of every migration that took any. The rates in cwconnect/site/upgrading/plan.py and beside the
migrations come from here.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

NEW_IDS = 1000  # those of the dump itself are below
COLUMNS = {  # what differs from row to row; `i` counts them
    "instances_auditentry": {"subject": "'Kept (' || (i % 97) || ')'", "action": "'instance changed'"},
    "polling_notification": {"webhook_id": "'msg_' || i"},
    "polling_event": {"object_id": "i", "record_id": "i", "notification_id": f"i + {NEW_IDS}"},
    "polling_deliveryattempt": {"notification_id": f"i + {NEW_IDS}"},
}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--release", default="0.1.0")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CWCONNECT_DATA_DIR"] = folder
        import django

        django.setup()
        from django.db import connection

        from tests.upgrades.dumps import HERE, restore

        dump = HERE / f"{options.release}.{connection.vendor}.sql"
        restore(dump.read_text(encoding="utf-8"), Path(folder), dict(os.environ))
        _multiply(connection, options.rows)
        _migrate(connection)


def _multiply(connection: Any, rows: int) -> None:
    with connection.cursor() as cursor:
        for table, own in COLUMNS.items():
            names = [column.name for column in connection.introspection.get_table_description(cursor, table)]
            given = {"id": f"i + {NEW_IDS}"} | own
            values = ", ".join(given.get(name, f"t.{name}") for name in names)
            cursor.execute(
                f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "  # noqa: S608  (our own)
                f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} t, n WHERE t.id = 2"
            )
        if connection.vendor == "postgresql":
            cursor.execute("ANALYZE")


def _migrate(connection: Any) -> None:
    from django.db.migrations.executor import MigrationExecutor

    from cwconnect.site.upgrading.plan import plan_of

    began = time.perf_counter()
    plan = plan_of(connection)
    print(f"the plan itself took {time.perf_counter() - began:.2f} s")  # noqa: T201
    estimates = {(step.app, step.name): step.seconds for step in plan.steps}
    began, taken = time.perf_counter(), {}

    def note(action: str, migration: Any = None, fake: bool | None = False) -> None:
        nonlocal began
        if action == "apply_start":
            began = time.perf_counter()
        elif action == "apply_success":
            taken[migration.app_label, migration.name] = time.perf_counter() - began

    executor = MigrationExecutor(connection, note)
    executor.migrate(executor.loader.graph.leaf_nodes())
    for key, seconds in taken.items():
        if max(seconds, estimates[key]) > 0.5:
            print(f"{'.'.join(key):50} {seconds:8.1f} s, estimated {estimates[key]:8.1f} s")  # noqa: T201
    print(f"{'all':50} {sum(taken.values()):8.1f} s, estimated {plan.seconds:8.1f} s")  # noqa: T201


if __name__ == "__main__":
    main()
