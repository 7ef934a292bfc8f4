"""The search over everything: one text, and what it may be in an organization.

A text may be an id of any kind (an event's, an instance's, a record's, a webhook-id, a request's) or a part of a name.
Each kind is asked for by an index and up to a few rows; records by name as `names.py` finds them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from django.db.models import Max, Q, QuerySet

from instances.models import AuditEntry, Instance, Organization
from polling.delivery.carried import carried_by
from polling.models import Event, Notification
from polling.reports.names import NamedRecords, records_named

MOST = 20
LONGEST = 200
WEBHOOK_ID = "msg_"  # what every webhook-id begins with
_REQUEST_ID = re.compile(r"[0-9a-f]{24}")
_RECORD = re.compile(r"([A-Za-z][\w/-]{0,150})/([^/\s]{1,200})")


@dataclass(frozen=True)
class Everything:
    """What a text may mean: instances, events with that id, records (by their newest event), and what a request did.

    `to`: of a webhook-id the further subscription that its notification is for.
    """

    instances: list[Instance] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    to: int | None = None
    records: list[Event] = field(default_factory=list)
    named: NamedRecords = field(default_factory=NamedRecords)
    request_id: str = ""
    audit: list[AuditEntry] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was found."""
        return not (self.instances or self.events or self.records or self.named.events or self.request_id)

    @property
    def only(self) -> Instance | Event | None:
        """The one thing that an id or a name matches; None where it may be several, or a record with many events."""
        found: list[Instance | Event] = [*self.instances, *self.events]
        several = len(found) != 1 or self.records or self.named.events or self.request_id
        return None if several else found[0]


def cleaned(text: str) -> str:
    """Return what is searched for, of what somebody typed: on one line, and as long as any name or id may be."""
    return " ".join(text.replace("\x00", "").split())[:LONGEST]


def search_everything(organization: Organization, text: str) -> Everything:
    """Return what a text, `cleaned`, may mean in an organization: seven queries at most."""
    if not text:
        return Everything()
    if text.startswith(WEBHOOK_ID):
        carried = first_carried_by(organization, text)
        if carried is None:
            return Everything()
        return Everything(events=list(_shown(_ours(organization).filter(pk=carried.event_id))), to=carried.to)
    if _REQUEST_ID.fullmatch(text.lower()):
        done = AuditEntry.objects.filter(organization=organization, request_id=text.lower())
        return Everything(request_id=text.lower(), audit=list(done.order_by("pk")[:MOST]))
    number = int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None
    return Everything(
        instances=_instances(organization, text, number),
        events=[] if number is None else list(_shown(_ours(organization).filter(pk=number))),
        records=_with_id(organization, text),
        named=NamedRecords() if number is not None else records_named(organization, text, MOST),
    )


@dataclass(frozen=True)
class Carried:
    """The first event that a notification carries, and the subscription that it is for, where it is a further one."""

    event_id: int
    to: int | None


def first_carried_by(organization: Organization, webhook_id: str) -> Carried | None:
    """Return what a notification of an organization carries, by the id that receivers know it by; two queries."""
    ours = Notification.objects.filter(instance__organization=organization, webhook_id=webhook_id)
    for key, to in ours.values_list("pk", "subscription_id"):
        for _, _, event_id in carried_by([key], "pk"):
            return Carried(event_id, to)
    return None


def _ours(organization: Organization) -> QuerySet[Event]:
    return Event.objects.filter(instance__organization=organization)


def _shown(events: QuerySet[Event]) -> QuerySet[Event]:
    return events.select_related("instance").defer("record", "changes").order_by("-pk")


def _instances(organization: Organization, text: str, number: int | None) -> list[Instance]:
    matching = Q(name__icontains=text) | Q(company__icontains=text)
    if number is not None:
        matching |= Q(pk=number)
    return list(Instance.objects.filter(matching, organization=organization).order_by("name", "pk")[:MOST])


def _with_id(organization: Organization, text: str) -> list[Event]:
    """Return the newest event of each record that a receiver knows by this id: `17`, or `contacts/17`."""
    both = _RECORD.fullmatch(text)
    named = {"object_type": both[1], "object_id": both[2]} if both else {"object_id": text}
    ours = Instance.objects.filter(organization=organization).values("pk")
    records = Event.objects.filter(instance__in=ours, **named).order_by()
    newest = records.values("instance_id", "object_type").annotate(newest=Max("pk")).order_by("-newest")
    keys = list(newest.values_list("newest", flat=True)[:MOST])
    return list(_shown(Event.objects.filter(pk__in=keys))) if keys else []
