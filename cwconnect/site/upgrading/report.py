"""A plan in words and as JSON, for `upgrade --check`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from cwconnect import __version__
from cwconnect.site.upgrading.plan import Plan, Step
from cwconnect.site.upgrading.running import Running

UP_TO_DATE, BESIDE_OLD, STOP_FIRST, STOP_NOW = 0, 3, 4, 5


def exit_code(plan: Plan, alive: list[Running]) -> int:
    """Return what scripts go by: nothing to do; old processes may go on; they must be stopped; and some are alive."""
    if not plan.steps:
        return UP_TO_DATE
    if not plan.needs_stop:
        return BESIDE_OLD
    return STOP_NOW if any(one.old for one in alive) else STOP_FIRST


def as_json(plan: Plan, alive: list[Running], unknown: list[str]) -> dict[str, Any]:
    """Return all of it; bytes and seconds, `counted` false where rows are PostgreSQL's estimate."""
    return {
        "version": __version__,
        "needs_stop": plan.needs_stop,
        "seconds": round(plan.seconds, 1),
        "pause_seconds": max((step.pause for step in plan.steps), default=0.0),
        "database_bytes": plan.database,
        "free_bytes": plan.free,
        "needed_bytes": plan.space,
        "migrations": [asdict(step) for step in plan.steps],
        "alive": [{"what": one.what, "version": one.version, "old": one.old} for one in alive],
        "unknown_migrations": unknown,
    }


def as_text(plan: Plan, alive: list[Running], unknown: list[str]) -> str:
    """Return all of it as lines."""
    return "\n".join([*_newer(unknown), *(_pending(plan) if plan.steps else _nothing()), *_alive(alive)])


def _nothing() -> list[str]:
    return [f"Nothing is pending: the database is as version {__version__} wants it."]


def _newer(unknown: list[str]) -> list[str]:
    if not unknown:
        return []
    return [
        f"The database was upgraded by a newer version: it has {len(unknown)} migrations that {__version__} does not "
        f"know ({', '.join(unknown[:3])}). Going back is possible where that version's upgrade asked for no stop."
    ]


def _pending(plan: Plan) -> list[str]:
    found = [f"Version {__version__} will apply {len(plan.steps)} migrations, in this order:"]
    found += [line for step in plan.steps for line in _lines(step)]
    found.append(f"About {words_of(plan.seconds)} in all. This is an estimate, by rates measured on two cores.")
    if plan.needs_stop:
        names = ", ".join(f"{step.app}.{step.name}" for step in plan.steps if step.breaks)
        found.append(f"Stop web and workers of the old version first: they can't go on beside {names}.")
    elif not plan.fresh:
        pause = max(step.pause for step in plan.steps)
        found.append(f"Web and workers of the old version may go on; their writes may wait for {words_of(pause)}.")
    return [*found, _space(plan)]


def _lines(step: Step) -> list[str]:
    rows = f"{step.rows:,} rows{'' if step.counted else ' (estimated)'}, " if step.rows else ""
    found = [f"  {step.app}.{step.name}: {step.does} {rows}{words_of(step.seconds)}."]
    if step.breaks:
        found.append(f"    Old processes must be stopped: {step.breaks}")
    elif step.because:
        found.append(f"    Old processes may go on: {step.because}")
    return found


def _space(plan: Plan) -> str:
    free = "" if plan.free is None else f"; {_megabytes(plan.free)} are free"
    where = "" if plan.free is not None else " on the database's machine"
    return (
        f"Free space needed{where}: {_megabytes(plan.space)}, beside a database of {_megabytes(plan.database)}{free}."
    )


def _alive(alive: list[Running]) -> list[str]:
    return [f"Alive: {one}." for one in alive]


def words_of(seconds: float) -> str:
    """Return a time as people say it, rounded up."""
    if seconds < 1:
        return "less than a second"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
