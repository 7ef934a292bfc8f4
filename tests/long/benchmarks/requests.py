"""What ConnectWise is asked, a poll and a change: `python -m tests.long.benchmarks.requests [--json]`.

ConnectWise's cloud takes about 1,000 requests a minute of a company, for all programs together: what a large customer
lacks first. Polls that find nothing, one change, three, and 1,500, which are two pages; and a day of polls every 15
minutes, each twentieth of which finds a change. Beside it, what share of those 1,000 a minute 1,000 resources take that
are polled so every 15 minutes.
"""

from __future__ import annotations

from dataclasses import replace

from tests.long.benchmarks.contest import Bar, contend, options, report, sandbox
from tests.long.benchmarks.measure import Figure
from tests.long.benchmarks.storage import sqlite

MINUTES = 15
RESOURCES = 1000
BUDGET = 1000  # requests a minute
DAY = 24 * 60 // MINUTES  # polls
CASES = {  # changes, polls, and each how manieth of these finds them
    "nothing": (0, 20, 1),
    "one change": (1, 20, 1),
    "three changes": (3, 20, 1),
    "now and then a change": (1, DAY, 20),
    "1,500 changes": (1500, 2, 1),
}
MANY = "1,500 changes"  # more than a page


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    chosen = parser.parse_args()
    figures = [_count(name, *CASES[name]) for name in chosen.cases]
    bars = [
        Bar(f"requests a poll that finds {name}", figure.more["a poll"], 1, at_least=False)
        for name, figure in zip(chosen.cases, figures, strict=True)
        if name != MANY
    ]
    report("requests", "polls", figures, bars, as_json=chosen.json)


def _count(name: str, changes: int, polls: int, every: int) -> Figure:
    with sandbox("contacts=2000") as url, sqlite() as environment:
        figure = contend("our_requests", url, changes, polls, every, name, environment=environment)
    assert figure is not None
    share = RESOURCES * figure.more["a poll"] / MINUTES / BUDGET
    return replace(figure, more=figure.more | {f"% of the budget, {RESOURCES:,} resources": 100 * share})


if __name__ == "__main__":
    main()
