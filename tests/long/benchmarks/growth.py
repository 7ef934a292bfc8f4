"""What a claim costs as the service grows: `python -m tests.long.benchmarks.growth [--json]`.

One database grows from 1,000 over 10,000 to 100,000 polls, and then by a log of `--events`. At each size: the look for
what is due, as `manage.py work` does it each second; the claim of 16 polls, made ready to run; the claim of 16
deliveries, ready to be sent. At the end the same, beside a slow instance of which `--backlog` is due and none may be
sent. Each figure is the mean of 100, in ms of CPU of the worker and of its database process together, beside what the
worker's process holds of memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tests.long.benchmarks.contest import Bar, contend, options, report
from tests.long.benchmarks.measure import Figure
from tests.long.benchmarks.storage import NO_SERVER, SERVER, postgresql, sqlite

LIMIT = 1.5


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--polls", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--backlog", type=int, default=100_000)
    chosen = parser.parse_args()
    figures, bars = [], []
    for name, storage in (("SQLite", sqlite), ("PostgreSQL", postgresql)):
        if name == "SQLite" or SERVER:
            with storage() as environment:
                grown = list(_grow(name, chosen.polls, chosen.events, environment, chosen.under))
                crowded = list(_crowd(name, chosen.backlog, environment, chosen.under))
            figures += grown + crowded
            bars += [*_bars(name, grown), _crowd_bar(name, *crowded)]
    report("growth", "claims", figures, bars, as_json=chosen.json, notes="" if SERVER else NO_SERVER)


def _grow(name: str, polls: Sequence[int], events: int, environment: Mapping[str, str], under: str) -> Iterator[Figure]:
    there = 0
    for size in polls:
        contend("our_growth", "fill", size - there, 0, environment=environment)
        there = size
        yield _measured(f"{name}: {size:,} polls, no log", environment, under)
    contend("our_growth", "fill", 1, events, environment=environment)
    yield _measured(f"{name}: {there:,} polls, {events:,} events", environment, under)


def _crowd(name: str, backlog: int, environment: Mapping[str, str], under: str) -> Iterator[Figure]:
    for size in (0, backlog):
        what = f"{name}: {size:,} due of a full instance"
        figure = contend("our_crowd", what, size, environment=environment, under=under)
        assert figure is not None
        yield figure


def _measured(name: str, environment: Mapping[str, str], under: str) -> Figure:
    figure = contend("our_growth", "claim", name, environment=environment, under=under)
    assert figure is not None
    return figure


def _bars(name: str, grown: Sequence[Figure]) -> list[Bar]:
    first, *_, most, log = grown
    return [
        Bar(f"{name}: claim of polls, most polls : fewest", _ratio(most, first, "polls, ms"), LIMIT, at_least=False),
        Bar(f"{name}: claim of polls, log : none", _ratio(log, most, "polls, ms"), LIMIT, at_least=False),
        Bar(f"{name}: claim of deliveries, log : none", _ratio(log, first, "deliveries, ms"), LIMIT, at_least=False),
        Bar(f"{name}: look, all : fewest", _ratio(log, first, "look, ms"), LIMIT, at_least=False),
    ]


def _crowd_bar(name: str, without: Figure, beside: Figure) -> Bar:
    ratio = _ratio(beside, without, "beside, ms")
    return Bar(f"{name}: claim beside a backlog : beside none", ratio, LIMIT, at_least=False)


def _ratio(more: Figure, less: Figure, what: str) -> float:
    return more.more[what] / less.more[what]


if __name__ == "__main__":
    main()
