"""From a change at ConnectWise to its receiver, woken by callbacks: `python -m tests.long.benchmarks.seconds`.

200 instances are polled every 15 minutes while a sandbox changes 20 records a second and announces each; the whole
service runs as `manage.py up`. Then once more with a tenth of the callbacks lost: what they announced comes with the
next poll, which is made due at the end, since a quarter of an hour is long. Beside them plain polling each minute.
"""

from __future__ import annotations

from tests.long.benchmarks.contest import Bar, contend, options, report, serving
from tests.long.benchmarks.measure import Figure
from tests.long.benchmarks.storage import NO_SERVER, SERVER, postgresql, sqlite


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--instances", type=int, default=200)
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=20, help="changes a second")
    parser.add_argument("--server", action="store_true", help="on PostgreSQL and Redis")
    chosen = parser.parse_args()
    if chosen.server and not SERVER:
        raise SystemExit(NO_SERVER)
    where = "PostgreSQL and Redis" if chosen.server else "SQLite"
    ways = {"callbacks": (15, 0.0), "a tenth of them lost": (15, 0.1), "each minute, no callbacks": (1, -1.0)}
    figures = {name: _measure(chosen, interval, lost, f"{name}, {where}") for name, (interval, lost) in ways.items()}
    announced, lossy = figures["callbacks"], figures["a tenth of them lost"]
    report(
        "seconds",
        "changes",
        list(figures.values()),
        [
            Bar("change → receiver p50, s", announced.more["p50 s"], 1, at_least=False),
            Bar("change → receiver p99, s", announced.more["p99 s"], 2.5, at_least=False),
            Bar("lost, with callbacks", announced.more["lost"], 0, at_least=False),
            Bar("lost, with a tenth of the callbacks lost", lossy.more["lost"], 0, at_least=False),
        ],
        as_json=chosen.json,
    )


def _measure(chosen: object, interval: int, lost: float, name: str) -> Figure:
    """Run the service with polls at this interval in minutes; `lost`: the share of callbacks, negative for none."""
    asked = vars(chosen)
    with (
        serving("-m", "tests.long.benchmarks.announcing_sites", str(asked["instances"])) as site,
        serving("-m", "tests.long.benchmarks.sink") as receiver,
        postgresql() if asked["server"] else sqlite() as environment,
    ):
        arguments = (site, receiver, asked["instances"], asked["changes"], asked["rate"], interval, lost, name)
        figure = contend("our_seconds", *arguments, environment=environment)
    assert figure is not None
    return figure


if __name__ == "__main__":
    main()
