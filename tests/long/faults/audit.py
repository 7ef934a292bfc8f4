"""What came of it all: the source, the event log and what the receiver took, compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields

from tests.long.faults.connectwise import Source
from tests.long.faults.receiver import Arrival, Taken
from tests.long.faults.storage import Storage

_SHOWN = 5


@dataclass
class Findings:
    """What must not be, each as sentences; all empty if the promise was kept."""

    lost: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def broken(self) -> list[str]:
        """Return a few sentences of each sort."""
        sorts = (getattr(self, sort.name) for sort in fields(self))
        return [sentence for sentences in sorts for sentence in sentences[:_SHOWN]]


@dataclass(frozen=True)
class Figures:
    """How much there was. `sent_again`: takings of a notification that had been taken before, with the same id."""

    writes: int
    states_delivered: int
    notifications: int
    refused: int
    sent_again: int


def compare(source: Source, taken: Taken, storage: Storage, watched: dict[int, str]) -> tuple[Findings, Figures]:
    """Compare, once everything has come to rest."""
    findings = Findings()
    first = list(taken.first())
    _compare_with_source(findings, source, taken, watched)
    _look_at_order(findings, source, first)
    _look_at_repeats(findings, taken)
    _compare_with_log(findings, first, storage)
    takings = sum(arrival.status == 204 for arrival in taken.arrivals)
    figures = Figures(
        writes=source.writes,
        states_delivered=sum(len(arrival.events) for arrival in first),
        notifications=len(first),
        refused=len(taken.arrivals) - takings,
        sent_again=takings - len(first),
    )
    return findings, figures


def _compare_with_source(findings: Findings, source: Source, taken: Taken, watched: dict[int, str]) -> None:
    """The newest state of every record was delivered to every instance that watches it, and no state that never was."""
    for (name, number), version in source.newest.items():
        for instance in (instance for instance, watches in watched.items() if watches == name):
            delivered = taken.newest.get((instance, name, number), 0)
            if delivered < version:
                findings.lost.append(f"{name}/{number} for {instance}: delivered up to {delivered} of {version}")
            elif delivered > version:
                findings.wrong.append(f"{name}/{number} for {instance}: delivered {delivered}, never written")


def _look_at_order(findings: Findings, source: Source, first: list[Arrival]) -> None:
    """Each record's states come in their order, each once, a new record's first as CREATED and no other so."""
    newest: dict[tuple[int, str, int], int] = {}
    ids: dict[tuple[int, str, int, int], str] = {}
    for arrival in first:
        for event in arrival.events:
            key = (event.instance, event.list, event.id)
            if (before := ids.get((*key, event.version))) is not None:
                findings.repeated.append(f"{event} in {before} and {arrival.webhook_id}")
            elif event.version < newest.get(key, 0):
                findings.out_of_order.append(f"{event} after {newest[key]}")
            is_new = (event.list, event.id) in source.created and key not in newest
            if (event.kind == "CREATED") != is_new:
                findings.wrong.append(f"{event}, which is {'new' if is_new else 'not new'}")
            ids[*key, event.version] = arrival.webhook_id
            newest[key] = max(event.version, newest.get(key, 0))


def _look_at_repeats(findings: Findings, taken: Taken) -> None:
    """The same id always stands over the same bytes, and every signature is right."""
    digests: dict[str, str] = {}
    for arrival in taken.arrivals:
        if digests.setdefault(arrival.webhook_id, arrival.digest) != arrival.digest:
            findings.wrong.append(f"{arrival.webhook_id} came with other bytes")
        if not arrival.verified:
            findings.wrong.append(f"{arrival.webhook_id} came with a wrong signature")


def _compare_with_log(findings: Findings, first: list[Arrival], storage: Storage) -> None:
    """What the log says was delivered is what came, event for event."""
    query = "SELECT webhook_id, state FROM polling_notification"
    states = dict(storage.rows(query))
    arrived = {arrival.webhook_id for arrival in first}
    for webhook_id, state in states.items():
        if state != "delivered":
            findings.lost.append(f"{webhook_id} is {state}{', and came' if webhook_id in arrived else ''}")
        elif webhook_id not in arrived:
            findings.lost.append(f"{webhook_id} is delivered, and never came")
    findings.wrong += [f"{webhook_id} came, and is not in the log" for webhook_id in arrived - states.keys()]
    query = """
        SELECT n.webhook_id, e.instance_id, e.object_type, e.record_id, e.kind
        FROM polling_event e LEFT JOIN polling_notification n ON n.id = e.notification_id
        UNION ALL
        SELECT n.webhook_id, -e.instance_id, e.object_type, e.record_id, e.kind
        FROM polling_event e JOIN polling_subscription s ON s.instance_id = e.instance_id AND s.id <> e.instance_id
        LEFT JOIN polling_subscriptionevent j ON j.event_id = e.id AND j.subscription_id = s.id
        LEFT JOIN polling_notification n ON n.id = j.notification_id
    """
    log = Counter(storage.rows(query))
    came = Counter(
        (arrival.webhook_id, event.instance, event.list, event.id, event.kind)
        for arrival in first
        for event in arrival.events
    )
    findings.lost += [f"{row} is in the log, and never came" for row in log - came]
    findings.wrong += [f"{row} came, and is not in the log" for row in came - log]
