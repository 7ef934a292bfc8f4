"""What each operation of a migration means for processes of the version before, which don't know what it makes.

They insert, update and read with the columns that they know, upsert by the unique constraints that they know, and lock
what they always locked. So a new table, a column that the database fills by itself, an index and whatever only loosens
a rule are safe; what takes away, renames or tightens is not. A table that was not there before the upgrade concerns
none of them. What code does (RunPython, RunSQL), and what stands in `beside_old`, is judged by whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db import models
from django.db.migrations import Migration, operations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import NOT_PROVIDED

from cwconnect.core.upgrades import AddColumn, AddIndexBesideWriters, Judged

# Neither of these changes what the database does (Django's own list, and the default that Python fills in).
_UNSEEN = frozenset((*models.Field.non_db_attrs, "default", "auto_now", "auto_now_add"))
# Columns that hold at least what those before held.
_WIDER = {("CharField", "TextField"), ("IntegerField", "BigIntegerField"), ("PositiveIntegerField", "BigIntegerField")}
_CONCURRENTLY = "AddIndexConcurrently"  # by name: Django's module of it wants psycopg wherever it is imported
_UNJUDGED = "It runs code, and nobody has said what that means for processes of the version before."


@dataclass(frozen=True)
class Effect:
    """What one operation does. `work` is what it costs by the row, `breaks` why old processes can't go on (or blank).

    `waits`: writes to the table wait for it while it works, on PostgreSQL; on SQLite all writes always do. `new`: the
    table was not there before the upgrade, so it holds no rows, and nobody waits for it or breaks on it.
    """

    verb: str
    what: str
    table: str
    breaks: str = ""
    work: str = ""
    waits: bool = False
    new: bool = False


@dataclass(frozen=True)
class Verdict:
    """A migration's effects, and what it says of itself."""

    effects: tuple[Effect, ...]
    declared: Judged | None = None

    @property
    def breaks(self) -> str:
        """Return why processes of the version before have to be stopped, in sentences; blank where they may go on."""
        if self.declared:
            return "" if self.declared.safe else self.declared.because
        return " ".join(dict.fromkeys(effect.breaks for effect in self.effects if effect.breaks))


Known = Mapping[str, frozenset[str]]


def tables_of(state: ProjectState) -> Known:
    """Return the columns of each table that a state has, those of many-to-many fields left out."""
    return {
        _table(state, *key): frozenset(column_of(name, field) for name, field in model.fields.items())
        for key, model in state.models.items()
    }


def judge(migration: Migration, before: ProjectState, known: Known) -> Verdict:
    """Judge a migration that is to run on `before`, for processes that know the tables and columns `known` alone."""
    state = before.clone()
    found: list[Effect] = []
    for operation in migration.operations:
        found += _effects(operation, migration.app_label, state, known)
        operation.state_forwards(migration.app_label, state)
    declared = getattr(migration, "beside_old", None) or _DECLARED.get((migration.app_label, migration.name))
    return Verdict(tuple(found), declared)


# Of other packages' migrations, which can't say it themselves; those of apps all of whose tables are new need nothing.
_DECLARED: dict[tuple[str, str], Judged] = {}


def _effects(operation: Operation, app: str, state: ProjectState, known: Known) -> Iterator[Effect]:
    if isinstance(operation, operations.SeparateDatabaseAndState):
        inner = state.clone()
        for part in operation.database_operations:
            yield from _effects(part, app, inner, known)
            part.state_forwards(app, inner)
        return
    if isinstance(operation, operations.RunPython | operations.RunSQL):
        theirs = {
            table for table in known if any(_table(state, *key) == table for key in state.models if key[0] == app)
        }
        yield Effect("runs", "code", "", breaks=_UNJUDGED if theirs else "", work="code")
        return
    effect = _effect(operation, app, state)
    if isinstance(operation, operations.AddConstraint) and _concerns_none(operation, app, state, known):
        effect = replace(effect, breaks="")
    yield effect if effect.table in known else replace(effect, breaks="", work="", waits=False, new=True)


def _effect(operation: Operation, app: str, state: ProjectState) -> Effect:
    for kind, read in _KINDS:
        if isinstance(operation, kind):
            found: Effect = read(operation, app, state)
            return found
    what = operation.describe()
    return Effect("does", what, _of(operation, app, state), breaks=f"{what}: nobody has judged such an operation.")


def _create(operation: operations.CreateModel, app: str, _state: ProjectState) -> Effect:
    return Effect("makes", "table", str(operation.options.get("db_table") or f"{app}_{operation.name_lower}"))


def _delete(operation: Any, app: str, state: ProjectState) -> Effect:
    table = _table(state, app, operation.name_lower)
    return Effect("drops", "table", table, breaks=f"It drops the table {table}.")


def _rename_table(operation: Any, app: str, state: ProjectState) -> Effect:
    old = getattr(operation, "old_name_lower", None) or operation.name_lower
    table = _table(state, app, old)
    return Effect("renames", "table", table, breaks=f"It renames the table {table}.")


def _add_field(operation: operations.AddField, app: str, state: ProjectState) -> Effect:
    table, field = _of(operation, app, state), operation.field
    filled = field.null or field.many_to_many or field.db_default is not NOT_PROVIDED or _generated(field)
    column = column_of(operation.name, field)
    breaks = "" if filled else f"Old processes write no {table}.{column}, and it has no default of the database's."
    plain = field.null and not field.unique and (field.default in (NOT_PROVIDED, None))
    rewrites = not plain and not field.many_to_many and not isinstance(operation, AddColumn)
    return Effect("adds", f"column {column}", table, breaks, "copy" if rewrites else "")


def _remove_field(operation: Any, app: str, state: ProjectState) -> Effect:
    table = _of(operation, app, state)
    return Effect("drops", f"column {operation.name}", table, f"It drops {table}.{operation.name}.", "copy")


def _rename_field(operation: operations.RenameField, app: str, state: ProjectState) -> Effect:
    table, name = _of(operation, app, state), f"column {operation.old_name}"
    return Effect("renames", name, table, f"It renames {table}.{operation.old_name}.")


def _alter_field(operation: operations.AlterField, app: str, state: ProjectState) -> Effect:
    table = _of(operation, app, state)
    old, new = state.models[app, operation.model_name_lower].fields[operation.name], operation.field
    changed = _changed(old, new)
    if not changed and type(old) is type(new):
        return Effect("describes", f"column {operation.name}", table)
    tightened = _tightened(old, new, changed)
    column = f"{table}.{column_of(operation.name, new)}"
    breaks = f"It changes {column} ({', '.join(tightened)})." if tightened else ""
    return Effect("changes", f"column {operation.name}", table, breaks, "check", waits=True)


def _changed(old: models.Field[Any, Any], new: models.Field[Any, Any]) -> set[str]:
    before, after = old.deconstruct()[3], new.deconstruct()[3]
    return {name for name in {*before, *after} - _UNSEEN if before.get(name) != after.get(name)}


def _tightened(old: models.Field[Any, Any], new: models.Field[Any, Any], changed: set[str]) -> list[str]:
    """Name what old processes may trip over: a value that no longer fits, or one that they don't expect."""
    kinds = (old.get_internal_type(), new.get_internal_type())
    found = [] if kinds[0] == kinds[1] or kinds in _WIDER else [f"from {kinds[0]} to {kinds[1]}"]
    if "null" in changed:
        found.append("it may be empty, which they don't expect" if new.null else "it may no longer be empty")
    shorter = kinds[1] != "TextField" and (new.max_length or 0) < (old.max_length or 0)
    found += ["it holds less"] if "max_length" in changed and shorter else []
    loosened = {"db_constraint"} if not getattr(new, "db_constraint", True) else set()
    loosened |= {"db_default"} if new.db_default is not NOT_PROVIDED else set()
    # A unique constraint taken away is missed by upserts, which name it.
    return found + sorted(changed - {"null", "max_length", "db_index"} - loosened)


def _index(operation: Any, app: str, state: ProjectState) -> Effect:
    name = getattr(operation, "index", None)
    waits = not isinstance(operation, AddIndexBesideWriters) and type(operation).__name__ != _CONCURRENTLY
    return Effect("adds", f"index {name.name if name else ''}", _of(operation, app, state), work="index", waits=waits)


def _drop_index(operation: Any, app: str, state: ProjectState) -> Effect:
    return Effect("drops", f"index {operation.name}", _of(operation, app, state))


def _constrain(operation: Any, app: str, state: ProjectState) -> Effect:
    table, name = _of(operation, app, state), operation.constraint.name
    return Effect(
        "adds", f"constraint {name}", table, f"Old processes may break the new rule {name}.", "check", waits=True
    )


def _concerns_none(operation: Any, app: str, state: ProjectState, known: Known) -> bool:
    """Return whether a constraint says that rows are unique by a column that old processes leave empty."""
    rule, columns = operation.constraint, known.get(_of(operation, app, state), frozenset())
    if not isinstance(rule, models.UniqueConstraint) or rule.nulls_distinct is False:
        return False
    fields = state.models[app, operation.model_name_lower].fields
    new = [fields[name] for name in rule.fields if column_of(name, fields[name]) not in columns]
    return any(field.null and field.db_default is NOT_PROVIDED for field in new)


def _loosen(operation: Any, app: str, state: ProjectState) -> Effect:
    table = _of(operation, app, state)
    found = state.models[app, operation.model_name_lower].get_constraint_by_name(operation.name)
    breaks = f"Old processes upsert by {operation.name}." if isinstance(found, models.UniqueConstraint) else ""
    return Effect("drops", f"constraint {operation.name}", table, breaks, "copy")


def _describe(operation: Any, app: str, state: ProjectState) -> Effect:
    return Effect("describes", "the model", _table(state, app, operation.name_lower))


_KINDS: tuple[tuple[Any, Any], ...] = (
    (operations.CreateModel, _create),
    (operations.DeleteModel, _delete),
    ((operations.RenameModel, operations.AlterModelTable), _rename_table),
    (operations.AddField, _add_field),
    (operations.RemoveField, _remove_field),
    (operations.RenameField, _rename_field),
    (operations.AlterField, _alter_field),
    (operations.AddIndex, _index),
    ((operations.RemoveIndex, operations.RenameIndex), _drop_index),
    (operations.AddConstraint, _constrain),
    (operations.RemoveConstraint, _loosen),
    ((operations.AlterModelOptions, operations.AlterModelManagers), _describe),
)


def column_of(name: str, field: models.Field[Any, Any]) -> str:
    """Return the column of a field that stands in no model yet."""
    points = isinstance(field, models.ForeignKey)
    return str(field.db_column or (f"{name}_id" if points else name))


def _generated(field: models.Field[Any, Any]) -> bool:
    return isinstance(field, models.GeneratedField | models.AutoField | models.CompositePrimaryKey)


def _of(operation: Any, app: str, state: ProjectState) -> str:
    name = getattr(operation, "model_name_lower", None) or getattr(operation, "name_lower", "")
    return _table(state, app, str(name))


def _table(state: ProjectState, app: str, name: str) -> str:
    found = state.models.get((app, name))
    named = found.options.get("db_table") if found else None
    return str(named or f"{app}_{name}")
