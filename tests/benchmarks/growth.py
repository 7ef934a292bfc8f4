"""What a claim costs as the service grows: `python -m tests.benchmarks.growth [--json]`.

The look for due polls with their claim, among 1,000, 10,000 and 100,000 polls; the same for due notifications, with an
empty log and with one of `--events`. Each figure is the median of 30, in ms, with what each process holds of memory.
"""

from __future__ import annotations

from tests.benchmarks.contest import Bar, contend, options, tell
from tests.benchmarks.measure import Figure
from tests.benchmarks.storage import NO_SERVER, SERVER, postgresql, sqlite


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--polls", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--events", type=int, default=5_000_000)
    chosen = parser.parse_args()
    figures, bars = [], []
    for name in ["SQLite", *(["PostgreSQL"] if SERVER else [])]:
        polls = [_measure(name, polls, 0) for polls in chosen.polls]
        logs = [_measure(name, chosen.polls[0], chosen.events)]
        figures += [*polls, *logs]
        bars += [
            Bar(f"{name}: claim of polls, most : fewest", _ratio(polls[-1], polls[0], "polls, ms"), 1.5, False),
            Bar(f"{name}: claim of deliveries, log : none", _ratio(logs[0], polls[0], "deliveries, ms"), 1.5, False),
        ]
    tell("growth", "claims", figures, bars, as_json=chosen.json, notes="" if SERVER else NO_SERVER)


def _measure(name: str, polls: int, events: int) -> Figure:
    with postgresql() if name == "PostgreSQL" else sqlite() as environment:
        figure = contend(
            "our_growth", polls, events, f"{name}: {polls:,} polls, {events:,} events", environment=environment
        )
    assert figure is not None
    return figure


def _ratio(more: Figure, less: Figure, what: str) -> float:
    return more.more[what] / less.more[what]


if __name__ == "__main__":
    main()
