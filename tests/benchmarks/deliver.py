"""Notifications of one 1 kB record each per second: `python -m tests.benchmarks.deliver [--json]`.

Signed with both schemes, every attempt recorded, through the outbound door, by one process. References: a bare loop of
the same POSTs by one process, and django-webhook where `--peers PYTHON` names an interpreter that has it.
"""

from __future__ import annotations

from tests.benchmarks.contest import Bar, contend, options, serving, tell
from tests.benchmarks.measure import Figure
from tests.benchmarks.storage import NO_SERVER, SERVER, postgresql, sqlite


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--notifications", type=int, default=5000)
    chosen = parser.parse_args()
    count = chosen.notifications
    with serving("-m", "tests.benchmarks.sink") as url:
        ours = [_ours(url, count, on_server=False), *([_ours(url, count, on_server=True)] if SERVER else [])]
        bare = contend("bare_deliver", url, count)
        peer = contend("peers.webhook_deliver", url, count, python=chosen.peers)
    assert bare is not None
    bars = [Bar(f"rate of {figure.name}, of the bare loop's", figure.rate / bare.rate, 0.6) for figure in ours]
    if peer:
        bars.append(Bar("rate, times django-webhook's", ours[0].rate / peer.rate, 5))
    notes = ["" if SERVER else NO_SERVER, "" if peer else "django-webhook was left out: it is not installed."]
    figures = [*ours, bare, *([peer] if peer else [])]
    tell("deliver", "notifications", figures, bars, as_json=chosen.json, notes="\n".join(filter(None, notes)))


def _ours(url: str, count: int, *, on_server: bool) -> Figure:
    name = f"cwconnect, {'PostgreSQL' if on_server else 'SQLite'}"
    with postgresql() if on_server else sqlite() as environment:
        figure = contend("our_deliver", url, count, name, environment=environment)
    assert figure is not None
    return figure


if __name__ == "__main__":
    main()
