"""Old events deleted while new ones are written: `python -m tests.long.benchmarks.retention [--json]`.

A process writes 1,000 events/s by pages of 100, as polls do: first alone, then beside `manage.py prune`, which deletes
`--events` of 40 days ago. The time of a page alone is the reference of its time beside.
"""

from __future__ import annotations

from tests.long.benchmarks.contest import Bar, contend, options, report
from tests.long.benchmarks.measure import Figure
from tests.long.benchmarks.storage import NO_SERVER, SERVER, postgresql, sqlite


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--alone", type=float, default=10, help="seconds of writing alone, before (default: 10)")
    chosen = parser.parse_args()
    figures, bars = [], []
    for name, storage in (("SQLite", sqlite), ("PostgreSQL", postgresql)):
        if name == "SQLite" or SERVER:
            with storage() as environment:
                figure = contend(
                    *("our_retention", "write", chosen.events, chosen.alone, name),
                    environment=environment,
                    under=chosen.under,
                )
            assert figure is not None
            figures.append(figure)
            bars += _bars(figure)
    notes = "" if SERVER else NO_SERVER
    report("retention", "events", figures, bars, as_json=chosen.json, notes=notes)


def _bars(figure: Figure) -> list[Bar]:
    return [
        Bar(f"{figure.name}: deleted/s", figure.more["deleted/s"], 1000),
        Bar(f"{figure.name}: written/s beside it", figure.rate, 990),
    ]


if __name__ == "__main__":
    main()
