"""A day at work: `python -m tests.long.benchmarks.simulation [--instances 20000] [--minutes 20] [--json]`.

`manage.py work` polls three resources of each instance every 15 minutes, evenly spread. The sites are virtual: they
answer in 200 ± 100 ms, mostly that nothing has changed; each 50th poll (or as `--changed` says) finds one, which is
delivered. Shown are the lag (from when a poll was due to when it began) and the CPU of all processes; beside a bare
loop of the same GETs.

On SQLite, or with `--server` on the PostgreSQL and Redis of CWCONNECT_DATABASE_URL and CWCONNECT_REDIS_URL.
"""

from __future__ import annotations

from tests.long.benchmarks.contest import Bar, contend, options, report, serving
from tests.long.benchmarks.storage import NO_SERVER, SERVER, postgresql, sqlite

LOW, HIGH = 100, 300
GETS = 3000


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--instances", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--changed", type=int, default=50, metavar="N", help="each N-th poll finds a change")
    parser.add_argument("--server", action="store_true", help="on PostgreSQL and Redis")
    chosen = parser.parse_args()
    if chosen.server and not SERVER:
        raise SystemExit(NO_SERVER)
    with (
        serving("-m", "tests.long.benchmarks.sites", str(chosen.changed), str(LOW), str(HIGH)) as url,
        postgresql() if chosen.server else sqlite() as environment,
    ):
        name = f"{chosen.instances:,} × 3, {'PostgreSQL and Redis' if chosen.server else 'SQLite'}"
        arguments = (url, chosen.instances, chosen.minutes, chosen.workers, name)
        ours = contend("our_simulation", *arguments, environment=environment)
        bare = contend("bare_idle", f"{url}/quiet", GETS, 16)
    assert ours is not None
    assert bare is not None
    made = ours.units / ours.more["due"]
    report(
        "simulation",
        "polls",
        [ours, bare],
        [
            Bar("polls made, of those due", made, 0.99),
            Bar("lag p99, s", ours.more["lag p99, s"], 5, at_least=False),
        ],
        as_json=chosen.json,
        notes="",
    )


if __name__ == "__main__":
    main()
