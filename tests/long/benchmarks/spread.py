"""One process or many, and the database is far: `python -m tests.long.benchmarks.spread [--delay 10] [--json]`.

1, 2, 4, 8 and 16 worker processes poll and deliver from one PostgreSQL, with each statement, and each beginning and end
of a transaction, that many ms longer: what rows do they wait for each other? Each poll finds a change. All run on this
machine's cores beside the database and the sites, so `cores` says how much of them the workers had: where that
is all there is, the figure is the machine's and not the design's, and a longer delay shows the latter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from tests.long.benchmarks.contest import Bar, contend, options, report, serving, side_by_side
from tests.long.benchmarks.measure import Figure
from tests.long.benchmarks.processes import server_with, usage_of_children, usage_of_tree
from tests.long.benchmarks.storage import NAME, NO_SERVER, SERVER, postgresql

PROCESSES = (1, 2, 4, 8, 16)
SITES, SINK = "tests.long.benchmarks.sites", "tests.long.benchmarks.sink"
BARS = {8: 6, 16: 10}  # processes: how many times one of them


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--delay", type=float, default=10, metavar="MS", help="what each statement takes longer")
    parser.add_argument("--polls", type=int, default=600, help="of each process")
    parser.add_argument("--notifications", type=int, default=600, help="of each process")
    parser.add_argument("--processes", type=int, nargs="+", default=PROCESSES)
    chosen = parser.parse_args()
    if not SERVER:
        raise SystemExit(NO_SERVER)
    polled, sent = [], []
    for processes in chosen.processes:
        poll, send = _spread(processes, chosen.delay, chosen.polls, chosen.notifications)
        polled.append(poll)
        sent.append(send)
    figures = [_compared(figure, of[0]) for of in (polled, sent) for figure in of]
    bars = [
        Bar(f"polls/s of {processes}, of one's", figure.rate / polled[0].rate, BARS[processes])
        for processes, figure in zip(chosen.processes, polled, strict=True)
        if processes in BARS
    ]
    report("spread", "units", figures, bars, as_json=chosen.json)


def _spread(processes: int, delay: float, polls: int, notifications: int) -> tuple[Figure, Figure]:
    with (
        serving("-m", SITES, "1", "0", "0") as url,
        serving("-m", SINK) as receiver,
        postgresql() as environment,
    ):
        count = processes * notifications
        contend("our_spread", "fill", url, processes * polls, receiver, count, environment=environment)
        send = _race(processes, "deliver", "notifications", delay, environment)
        sent = contend("our_deliver", "count", environment=environment)
        if sent is None or sent.units != count:
            raise SystemExit(f"Not each of {count} was sent: {sent}")
        poll = _race(processes, "poll", "polls", delay, environment)
    return poll, replace(send, units=count - int(send.more["warmed"]))  # some are looked at twice, and sent once


def _race(processes: int, what: str, unit: str, delay: float, environment: Mapping[str, str]) -> Figure:
    others = {
        "database": lambda: usage_of_tree(_server()).cpu,
        "sites": lambda: usage_of_children(SITES).cpu + usage_of_children(SINK).cpu,
    }
    name = f"{processes} × {unit}"
    return side_by_side(processes, "our_spread", what, delay, name=name, environment=environment, beside=others)


@cache
def _server() -> int:
    return server_with(f" {NAME} ")


def _compared(figure: Figure, one: Figure) -> Figure:
    """Say how many times one's rate that is, by how many cores, and what each unit takes of whom (µs of CPU)."""
    cpu = {"workers": figure.cpu, "database": figure.more["database"], "sites": figure.more["sites"]}
    more = {
        "of one": figure.rate / one.rate,
        "cores of all": sum(cpu.values()) / figure.seconds,
        **{f"µs of {whose}": seconds / figure.units * 1e6 for whose, seconds in cpu.items()},
        "statements each": figure.more["statements"] / figure.units,
    }
    return replace(figure, more=more)


if __name__ == "__main__":
    main()
