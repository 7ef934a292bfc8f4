"""Polls that each find one change of 1 kB, beside idle ones: `python -m tests.long.benchmarks.changes [--json]`.

Many instances on virtual sites that answer at once; rounds of polls that find nothing and of polls that find a change
take turns. Counted besides: what a poll asks ConnectWise, and its database, with beginnings and ends of transactions.
"""

from __future__ import annotations

from tests.long.benchmarks.contest import Bar, contend, options, report, serving
from tests.long.benchmarks.measure import Figure
from tests.long.benchmarks.storage import NO_SERVER, SERVER, postgresql, sqlite


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--instances", type=int, default=100, help="with three polls each")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    ours = []
    for on_server in (False, True)[: 1 + bool(SERVER)]:
        name = f"cwconnect, {'PostgreSQL' if on_server else 'SQLite'}"
        with (
            serving("-m", "tests.long.benchmarks.sites", "1", "0", "0") as url,
            postgresql() if on_server else sqlite() as environment,
        ):
            figure = contend("our_changes", url, chosen.instances, chosen.rounds, name, environment=environment)
        assert figure is not None
        ours.append(figure)
    bars = [bar for figure in ours for bar in _bars(figure)]
    report("changes", "polls", ours, bars, as_json=chosen.json, notes="" if SERVER else NO_SERVER)


def _bars(figure: Figure) -> list[Bar]:
    return [
        Bar(f"{figure.name}: polls/s, of idle ones", figure.more["of idle"], 0.35),
        Bar(f"{figure.name}: statements a poll", figure.more["statements"], 4, at_least=False),
        Bar(f"{figure.name}: requests to ConnectWise a poll", figure.more["requests"], 1, at_least=False),
    ]


if __name__ == "__main__":
    main()
