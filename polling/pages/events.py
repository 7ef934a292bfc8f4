"""The pages *Events*: the search, and one event from end to end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from cwconnect.connectwise.web_links import web_link
from cwconnect.core.csv_export import csv_response
from instances.models import Instance
from instances.pages.access import PageRequest, page
from polling.delivery.carried import events_of
from polling.delivery.replay.replays import start_replay
from polling.delivery.replay.selection import Selection
from polling.models import DeliveryAttempt, Event, Notification
from polling.pages.exports import EVENT_COLUMNS
from polling.pages.filters import Times, chips, is_over, named_instance, presets, query_of, text_of, times_of
from polling.pages.refreshing import refreshed_part
from polling.reports.delivery_search import DeliverySearch
from polling.reports.event_deliveries import deliveries_of, shown_of
from polling.reports.event_search import DELIVERY_STATES, TEXTS, Search, all_events, search_events
from polling.reports.event_states import HELD_BACK, SHOWN_STATES, sent_again
from polling.reports.everything import WEBHOOK_ID, first_carried_by
from polling.reports.keyset_walk import Stretch

_MOST_ATTEMPTS = 50
_CHOICES = 50


@page
def events(request: PageRequest) -> HttpResponse:
    """Search the organization's events; what a program knows a notification by leads to its event.

    The list alone is what a live tail asks for, again and again.
    """
    asked = asked_events(request)
    search, one, now = asked.search, asked.one, timezone.now()
    if search.object_id.startswith(WEBHOOK_ID) and (
        carried := first_carried_by(request.person.organization, search.object_id)
    ):
        return redirect(path_of(carried.event_id, carried.to))
    found = search_events(request.person.organization, search)
    may_live = search.before is None and not is_over(asked.times, now)
    context = _rows(request, found) | {"live": may_live and "live" in request.GET, "search": search}
    if request.htmx:
        return refreshed_part(request, "polling/parts/event_rows.html", context)
    instances = request.person.instances()
    context |= {
        "given": request.GET,
        "older": query_of(request.GET, before=found.next_before) if found.next_before else "",
        "newest_query": query_of(request.GET) if search.before else "",
        "as_it_is": query_of(request.GET),
        "without_live": query_of(request.GET, "live"),
        "may_live": may_live,
        "kinds": Event.Kind.values,
        "states": SHOWN_STATES,
        "instance": f"{one.name} ({one.pk})" if one else search.called,
        "unknown": bool(search.called) and not instances.filter(name__icontains=search.called).exists(),
        "instances": instances.order_by("name").values_list("pk", "name")[:_CHOICES],
        "presets": presets(request.GET, asked.times),
        "times": asked.times,
        "chips": chips(request.GET, asked.times, asked.named),
        "carried": None if found.next_before or search.before else sent_again(found.rows, search.delivery_state),
        "texts": TEXTS,
        "may_replay": carrying(search).narrows,
        "here": "events",
    }
    return render(request, "polling/events.html", context)


def _rows(request: PageRequest, found: Stretch[Event]) -> dict[str, Any]:
    """Return what the list shows; `new` are how many came since the event `after`, which a tab has seen."""
    newest = found.rows[0].pk if found.rows else 0
    after = request.GET.get("after", "")
    seen = int(after) if after.isascii() and after.isdecimal() and len(after) < 19 else newest
    new = sum(event.pk > seen for event in found.rows)
    return {"found": found, "newest": newest, "seen": seen, "new": new, "query": query_of(request.GET)}


@page
def events_csv(request: PageRequest) -> HttpResponseBase:
    """Stream all events that match as CSV, newest first."""
    rows = all_events(request.person.organization, asked_events(request).search)
    return csv_response(f"events-{timezone.localdate():%Y-%m-%d}", EVENT_COLUMNS, rows)


def path_of(event_id: int, to: int | None) -> str:
    """Return where an event is shown, as it was sent to a subscription; None: to the first one."""
    return reverse("event-page", args=[event_id]) + (f"?to={to}" if to else "")


def carrying(search: Search) -> DeliverySearch:
    """Return the search for the notifications that carry an event which this search finds.

    Of one by a record's name it is empty, so that nothing is sent: it would mean more than the list shows. So is that
    of what was held back, which no notification carries.
    """
    if (search.text and not search.in_fields) or search.delivery_state == HELD_BACK:
        return DeliverySearch(Selection())
    selection = Selection(
        state=search.delivery_state,
        resource=search.resource,
        kind=search.kind,
        object_id=search.object_id,
        text=search.text,
        seen_since=search.since,
        seen_until=search.until,
    )
    return DeliverySearch(selection, search.instance_id, search.called)


@dataclass(frozen=True)
class AskedEvents:
    """What a query asks for: the search, its times, and the one instance that it names."""

    search: Search
    times: Times
    one: Instance | None

    @property
    def named(self) -> list[tuple[str, str, str]]:
        """What narrows it beside the times: parameter, words, value."""
        search = self.search
        return [
            ("q fields", "Any field" if search.in_fields else "Name", search.text),
            ("q fields", "Anywhere in the record" if search.in_fields else "Name", search.text),
            ("object", "Object", search.object_id),
            ("kind", "Kind", search.kind),
            ("resource", "Resource", search.resource),
            ("state delivery", "State", search.delivery_state),
            ("instance", "Instance", self.one.name if self.one else search.called),
        ]


def asked_events(request: PageRequest) -> AskedEvents:
    """Read the query of the page; what can't be read narrows nothing."""
    given = request.GET
    one = named_instance(request.person.instances(), text_of(given, "instance"))
    times = times_of(given, timezone.now())
    return AskedEvents(_search(given, one, times), times, one)


def _search(given: QueryDict, one: Instance | None, times: Times) -> Search:
    states = (given.get("state", ""), given.get("delivery", ""))  # the latter as it was called in earlier links
    return Search(
        instance_id=one.pk if one else None,
        called="" if one else text_of(given, "instance"),
        object_id=text_of(given, "object"),
        kind=kind if (kind := given.get("kind", "")) in Event.Kind.values else "",
        resource=text_of(given, "resource"),
        delivery_state=next((state for state in states if state in DELIVERY_STATES), ""),
        since=times.since,
        until=times.until,
        before=_number(given.get("before", "")),
        text=text_of(given, "q"),
        in_fields="fields" in given,
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


@page
def event_page(request: PageRequest, number: int) -> HttpResponse:
    """Show one event from end to end: seen, recorded, sent, each attempt; `to` is the subscription that was sent it."""
    context = _context(_event(request, number), _number(request.GET.get("to", ""))) | {"here": "events"}
    if not request.htmx:
        return render(request, "polling/event.html", context)
    return refreshed_part(request, "polling/parts/attempts.html", context)


@require_POST
@page
def replay_event(request: PageRequest, number: int) -> HttpResponse:
    """Send the notification that carries the event again: the same id, the same bytes; `to` says to which receiver."""
    event, to = _event(request, number), _number(request.POST.get("to", ""))
    sent = shown_of(deliveries_of(event, timezone.now()), to).notification_id
    back = path_of(number, to)
    if sent is None:
        messages.error(request, "No notification carries it, so there is nothing to send again.")
        return redirect(back)
    selection = Selection(event_id=event.pk, ids=(sent,) if to else ())
    if start_replay(event.instance, selection, timezone.now()).total:
        messages.success(request, "It is sent again now; the attempt shows below.")
    else:
        messages.warning(request, "Nothing was sent: a discarded notification is not sent again.")
    return redirect(back)


def _event(request: PageRequest, number: int) -> Event:
    found = (
        Event.objects.filter(pk=number, instance__organization=request.person.organization)
        .select_related("instance", "notification__shared_body", "run", "resource_poll")
        .first()
    )
    if found is None:
        raise Http404
    return found


def _context(event: Event, to: int | None) -> dict[str, Any]:
    now = timezone.now()
    lines = deliveries_of(event, now)
    shown = shown_of(lines, to)
    notification = _notification(event, shown.notification_id)
    attempts: list[tuple[DeliveryAttempt, timedelta]] = []
    if notification is not None:
        found = list(DeliveryAttempt.objects.filter(notification=notification).order_by("-pk")[:_MOST_ATTEMPTS])
        before = notification.created_at
        for attempt in reversed(found):
            attempts.append((attempt, attempt.started_at - before))
            before = attempt.started_at
    where = (event.instance.base_url, event.instance.company)
    recent = attempts and now - attempts[-1][0].started_at < timedelta(minutes=1)
    return {
        "event": event,
        "instance": event.instance,
        "lines": lines if len(lines) > 1 else [],
        "shown": shown,
        "notification": notification,
        "receiver_url": shown.subscription.notification_settings.callback_url,
        "attempts": attempts,
        "changes": _changes(event),
        "beside": _beside(event, notification),
        "who": _who(event),
        "web_link": "" if event.kind == Event.Kind.DELETED else web_link(*where, event.object_type, event.record_id),
        "seen_after": event.polled_at - event.occurred_at,
        "live": notification is not None and (notification.state == "pending" or notification.replay_id or recent),
        "resting": not event.instance.watching,
    }


def _notification(event: Event, number: int | None) -> Notification | None:
    """Return the notification that is shown, with its body: mostly that which was made with the event."""
    if event.notification is not None and event.notification.pk == number:
        return event.notification
    if number is None:
        return None
    return Notification.objects.select_related("shared_body").filter(pk=number).first()


def _beside(event: Event, notification: Notification | None) -> list[Event]:
    """Return the events that the notification carries beside this one: nine at most."""
    if notification is None or notification.event_count < 2:
        return []
    return [each for each in events_of([notification.pk]).get(notification.pk, ()) if each != event]


def _who(event: Event) -> str:
    """Return who changed the record, as ConnectWise has it; empty where it does not say."""
    try:
        info = json.loads(event.record).get("_info") or {}
        return str(info.get("updatedBy") or "")
    except (ValueError, AttributeError):  # whatever ConnectWise sent is kept, of any shape
        return ""


def _changes(event: Event) -> list[dict[str, Any]] | None:
    """Return the changed fields, None where they are not known."""
    if event.changes is None:
        return None
    found: list[dict[str, Any]] | None = json.loads(event.changes)
    return found
