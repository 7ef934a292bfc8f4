"""All that is pending on a database, with estimates; what `upgrade` shows and `migrate` asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState

from cwconnect.core.upgrades import Rate
from cwconnect.site.upgrading.judgement import Effect, Verdict, judge, tables_of
from cwconnect.site.upgrading.sizes import Sizes
from cwconnect.site.upgrading.wording import sentence_of

# Microseconds a row, as measured at a million rows of events and of the audit log on two cores: SQLite, PostgreSQL.
# `copy`: a column, for which SQLite makes the table anew; `check`: a rule, for which PostgreSQL reads all rows.
MICROSECONDS = {"index": (2.5, 3.0), "copy": (18.0, 0.0), "check": (18.0, 0.5)}
_INDEX_BYTES = 60  # an entry
_FIXED_SECONDS = 0.2  # what a migration takes on an empty table
_FOREIGN_KEYS = 0.45  # microseconds a row of the whole database: SQLite's are looked through after each migration

Targets = list[tuple[str, str | None]]


@dataclass(frozen=True)
class Step:
    """A pending migration. `breaks`: why processes of the version before must be stopped; blank where they may go on.

    `rows`: of the largest table that it works on, `counted` or estimated. `seconds` is an estimate, and `pause` the
    part of it during which writes of others wait. `space`: bytes that it needs beside what there is.
    """

    app: str
    name: str
    does: str
    breaks: str
    because: str
    rows: int
    counted: bool
    seconds: float
    pause: float
    space: int


@dataclass(frozen=True)
class Plan:
    """What is pending, in its order; and the database's size and the free space beside it, in bytes."""

    steps: tuple[Step, ...]
    database: int
    free: int | None
    fresh: bool

    @property
    def needs_stop(self) -> bool:
        """Return whether processes of the version before have to be stopped first."""
        return not self.fresh and any(step.breaks for step in self.steps)

    @property
    def seconds(self) -> float:
        """Return how long all of it takes, by estimate."""
        return sum(step.seconds for step in self.steps)

    @property
    def space(self) -> int:
        """Return the bytes needed at most at a time: what one step needs is free again after it."""
        return max((step.space for step in self.steps), default=0)


def pending(connection: BaseDatabaseWrapper, targets: Targets | None = None) -> list[tuple[Migration, Verdict]]:
    """Return the migrations that `migrate` would apply, each judged for processes that know the database as it is."""
    executor = MigrationExecutor(connection)
    wanted: Any = executor.loader.graph.leaf_nodes() if targets is None else targets
    forwards = [migration for migration, backwards in executor.migration_plan(wanted) if not backwards]
    state = applied_state(executor)
    known, found = tables_of(state), []
    for migration in forwards:
        found.append((migration, judge(migration, state, known)))
        state = migration.mutate_state(state)
    return found


def applied_state(executor: MigrationExecutor) -> ProjectState:
    """Return the models as the database has them now."""
    # Django's own order: a state is made of migrations each of which follows what it depends on.
    state = ProjectState(real_apps=executor.loader.unmigrated_apps)
    for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes(), clean_start=True):
        if (migration.app_label, migration.name) in executor.loader.applied_migrations:
            migration.mutate_state(state, preserve=False)
    return state


def is_fresh(connection: BaseDatabaseWrapper) -> bool:
    """Return whether nothing was ever migrated there, so that no other process can work on it."""
    return not MigrationExecutor(connection).loader.applied_migrations


def plan_of(connection: BaseDatabaseWrapper) -> Plan:
    """Return all that is pending, measured on this database; nothing is changed."""
    sizes = Sizes(connection)
    found = pending(connection)
    each = _FIXED_SECONDS + (sizes.all_rows() * _FOREIGN_KEYS / 1e6 if found and connection.vendor == "sqlite" else 0.0)
    steps = tuple(_step(*one, sizes, connection.vendor, each) for one in found)
    return Plan(steps, sizes.database(), sizes.free(), is_fresh(connection))


def _step(migration: Migration, verdict: Verdict, sizes: Sizes, vendor: str, each: float) -> Step:
    worked = [effect for effect in verdict.effects if effect.work in MICROSECONDS]
    rates = verdict.declared.rates if verdict.declared else ()
    tables = {effect.table for effect in worked} | {rate.table for rate in rates}
    known = {table: sizes.rows(table) for table in tables}
    rows, counted = max(known.values(), default=(0, True))
    costs = [(effect, _seconds(effect, known[effect.table][0], vendor)) for effect in worked]
    own = sum(getattr(rate, vendor) * known[rate.table][0] for rate in rates) / 1e6
    seconds = each + sum(cost for _, cost in costs) + own
    waiting = sum(cost for effect, cost in costs if effect.waits) + own
    return Step(
        app=migration.app_label,
        name=migration.name,
        does=sentence_of(migration, verdict.effects),
        breaks=verdict.breaks,
        because=verdict.declared.because if verdict.declared else "",
        rows=rows,
        counted=counted,
        seconds=round(seconds, 2),
        pause=round(seconds if vendor == "sqlite" else waiting, 2),
        space=_space(worked, rates, sizes, vendor),
    )


def _seconds(effect: Effect, rows: int, vendor: str) -> float:
    sqlite, postgresql = MICROSECONDS[effect.work]
    return (sqlite if vendor == "sqlite" else postgresql) * rows / 1e6


def _space(worked: list[Effect], rates: tuple[Rate, ...], sizes: Sizes, vendor: str) -> int:
    """Return what it needs at most: the table once more where it is written anew, and what its indexes hold."""
    indexes = sum(sizes.rows(effect.table)[0] * _INDEX_BYTES for effect in worked if effect.work == "index")
    anew = {effect.table for effect in worked if effect.work != "index" and _seconds(effect, 1, vendor)}
    anew |= {rate.table for rate in rates}
    copies = sum(sizes.bytes_of(table) for table in anew if sizes.rows(table)[0])
    # SQLite has one file, and writes what is new into its log before.
    return 2 * (min(copies, sizes.database()) + indexes) if vendor == "sqlite" else copies + indexes
