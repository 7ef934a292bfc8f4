"""From an event's commit to its receiver, by a running `manage.py work`: `python -m tests.long.benchmarks.latency`.

Notifications are committed one at a time at an even rate, by default a tenth of what one machine delivers.
"""

from __future__ import annotations

from tests.long.benchmarks.contest import contend, options, report, serving
from tests.long.benchmarks.measure import Figure
from tests.long.benchmarks.storage import NO_SERVER, SERVER, postgresql, sqlite


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--rate", type=float, default=200, help="notifications a second")
    parser.add_argument("--seconds", type=float, default=30)
    chosen = parser.parse_args()
    with serving("-m", "tests.long.benchmarks.sink") as url:
        figures = [_measure(name, url, chosen.rate, chosen.seconds) for name in _storages()]
    report("latency", "notifications", figures, [], as_json=chosen.json, notes="" if SERVER else NO_SERVER)


def _storages() -> list[str]:
    return ["SQLite", "PostgreSQL"] if SERVER else ["SQLite"]


def _measure(name: str, url: str, rate: float, seconds: float) -> Figure:
    with postgresql() if name == "PostgreSQL" else sqlite() as environment:
        figure = contend("our_latency", url, rate, seconds, f"cwconnect, {name}", environment=environment)
    assert figure is not None
    return figure


if __name__ == "__main__":
    main()
