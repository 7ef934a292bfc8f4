"""What ConnectWise is asked, a poll and a change: `python -m tests.long.benchmarks.requests [--json]`.

ConnectWise's cloud takes about 1,000 requests a minute of a company, for all programs together: what a large customer
lacks first. Polls that find nothing, one change, three, and 1,500, which are two pages.
"""

from __future__ import annotations

from tests.long.benchmarks.contest import Bar, contend, options, report, sandbox
from tests.long.benchmarks.measure import Figure
from tests.long.benchmarks.storage import sqlite

CASES = {"nothing": (0, 20), "one change": (1, 20), "three changes": (3, 20), "1,500 changes": (1500, 2)}


def main() -> None:
    chosen = options(__doc__).parse_args()
    figures = [_count(name, changes, polls) for name, (changes, polls) in CASES.items()]
    bars = [
        Bar(f"requests a poll that finds {name}", figure.more["a poll"], 1, at_least=False)
        for name, figure in zip(CASES, figures[:3], strict=False)
    ]
    report("requests", "polls", figures, bars, as_json=chosen.json)


def _count(name: str, changes: int, polls: int) -> Figure:
    with sandbox("contacts=2000") as url, sqlite() as environment:
        figure = contend("our_requests", url, changes, polls, name, environment=environment)
    assert figure is not None
    return figure


if __name__ == "__main__":
    main()
