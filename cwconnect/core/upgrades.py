"""What migrations are written with, so that processes of the version before can go on beside them.

What a migration's operations don't show, it says of itself, as its attribute `beside_old`:

    class Migration(migrations.Migration):
        beside_old = Judged(safe=True, because="Fills a column that the version before does not know.")

Read by cwconnect/site/upgrading, which computes the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


@dataclass(frozen=True)
class Rate:
    """How long a migration's own code works on a table: microseconds a row, as measured, by database."""

    table: str
    sqlite: float
    postgresql: float


@dataclass(frozen=True)
class Judged:
    """Whether processes of the version before may go on while the migration runs, and after it.

    `because`: why, in a sentence for operators. `rates`: what RunPython and RunSQL cost, which nobody can compute.
    """

    safe: bool
    because: str
    rates: tuple[Rate, ...] = ()


class AddColumn(migrations.AddField):
    """A column that is empty or has a constant `db_default`: added on SQLite as on PostgreSQL, and no row is written.

    Django would make the whole table anew on SQLite, which for a million rows takes minutes.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Add it as every other database does, also on SQLite."""
        if schema_editor.connection.vendor != "sqlite":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        BaseDatabaseSchemaEditor.add_field(schema_editor, model, model._meta.get_field(self.name))  # noqa: SLF001  (documented API of models)


class AddIndexBesideWriters(migrations.AddIndex):
    """An index of a large table: on PostgreSQL made CONCURRENTLY, so that nobody who writes waits for it.

    Its migration has `atomic = False` and nothing else. Cut off, it leaves an index that is not valid; the next try
    drops that first. SQLite has one writer anyway.
    """

    atomic = False

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Make it, on PostgreSQL as AddIndexConcurrently does, whose module wants psycopg wherever it is imported."""
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        name = schema_editor.quote_name(self.index.name)
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.add_index(model, self.index, concurrently=True)
