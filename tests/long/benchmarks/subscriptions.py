"""One receiver of an instance, then twenty: `python -m tests.long.benchmarks.subscriptions [--json]`.

2,000 changes are recorded and delivered to one subscription, as an instance without others has it, and to twenty, each
with its own notifications. What counts is how many deliveries a core makes in a second, recording included. Events are
stored once, and bytes that are equal too.
"""

from __future__ import annotations

from tests.long.benchmarks.contest import Bar, contend, options, report, serving
from tests.long.benchmarks.measure import Figure
from tests.long.benchmarks.storage import SERVER, postgresql, sqlite

OF_ONE = 0.8


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--changes", type=int, default=2000)
    parser.add_argument("--subscriptions", type=int, default=20)
    chosen = parser.parse_args()
    figures, bars = [], []
    for on_server in (False, True)[: 1 + bool(SERVER)]:
        one, many = (_run(chosen.changes, count, on_server=on_server) for count in (1, chosen.subscriptions))
        figures += [one, many]
        a_core = (many.units / many.cpu) / (one.units / one.cpu)
        bars += [
            Bar(f"deliveries a core and second, of one's ({many.name})", a_core, OF_ONE),
            Bar(f"events stored, of the changes ({many.name})", many.more["events"] / chosen.changes, 1, False),
            # The first one's are stored with it, and the others' once for all of them.
            Bar(f"bodies stored, of one's ({many.name})", many.more["bodies"] / one.units, 2, False),
        ]
    report("subscriptions", "deliveries", figures, bars, as_json=chosen.json)


def _run(changes: int, subscriptions: int, *, on_server: bool) -> Figure:
    name = f"{subscriptions} on {'PostgreSQL' if on_server else 'SQLite'}"
    with postgresql() if on_server else sqlite() as environment, serving("-m", "tests.long.benchmarks.sink") as url:
        figure = contend("our_subscriptions", name, changes, subscriptions, url, environment=environment)
    assert figure is not None
    return figure


if __name__ == "__main__":
    main()
