"""Whether there is something for those who wait for events: one look at the log for all of a web process's.

Beside events it looks at the audit log: whatever takes a right away leaves an entry there, in the same transaction.
"""

from __future__ import annotations

from typing import Final

from django.db import close_old_connections
from django.db.models import Max

from cwconnect.web.parking import Position
from instances.models import AuditEntry
from polling.log.event_ids import complete_upto
from polling.models import Event

_MOST_ENTRIES: Final = 1_000


def log_position() -> Position:
    """Return up to where the event log is complete, and the newest audit entry there is.

    To be asked before what is then read.
    """
    upto = complete_upto()
    if upto is None:
        upto = Event.objects.aggregate(last=Max("pk"))["last"] or 0
    return upto, AuditEntry.objects.aggregate(last=Max("pk"))["last"] or 0


def topic_of_events(*, organization: int, instance: int | None) -> str:
    """Return the topic of the events of an instance, or of all of an organization's."""
    return f"events of organization {organization}" if instance is None else f"events of instance {instance}"


def topics_of_rights(organization: int) -> frozenset[str]:
    """Return the topics of what may have changed the rights of an organization's API keys."""
    return frozenset((f"rights of {organization}", "rights of None"))


def look(since: Position) -> tuple[Position, frozenset[str]]:
    """Return the log's position now, and the topics of what has come since another; in a thread without a request."""
    close_old_connections()
    try:
        events, audited = log_position()
        topics: set[str] = set()
        if events > since[0]:
            rows = Event.objects.filter(pk__gt=since[0], pk__lte=events)
            for instance, organization in rows.values_list("instance_id", "instance__organization_id").distinct():
                topics.add(topic_of_events(organization=organization, instance=instance))
                topics.add(topic_of_events(organization=organization, instance=None))
        if audited > since[1]:
            entries = AuditEntry.objects.filter(pk__gt=since[1], pk__lte=audited).order_by("-pk")
            topics |= {
                f"rights of {key}" for key in set(entries.values_list("organization_id", flat=True)[:_MOST_ENTRIES])
            }
        return (max(events, since[0]), max(audited, since[1])), frozenset(topics)
    finally:
        close_old_connections()
