"""What every page costs as the service grows: `python -m tests.long.benchmarks.pages [--json]`.

Each page of the URL conf and each list and row of the admin, with 10 instances and 1,000 events and with 1,000
instances and 1,000,000: how many queries, and the milliseconds of the quickest of several looks, since others' work on
the machine only adds (beside it, of the very first). What refreshes itself is asked for as tabs do that show it already
("nothing new"). On SQLite; on PostgreSQL too if CWCONNECT_DATABASE_URL names a server on which a database may be made.
A page holds if it takes no more than `--queries` queries and no more than 3 times as long among many as among few. The
overview, which every open tab asks for every few seconds, has bars besides, among many: `--first` milliseconds for the
first answer of a process, and `--again` where nothing is new.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass

from tests.long.benchmarks.contest import contend, options
from tests.long.benchmarks.measure import table
from tests.long.benchmarks.storage import NO_SERVER, SERVER, postgresql, sqlite

MOST_TIMES = 3.0


@dataclass(frozen=True)
class Row:
    """A page among few and among many."""

    database: str
    page: str
    queries_few: int
    queries: int
    ms_few: float
    ms: float
    first_ms_few: float
    first_ms: float
    holds: bool

    @property
    def times(self) -> float:
        """How much longer it takes among many."""
        return self.ms / self.ms_few


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--few", type=int, nargs=2, default=[10, 1_000], metavar=("INSTANCES", "EVENTS"))
    parser.add_argument("--many", type=int, nargs=2, default=[1_000, 1_000_000], metavar=("INSTANCES", "EVENTS"))
    parser.add_argument("--looks", type=int, default=9)
    parser.add_argument("--queries", type=int, default=25)
    parser.add_argument("--first", type=float, default=150, metavar="MS")
    parser.add_argument("--again", type=float, default=10, metavar="MS")
    chosen = parser.parse_args()
    rows: list[Row] = []
    for database in ["SQLite", *(["PostgreSQL"] if SERVER else [])]:
        few, many = [_looks(database, size, chosen.looks) for size in (chosen.few, chosen.many)]
        rows += [_row(database, page, few, many, chosen) for page in _pages(few) if page in _pages(many)]
    _report(rows, as_json=chosen.json)
    raise SystemExit(not all(row.holds for row in rows))


def _looks(database: str, size: Sequence[int], looks: int) -> dict[str, float]:
    storage: AbstractContextManager[dict[str, str]] = postgresql() if database == "PostgreSQL" else sqlite()
    with storage as environment:
        figure = contend("our_pages", *size, database, looks, environment=environment)
    assert figure is not None
    return figure.more


def _pages(looks: dict[str, float]) -> list[str]:
    return [name.removesuffix("|ms") for name in looks if name.endswith("|ms")]


def _row(database: str, page: str, few: dict[str, float], many: dict[str, float], most: Namespace) -> Row:
    queries, ms, first = int(many[f"{page}|queries"]), many[f"{page}|ms"], many[f"{page}|first"]
    longest = {"overview": (first, most.first), "overview, nothing new": (ms, most.again)}.get(page, (0.0, 0.0))
    return Row(
        database,
        page,
        int(few[f"{page}|queries"]),
        queries,
        few[f"{page}|ms"],
        ms,
        few[f"{page}|first"],
        first,
        queries <= most.queries and ms <= MOST_TIMES * few[f"{page}|ms"] and longest[0] <= longest[1],
    )


def _report(rows: list[Row], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps([asdict(row) | {"times": row.times} for row in rows], indent=2) + "\n")
        return
    heads = ["page", "queries", "of many", "ms", "of many", "times", "first ms", "of many", ""]
    lines = [
        [
            *(f"{row.database}: {row.page}", row.queries_few, row.queries, row.ms_few, row.ms, row.times),
            *(row.first_ms_few, row.first_ms, "" if row.holds else "TOO MUCH"),
        ]
        for row in rows
    ]
    failed = sum(not row.holds for row in rows)
    verdict = f"{len(rows) - failed} of {len(rows)} hold." + ("" if SERVER else f" {NO_SERVER}")
    sys.stdout.write(f"{table(heads, lines)}\n\n{verdict}\n")


if __name__ == "__main__":
    main()
