"""The pages *Events*: the search, and one event from end to end."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from cwconnect.connectwise.web_links import web_link
from instances.models import Instance
from instances.pages.access import PageRequest, page
from polling.delivery.replay.replays import Selection, start_replay
from polling.models import DeliveryAttempt, Event, Notification
from polling.pages.refreshing import refreshed_part
from polling.pages.shared import moment_of
from polling.reports.event_search import DELIVERY_STATES, Search, search_events

_LONGEST_TEXT = 200
_MOST_ATTEMPTS = 50
_CHOICES = 50
_NUMBERED = re.compile(r"(\d{1,18})|.* \((\d{1,18})\)", re.ASCII | re.DOTALL)  # `12`, or `Acme (12)` as is proposed
WEBHOOK_ID = "msg_"  # what every webhook-id begins with


@page
def events(request: PageRequest) -> HttpResponse:
    """Search the organization's events; what a program knows a notification by leads to its event."""
    instances = request.person.instances()
    one = _named(instances, _text(request.GET, "instance"))
    search = _search(request.GET, one)
    if search.object_id.startswith(WEBHOOK_ID) and (event := _first_of(request, search.object_id)) is not None:
        return redirect("event-page", event)
    found = search_events(request.person.organization, search)
    kept = {key: value for key, value in request.GET.items() if value and key != "before"}
    context = {
        "found": found,
        "search": search,
        "given": request.GET,
        "older": urlencode(kept | {"before": found.next_before}) if found.next_before else "",
        "newest": urlencode(kept) if search.before else "",
        "kinds": Event.Kind.values,
        "delivery_states": list(DELIVERY_STATES),
        "instance": f"{one.name} ({one.pk})" if one else search.called,
        "unknown": bool(search.called) and not instances.filter(name__icontains=search.called).exists(),
        "instances": instances.order_by("name").values_list("pk", "name")[:_CHOICES],
        "here": "events",
    }
    return render(request, "polling/events.html", context)


def _first_of(request: PageRequest, webhook_id: str) -> int | None:
    """Return the id of the first event that a notification of the organization carries."""
    ours = Notification.objects.filter(instance__organization=request.person.organization)
    found = ours.filter(webhook_id=webhook_id).values_list("pk", flat=True).first()
    carried = Event.objects.filter(notification=found).order_by("pk") if found else Event.objects.none()
    return carried.values_list("pk", flat=True).first()


def _named(instances: QuerySet[Instance], text: str) -> Instance | None:
    """Return the one instance that a text names: by its name, by its id, or by both."""
    called = list(instances.filter(name__iexact=text)[:2]) if text else []
    if len(called) == 1:
        return called[0]
    numbered = _NUMBERED.fullmatch(text)
    return instances.filter(pk=numbered[1] or numbered[2]).first() if numbered else None


def _search(given: QueryDict, one: Instance | None) -> Search:
    return Search(
        instance_id=one.pk if one else None,
        called="" if one else _text(given, "instance"),
        object_id=_text(given, "object"),
        kind=kind if (kind := given.get("kind", "")) in Event.Kind.values else "",
        resource=_text(given, "resource"),
        delivery_state=delivery_state if (delivery_state := given.get("delivery", "")) in DELIVERY_STATES else "",
        since=moment_of(given.get("from", "")),
        until=moment_of(given.get("to", "")),
        before=_number(given.get("before", "")),
    )


def _text(given: QueryDict, name: str) -> str:
    return given.get(name, "").strip().replace("\x00", "")[:_LONGEST_TEXT]


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 19 else None


@page
def event_page(request: PageRequest, number: int) -> HttpResponse:
    """Show one event from end to end: seen, recorded, sent, each attempt."""
    context = _context(_event(request, number)) | {"here": "events"}
    if not request.htmx:
        return render(request, "polling/event.html", context)
    return refreshed_part(request, "polling/parts/attempts.html", context)


@require_POST
@page
def replay_event(request: PageRequest, number: int) -> HttpResponse:
    """Send the notification that carries the event again: the same id, the same bytes."""
    event = _event(request, number)
    if event.notification is None:
        messages.error(request, "Its notification is past its retention: there is nothing to send any more.")
    else:
        replay = start_replay(event.instance, Selection(event_id=event.pk), timezone.now())
        if replay.total:
            messages.success(request, "It is sent again now; the attempt shows below.")
        else:
            messages.warning(request, "Nothing was sent: a discarded notification is not sent again.")
    return redirect("event-page", number)


def _event(request: PageRequest, number: int) -> Event:
    found = (
        Event.objects.filter(pk=number, instance__organization=request.person.organization)
        .select_related("instance", "notification", "run", "resource_poll")
        .first()
    )
    if found is None:
        raise Http404
    return found


def _context(event: Event) -> dict[str, Any]:
    notification = event.notification
    attempts: list[tuple[DeliveryAttempt, timedelta]] = []
    if notification is not None:
        found = list(DeliveryAttempt.objects.filter(notification=notification).order_by("-pk")[:_MOST_ATTEMPTS])
        before = notification.created_at
        for attempt in reversed(found):
            attempts.append((attempt, attempt.started_at - before))
            before = attempt.started_at
    recent = attempts and timezone.now() - attempts[-1][0].started_at < timedelta(minutes=1)
    return {
        "event": event,
        "instance": event.instance,
        "notification": notification,
        "attempts": attempts,
        "changes": _changes(event),
        "beside": _beside(event),
        "who": _who(event),
        "web_link": _web_link(event),
        "seen_after": event.polled_at - event.occurred_at,
        "live": notification is not None and (notification.state == "pending" or notification.replay_id or recent),
        "resting": not event.instance.watching,
    }


def _beside(event: Event) -> list[Event]:
    """Return the events that the notification carries beside this one: nine at most."""
    if event.notification is None or event.notification.event_count < 2:
        return []
    carried = Event.objects.filter(notification=event.notification_id).exclude(pk=event.pk)
    return list(carried.defer("record", "changes").order_by("pk"))


def _who(event: Event) -> str:
    """Return who changed the record, as ConnectWise has it; empty where it does not say."""
    try:
        info = json.loads(event.record).get("_info") or {}
        return str(info.get("updatedBy") or "")
    except (ValueError, AttributeError):  # whatever ConnectWise sent is kept, of any shape
        return ""


def _web_link(event: Event) -> str:
    """Return where ConnectWise itself shows the record; empty where that is not known, or it is gone."""
    if event.kind == Event.Kind.DELETED:
        return ""
    return web_link(event.instance.base_url, event.instance.company, event.object_type, event.record_id)


def _changes(event: Event) -> list[dict[str, Any]] | None:
    """Return the changed fields, None where they are not known."""
    if event.changes is None:
        return None
    found: list[dict[str, Any]] | None = json.loads(event.changes)
    return found
