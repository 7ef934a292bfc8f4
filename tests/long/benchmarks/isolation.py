"""A healthy receiver alone, then beside receivers in trouble: `python -m tests.long.benchmarks.isolation [--json]`.

Beside it: one that hangs, one that refuses connections, one that answers 429, one that drips a byte a second, each with
as many notifications as the healthy one. What counts is how late its notifications come. With `--subscriptions` they
are receivers of one instance, and a further one is paused.
"""

from __future__ import annotations

import json
import socket

from tests.long.benchmarks.contest import Bar, contend, options, report, serving
from tests.long.benchmarks.measure import Figure
from tests.long.benchmarks.storage import SERVER, postgresql, sqlite


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--notifications", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=50, help="falling due per second and receiver; 0: all at once")
    parser.add_argument("--subscriptions", action="store_true", help="of one instance, not an instance each")
    chosen = parser.parse_args()
    of = "subscriptions" if chosen.subscriptions else "instances"
    figures = [
        _run(name, of, chosen.notifications, chosen.rate, issue=issue)
        for name, issue in (("healthy alone", False), ("beside four in trouble", True))
    ]
    alone, beside = (figure.more["p99 ms"] for figure in figures)
    bar = Bar("p99 beside : alone (or 50 ms more)", beside / max(alone, 1e-9), max(1.5, (alone + 50) / alone), False)
    report("isolation", "notifications", figures, [bar], as_json=chosen.json)


def _run(name: str, of: str, count: int, rate: float, *, issue: bool) -> Figure:
    storage = postgresql() if SERVER else sqlite()
    with storage as environment, serving("-m", "tests.long.benchmarks.receivers") as line:
        urls = json.loads(line)
        used = [urls["healthy"]]
        if issue:
            used += [urls["hanging"], _refusing(), urls["limiting"], urls["dripping"]]
        figure = contend("our_isolation", name, of, count, rate, *used, environment=environment)
    assert figure is not None
    return figure


def _refusing() -> str:
    """Return a URL at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/refusing"


if __name__ == "__main__":
    main()
