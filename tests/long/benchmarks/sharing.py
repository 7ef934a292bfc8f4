"""Machines share polls and notifications, and a worker of one is killed: `python -m tests.long.benchmarks.sharing`.

`--machines` times `manage.py work`, on the PostgreSQL and Redis of CWCONNECT_DATABASE_URL and CWCONNECT_REDIS_URL. When
half is done a worker process is killed by SIGKILL. Done twice may be only what was in flight at the kill, and with the
same bytes; a schedule fires once, however many machines there are.
"""

from __future__ import annotations

from tests.long.benchmarks.contest import Bar, contend, options, report, serving
from tests.long.benchmarks.storage import NO_SERVER, QUEUE, SERVER, postgresql

NEVER = 10**9
WRONG = (
    *("of these not in flight", "with other bytes", "never asked or sent", "polls with two runs", "not delivered"),
    "fired twice",
)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--polls", type=int, default=50_000)
    parser.add_argument("--notifications", type=int, default=50_000)
    parser.add_argument("--machines", type=int, default=3)
    parser.add_argument("--latency", type=float, default=40, help="of the sites, in ms, half of it more or less")
    chosen = parser.parse_args()
    latency = (str(chosen.latency / 2), str(chosen.latency * 1.5))
    if not (SERVER and QUEUE):
        raise SystemExit(f"{NO_SERVER} CWCONNECT_REDIS_URL is needed too.")
    with (
        serving("-m", "tests.long.benchmarks.sites", str(NEVER), *latency) as url,
        postgresql() as environment,
    ):
        name = f"{chosen.machines} machines"
        figure = contend(
            *("our_sharing", url, chosen.polls, chosen.notifications, chosen.machines, name),
            environment=environment,
        )
    assert figure is not None
    bars = [Bar(what, figure.more[what], 0, at_least=False) for what in WRONG]
    bars.append(Bar("in flight at the kill", figure.more["in flight at the kill"], 1))
    report("sharing", "jobs", [figure], bars, as_json=chosen.json)


if __name__ == "__main__":
    main()
