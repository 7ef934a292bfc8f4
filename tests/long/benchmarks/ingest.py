"""100,000 changed contacts, from the sandbox to committed events: `python -m tests.long.benchmarks.ingest [--json]`.

Every contact is known and has changed, so each is read, looked up, compared, recorded and remembered. References: a
bare loop (fetch, parse, insert into SQLite), dlt (rest_api source to files) and django-connectwise (its contacts sync).
`--peers PYTHON` names an interpreter that has the latter two.
"""

from __future__ import annotations

from tests.long.benchmarks.contest import Bar, contend, options, report, sandbox
from tests.long.benchmarks.measure import Figure
from tests.long.benchmarks.storage import NO_SERVER, SERVER, postgresql, sqlite

FEW = 5_000
SLOW = 1_000  # records of django-connectwise, which takes them one by one


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    chosen = parser.parse_args()
    with sandbox(f"contacts={chosen.records}") as url:
        ours = _ours(url, chosen.records)
        bare = contend("bare_ingest", url)
        peers = {"dlt": contend("peers.dlt_ingest", url, chosen.records, python=chosen.peers)}
    fewer = min(SLOW, chosen.records)
    with sandbox(f"contacts={fewer}") as url:
        peers["django-connectwise"] = contend("peers.connectwise_ingest", url, fewer, python=chosen.peers)
    with sandbox(f"contacts={FEW}") as url, sqlite() as environment:
        few = contend("our_ingest", url, FEW, "cwconnect, few records", environment=environment)
    assert bare is not None
    assert few is not None
    figures = [*ours, few, bare, *(peer for peer in peers.values() if peer is not None)]
    missing = [f"{name} was left out: it is not installed." for name, peer in peers.items() if peer is None]
    notes = "\n".join(missing + ([] if SERVER else [NO_SERVER]))
    bars = _bars(ours[0], few, bare, peers)
    report("ingest", "records", figures, bars, as_json=chosen.json, notes=notes)


def _ours(url: str, records: int) -> list[Figure]:
    with sqlite() as environment:
        found = [contend("our_ingest", url, records, "cwconnect, SQLite", environment=environment)]
    if SERVER:
        with postgresql() as environment:
            found.append(contend("our_ingest", url, records, "cwconnect, PostgreSQL", environment=environment))
    return [figure for figure in found if figure is not None]


def _bars(ours: Figure, few: Figure, bare: Figure, peers: dict[str, Figure | None]) -> list[Bar]:
    bars = [
        Bar("CPU, times the bare loop's", ours.cpu_each / bare.cpu_each, 2.7, at_least=False),
        Bar(f"peak memory, times that of {FEW:,} records", ours.peak_mb / few.peak_mb, 1.2, at_least=False),
    ]
    for name, limit in (("dlt", 1.3), ("django-connectwise", 15)):
        if peer := peers[name]:
            bars.append(Bar(f"records/s, times {name}'s", ours.rate / peer.rate, limit))
    return bars


if __name__ == "__main__":
    main()
