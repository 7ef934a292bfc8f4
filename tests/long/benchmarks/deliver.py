"""Notifications of one 1 kB record each per second: `python -m tests.long.benchmarks.deliver [--json]`.

Signed with both schemes, every attempt recorded, through the outbound door, by one process or by `--processes`.
References: a bare loop of the same POSTs by as many processes, and django-webhook, by one, where `--peers PYTHON` names
an interpreter that has it.
"""

from __future__ import annotations

from dataclasses import replace

from tests.long.benchmarks.contest import Bar, contend, options, report, serving, side_by_side
from tests.long.benchmarks.measure import Figure
from tests.long.benchmarks.storage import NO_SERVER, SERVER, postgresql, sqlite

OF_THE_BARE_LOOP = (0.85, 0.75)  # on SQLite, on PostgreSQL


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--notifications", type=int, default=5000)
    parser.add_argument("--processes", type=int, default=1)
    chosen = parser.parse_args()
    count, processes = chosen.notifications, chosen.processes
    with serving("-m", "tests.long.benchmarks.sink") as url:
        ours = [_ours(url, count, processes, on_server=on_server) for on_server in (False, True)[: 1 + bool(SERVER)]]
        bare = side_by_side(processes, "bare_deliver", url, count // processes, name="bare loop")
        peer = contend("peers.webhook_deliver", url, count, python=chosen.peers)
    bars = [
        Bar(f"rate of {figure.name}, of the bare loop's", figure.rate / bare.rate, limit)
        for figure, limit in zip(ours, OF_THE_BARE_LOOP, strict=False)
    ]
    if peer:
        bars.append(Bar("rate, times django-webhook's", ours[0].rate / peer.rate, 5))
    notes = ["" if SERVER else NO_SERVER, "" if peer else "django-webhook was left out: it is not installed."]
    figures = [*ours, bare, *([peer] if peer else [])]
    report("deliver", "notifications", figures, bars, as_json=chosen.json, notes="\n".join(filter(None, notes)))


def _ours(url: str, count: int, processes: int, *, on_server: bool) -> Figure:
    name = f"cwconnect, {'PostgreSQL' if on_server else 'SQLite'}"
    with postgresql() if on_server else sqlite() as environment:
        contend("our_deliver", "fill", url, count, environment=environment)
        figure = side_by_side(processes, "our_deliver", "send", name=name, environment=environment)
        sent = contend("our_deliver", "count", environment=environment)
    if sent is None or sent.units != count:
        raise SystemExit(f"Not each of {count} was sent: {sent}")
    return replace(figure, units=count)


if __name__ == "__main__":
    main()
