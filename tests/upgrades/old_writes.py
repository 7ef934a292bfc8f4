"""What a version wrote to its tables: a row of each model as the migrations had it then, with those columns alone.

`python -m tests.upgrades.old_writes proof`: migrate a database step by step; after each, say what no longer works of
what worked just before it, as JSON by migration. `… load`: write as whoever knows the database as it is at the start,
row upon row, until the input ends; say how many, and what failed.
"""

from __future__ import annotations

import json
import select
import sys
from collections.abc import Iterator
from typing import Any

import django
from django.db import DatabaseError, connection, models, transaction
from django.utils import timezone


def value_of(field: models.Field[Any, Any], number: int) -> Any:
    """Return a value for a column, not empty where that can be, and another one for each number."""
    if field.is_relation and field.null:
        return None
    if type(field).__name__ == "SecretField":
        return "v1:nothing"
    if field.choices:
        return field.choices[0][0]
    kind = field.get_internal_type()
    if field.is_relation or (kind.endswith(("IntegerField", "AutoField"))):
        return number % 30_000 if kind.startswith(("PositiveSmall", "Small")) else number
    by_kind = {
        "BooleanField": False,
        "DateTimeField": timezone.now(),
        "JSONField": {},
        "BinaryField": b"",
        "FloatField": 0.5,
        "GenericIPAddressField": "192.0.2.1",
    }
    return by_kind[kind] if kind in by_kind else f"x{number}"[: field.max_length]


def use(model: type[models.Model], number: int) -> None:
    """Insert a row, read it and write it again; nothing of it stays. DatabaseError where that can't be done."""
    meta = model._meta
    columns = {field.column: _stored(field, number) for field in meta.concrete_fields if field.column}
    names = [connection.ops.quote_name(name) for name in columns]
    table, marks = connection.ops.quote_name(meta.db_table), ", ".join(["%s"] * len(columns))
    key, values = names[0], list(columns.values())
    insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608  (a model's names)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(insert, values)
        cursor.execute(f"SELECT {', '.join(names)} FROM {table} WHERE {key} = %s", values[:1])  # noqa: S608  (as above)
        changes = ", ".join(f"{name} = %s" for name in names)
        cursor.execute(f"UPDATE {table} SET {changes} WHERE {key} = %s", [*values, values[0]])  # noqa: S608  (as above)
        for one in _upserted(model):
            cursor.execute(f"{insert} ON CONFLICT ({one}) DO NOTHING", values)
        transaction.set_rollback(True)


def _upserted(model: type[models.Model]) -> list[str]:
    """Return what rows may be upserted by: the columns of each unique constraint that is of all rows, none empty."""
    rules = [rule for rule in model._meta.constraints if isinstance(rule, models.UniqueConstraint)]
    by_name = {field.name: field for field in model._meta.concrete_fields}
    fields = [[by_name[name] for name in rule.fields] for rule in rules if not rule.condition]
    keys = [one for one in fields if not any(field.null for field in one)]
    return [", ".join(connection.ops.quote_name(str(field.column)) for field in one) for one in keys]


def _stored(field: models.Field[Any, Any], number: int) -> Any:
    value = value_of(field, number)
    return value if type(field).__name__ == "SecretField" else field.get_db_prep_save(value, connection)


def broken(apps: Any, number: int) -> dict[str, str]:
    """Return what no longer works of these models, by the name of the table."""
    found = {}
    for model in apps.get_models():
        try:
            use(model, number)
        except DatabaseError as error:
            found[model._meta.db_table] = str(error).splitlines()[0]
    return found


def _steps() -> Iterator[tuple[str, dict[str, Any]]]:
    from cwconnect.site.upgrading.judgement import judge, tables_of

    state = applied_state(MigrationExecutor(connection))
    for number, (migration, whole) in enumerate(pending(connection)):
        before, verdict = broken(state.apps, 900_000 + 10 * number), judge(migration, state, tables_of(state))
        assert not before, f"what is tried with does not work by itself, before {migration}: {before}"
        MigrationExecutor(connection).migrate([(migration.app_label, migration.name)])
        found = {"broken": broken(state.apps, 900_005 + 10 * number), "breaks": verdict.breaks, "pending": whole.breaks}
        yield f"{migration.app_label}.{migration.name}", found | {"declared": verdict.declared is not None}
        state = migration.mutate_state(state)


def _load() -> dict[str, Any]:
    """Write to every table, again and again until the input ends; an audit entry each time stays, to be counted."""
    apps = applied_state(MigrationExecutor(connection)).apps
    entries = apps.get_model("instances", "AuditEntry").objects
    rows = 0
    failed: dict[str, str] = {}
    print("ready", flush=True)  # noqa: T201
    while not select.select([sys.stdin], [], [], 0)[0]:
        failed |= broken(apps, 900_000 + rows)
        entries.create(actor="old", action="old", subject="Old (1)", at=timezone.now(), details={})
        rows += 1
    return {"rows": rows, "failed": failed}


if __name__ == "__main__":
    django.setup()
    from django.db.migrations.executor import MigrationExecutor

    from cwconnect.site.upgrading.plan import applied_state, pending

    print(json.dumps(dict(_steps()) if sys.argv[1] == "proof" else _load()))  # noqa: T201
