"""`python -m tests.long.faults [--minutes 60] [--seed N] [--sqlite]`: a long siege by hand, and its figures.

Needs the programs of PostgreSQL and Redis, unless --sqlite is given. Exit code 1 if anything was lost or repeated
without saying so, came out of order, or was late at the end of a quiet.
"""

from __future__ import annotations

import argparse
import random
import sys
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from tests.long.faults.besieged_service import BesiegedService, Load
from tests.long.faults.kinds import kinds_for
from tests.long.faults.siege import Outcome, Plan, Siege


def main() -> int:
    """Run as the command line says."""
    options = _options()
    console, plan = Console(highlight=False, soft_wrap=True), Plan()
    bursts = max(1, round(options.minutes * 60 / plan.length))
    load = Load(instances=options.instances, changes=options.changes, press_every=options.press_every)
    what = "SQLite" if options.sqlite else "PostgreSQL and Redis"
    console.print(f"{what}, {bursts} bursts, {load}, seed {options.seed}")

    def say(text: str) -> None:
        console.print(f"{datetime.now(UTC):%H:%M:%S} {text}", markup=False)

    with BesiegedService(embedded=options.sqlite, load=load, seed=options.seed) as world:
        siege = Siege(world, kinds_for(world), plan=plan, seed=options.seed, say=say)
        outcome = siege.run(bursts)
        report(console, world, outcome)
        if outcome.broken():
            world.keep = True
            console.print(f"The logs stay in {world.run}.", markup=False)
    return 1 if outcome.broken() else 0


def report(console: Console, world: BesiegedService, outcome: Outcome) -> None:
    """Print the tables."""
    faults = Table("fault", "begun", "hit")
    for name in sorted(outcome.begun):
        faults.add_row(name, str(outcome.begun[name]), str(outcome.hit[name]))
    faults.add_row("all", str(outcome.begun.total()), str(outcome.hit.total()))
    console.print(faults)
    found, figures = outcome.findings, outcome.figures
    assert figures is not None
    table = Table("figure", "")
    rows = {
        "changes written": figures.writes,
        "states delivered": figures.states_delivered,
        "notifications taken": figures.notifications,
        "requests refused by the receiver": figures.refused,
        "sent again with the same id": figures.sent_again,
        "lost": len(found.lost),
        "repeated with another id": len(found.repeated),
        "out of order": len(found.out_of_order),
        "otherwise wrong": len(found.wrong),
        "lags at the ends of quiets": ", ".join(f"{lag:.1f} s" for lag in outcome.lags),
        "starts": ", ".join(f"{name} {kept.starts}" for name, kept in world.kept.items()),
        "poll-now asked for, in vain": f"{world.presses}, {world.missed_presses}",
    }
    for name, value in rows.items():
        table.add_row(name, str(value))
    console.print(table)
    for sentence in outcome.broken():
        console.print(sentence, style="red", markup=False)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.long.faults", description="Break everything, then count.")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--sqlite", action="store_true", help="the embedded database in place of servers")
    parser.add_argument("--instances", type=int, default=Load.instances)
    parser.add_argument("--changes", type=float, default=Load.changes, help="changes a second")
    parser.add_argument("--press-every", type=float, default=Load.press_every, help="seconds between forced polls")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
