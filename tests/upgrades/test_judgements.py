"""Each migration since the first release is judged, and the judgement holds on a database: old writes go on or fail."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.migrations.state import ModelState, ProjectState

from cwconnect.core.upgrades import AddColumn, AddIndexBesideWriters, Judged
from cwconnect.site.upgrading.judgement import judge, tables_of
from tests.support.databases import drop_storage
from tests.support.required import lengthy
from tests.support.services import ROOT, environment_of
from tests.upgrades.dumps import DUMPS, restore

pytestmark = [pytest.mark.timeout(180), lengthy]


@pytest.fixture(params=DUMPS, ids=[dump.name for dump in DUMPS])
def proof(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, dict[str, Any]]]:
    environment = {**environment_of(tmp_path, tables=False), "DJANGO_SETTINGS_MODULE": "tests.settings"}
    restore(request.param.read_text(encoding="utf-8"), tmp_path, environment)
    program = [sys.executable, "-m", "tests.upgrades.old_writes", "proof"]
    done = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    yield json.loads(done.stdout)
    drop_storage()


def test_every_migration_is_judged_and_the_judgement_holds(proof: dict[str, dict[str, Any]]) -> None:
    unjudged = [name for name, step in proof.items() if "nobody has" in step["pending"]]
    assert unjudged == [], "say in `beside_old` what they mean for processes of the version before"
    wrong = {name: step["broken"] for name, step in proof.items() if step["broken"] and not step["breaks"]}
    assert wrong == {}, "judged as safe beside old processes, and these can't write any more"
    # What was said by hand, and a column that may be empty from now on, break more than statements.
    careful = [
        name
        for name, step in proof.items()
        if name.startswith(("instances.", "polling."))
        and step["breaks"]
        and not (step["broken"] or step["declared"] or "may be empty" in step["breaks"])
    ]
    assert careful == [], "judged as unsafe by computation, and all that old processes write still works"


def _field(**kwargs: Any) -> models.Field[Any, Any]:
    return models.CharField(max_length=20, **kwargs)


THINGS = ("a", "thing")
RULE = models.UniqueConstraint(fields=["name"], name="once")
INDEX = models.Index(fields=["name"], name="by_name")
NOTHING = migrations.RunPython.noop
TABLE: tuple[tuple[Any, str], ...] = (
    (migrations.AddField("thing", "more", _field(null=True)), ""),
    (migrations.AddField("thing", "more", _field(db_default="")), ""),
    (AddColumn("thing", "more", _field(db_default="")), ""),
    (migrations.AddField("thing", "more", _field(default="")), "no default of the database's"),
    (migrations.RemoveField("thing", "name"), "drops a_thing.name"),
    (migrations.RenameField("thing", "name", "title"), "renames a_thing.name"),
    (migrations.RenameModel("Thing", "Matter"), "renames the table a_thing"),
    (migrations.AlterModelTable("thing", "matters"), "renames the table a_thing"),
    (migrations.DeleteModel("Thing"), "drops the table a_thing"),
    (migrations.AlterField("thing", "name", _field(help_text="other", choices=[("a", "A")])), ""),
    (migrations.AlterField("thing", "name", models.CharField(max_length=30)), ""),
    (migrations.AlterField("thing", "name", models.TextField()), ""),
    (migrations.AlterField("thing", "name", _field(db_default="")), ""),
    (migrations.AlterField("thing", "name", models.CharField(max_length=10)), "holds less"),
    (migrations.AlterField("thing", "name", models.IntegerField()), "from CharField to IntegerField"),
    (migrations.AlterField("thing", "name", _field(null=True)), "may be empty"),
    (migrations.AlterField("thing", "note", _field()), "no longer be empty"),
    (migrations.AlterField("thing", "name", _field(unique=True)), "unique"),
    (migrations.AddIndex("thing", INDEX), ""),
    (AddIndexBesideWriters("thing", INDEX), ""),
    (AddIndexConcurrently("thing", INDEX), ""),
    (migrations.RemoveIndex("thing", "by_note"), ""),
    (migrations.AddConstraint("thing", models.CheckConstraint(condition=models.Q(name="a"), name="a")), "new rule a"),
    (migrations.RemoveConstraint("thing", "once"), "upsert by once"),
    (migrations.AlterModelOptions("thing", {"verbose_name": "matter"}), ""),
    (migrations.AlterUniqueTogether("thing", {("name", "note")}), "nobody has judged"),
    (migrations.RunPython(NOTHING), "nobody has said"),
    (migrations.RunSQL("SELECT 1"), "nobody has said"),
    (migrations.SeparateDatabaseAndState([migrations.RemoveField("thing", "name")]), "drops a_thing.name"),
    (migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField("thing", "name")]), ""),
    (migrations.CreateModel("Other", [("id", models.BigAutoField(primary_key=True))]), ""),
)


def _state() -> ProjectState:
    fields = [("id", models.BigAutoField(primary_key=True)), ("name", _field()), ("note", _field(null=True))]
    index = models.Index(fields=["note"], name="by_note")
    state = ProjectState()
    state.add_model(ModelState("a", "Thing", fields, {"constraints": [RULE], "indexes": [index]}))
    return state


def _migration(*operations: Any) -> migrations.Migration:
    made: migrations.Migration = type("Migration", (migrations.Migration,), {"operations": list(operations)})(
        "0002", "a"
    )
    return made


@pytest.mark.parametrize(
    ("operation", "breaks"), TABLE, ids=[f"{row[0].describe()} {at}" for at, row in enumerate(TABLE)]
)
def test_what_an_operation_means_for_old_processes(operation: Any, breaks: str) -> None:
    verdict = judge(_migration(operation), _state(), tables_of(_state()))
    assert (breaks in verdict.breaks) if breaks else verdict.breaks == ""


@pytest.mark.parametrize(
    ("more", "nulls_distinct", "breaks"),
    [(_field(null=True), None, False), (_field(null=True), False, True), (_field(db_default=""), None, True)],
)
def test_a_rule_of_a_column_that_old_processes_leave_empty_concerns_none(
    more: Any, nulls_distinct: bool | None, breaks: bool
) -> None:
    rule = models.UniqueConstraint(fields=["more", "name"], name="a", nulls_distinct=nulls_distinct)
    both = [migrations.AddField("thing", "more", more), migrations.AddConstraint("thing", rule)]
    found = judge(_migration(*both), _state(), tables_of(_state()))
    assert bool(found.breaks) == breaks


@pytest.mark.parametrize("operation", [operation for operation, _ in TABLE if operation.reduces_to_sql is not None])
def test_nothing_breaks_who_does_not_know_the_table(operation: Any) -> None:
    assert judge(_migration(operation), _state(), {}).breaks == ""


def test_what_a_migration_says_of_itself_counts() -> None:
    migration = _migration(migrations.RemoveField("thing", "name"))
    migration.beside_old = Judged(safe=True, because="Nobody reads it.")  # type: ignore[attr-defined]  # read where it is
    assert judge(migration, _state(), tables_of(_state())).breaks == ""


def test_only_an_index_made_beside_writers_keeps_none_waiting() -> None:
    known = tables_of(_state())
    waits = [
        judge(_migration(kind("thing", INDEX)), _state(), known).effects[0].waits
        for kind in (migrations.AddIndex, AddIndexBesideWriters, AddIndexConcurrently)
    ]
    assert waits == [True, False, False]
