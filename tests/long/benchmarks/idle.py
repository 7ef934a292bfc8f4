"""Polls of unchanged resources per second, one page each: `python -m tests.long.benchmarks.idle [--json]`.

Many instances watch the contacts of one sandbox; nothing has changed since their last poll. Reference: a bare loop of
the same GETs, one after the other and with as many threads as the poller has.
"""

from __future__ import annotations

from contextlib import ExitStack

from tests.long.benchmarks.contest import Bar, contend, options, report, sandbox
from tests.long.benchmarks.measure import Figure
from tests.long.benchmarks.storage import NO_SERVER, SERVER, postgresql, sqlite


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--instances", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    with sandbox("contacts=1000") as url:
        ours = [_ours(url, chosen.instances, chosen.rounds, on_server=False)]
        if SERVER:
            ours.append(_ours(url, chosen.instances, chosen.rounds, on_server=True))
        count = chosen.instances * chosen.rounds
        bare = [contend("bare_idle", url, count, threads) for threads in (1, 16)]
    references = [figure for figure in bare if figure is not None]
    bars = [Bar("CPU per poll, times the bare loop's", ours[0].cpu_each / references[0].cpu_each, 1.4, at_least=False)]
    notes = "" if SERVER else NO_SERVER
    report("idle", "polls", [*ours, *references], bars, as_json=chosen.json, notes=notes)


def _ours(url: str, instances: int, rounds: int, *, on_server: bool) -> Figure:
    name = "PostgreSQL" if on_server else "SQLite"
    with ExitStack() as stack:
        environment = stack.enter_context(postgresql() if on_server else sqlite())
        figure = contend("our_idle", url, instances, rounds, f"cwconnect, {name}", environment=environment)
    assert figure is not None
    return figure


if __name__ == "__main__":
    main()
