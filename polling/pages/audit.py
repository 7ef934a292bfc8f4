"""The page *Audit*: who did what, to what, from what to what, and when; narrowed, and taken away as CSV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from cwconnect.core.csv_export import Columns, csv_response
from instances.audit import Action, named
from instances.audit_words import Line, lines_of
from instances.models import AuditEntry, Instance
from instances.pages.access import PageRequest, operator_page
from polling.pages.filters import Times, chips, named_instance, presets, query_of, text_of, times_of
from polling.reports.audit_search import AuditSearch, all_of_audit, search_audit

_LONGEST_ID = 18
_CHOICES = 50
_MOST_PEOPLE = 200
_COLUMNS: Final[Columns] = {
    "time": lambda entry: entry.at,
    "who": lambda entry: entry.actor,
    "what": lambda entry: entry.action,
    "to what": lambda entry: entry.subject,
    "details": lambda entry: "; ".join(map(str, lines_of(entry.details))),
    "instance id": lambda entry: entry.instance_number,
    "request id": lambda entry: entry.request_id,
}


@dataclass(frozen=True)
class Asked:
    """What a query asks for; `called` is what names no instance."""

    search: AuditSearch
    times: Times
    one: Instance | None
    called: str


@dataclass(frozen=True)
class Shown:
    """An entry, what its details say, and whether its instance is there to be looked at."""

    entry: AuditEntry
    lines: list[Line]
    leads: bool


@require_safe
@operator_page
def audit_page(request: PageRequest) -> HttpResponse:
    """Show the entries that match, newest first."""
    asked, organization = _asked(request), request.person.organization
    before = request.GET.get("before", "")
    is_further = before.isascii() and before.isdecimal() and len(before) <= _LONGEST_ID
    found = search_audit(organization, asked.search, before=int(before) if is_further else None)
    context = {
        "found": found,
        "shown": _shown(request, found.rows),
        "search": asked.search,
        "given": request.GET,
        "older": query_of(request.GET, before=found.next_before) if found.next_before else "",
        "newest_query": query_of(request.GET),
        "is_further": is_further,
        "as_it_is": query_of(request.GET),
        "actions": sorted(action.value for action in Action),
        "actors": _actors(request, asked.search.actor),
        "instance": f"{asked.one.name} ({asked.one.pk})" if asked.one else asked.called,
        "instances": request.person.instances().order_by("name").values_list("pk", "name")[:_CHOICES],
        "presets": presets(request.GET, asked.times),
        "times": asked.times,
        "chips": _chips(request, asked),
        "here": "audit",
    }
    return render(request, "polling/audit.html", context)


@require_safe
@operator_page
def audit_csv(request: PageRequest) -> HttpResponseBase:
    """Stream all entries that match as CSV, newest first."""
    rows = all_of_audit(request.person.organization, _asked(request).search)
    return csv_response(f"audit-{timezone.localdate():%Y-%m-%d}", _COLUMNS, rows)


def _asked(request: PageRequest) -> Asked:
    """Read the query; an instance that is not there, or no more, is looked for by what entries call it."""
    given = request.GET
    text, times = text_of(given, "instance"), times_of(given, timezone.now())
    one = named_instance(request.person.instances(), text)
    gone = int(text) if one is None and text.isascii() and text.isdecimal() and len(text) <= _LONGEST_ID else None
    search = AuditSearch(
        actor=text_of(given, "who"),
        action=action if (action := given.get("action", "")) in list(Action) else "",
        instance_number=one.pk if one else gone,
        words=text_of(given, "q") or ("" if one or gone else text),
        since=times.since,
        until=times.until,
    )
    return Asked(search, times, one, "" if one or gone else text)


def _chips(request: PageRequest, asked: Asked) -> object:
    words = text_of(request.GET, "q")
    of_instance = asked.one.name if asked.one else asked.called or str(asked.search.instance_number or "")
    narrowed = [
        ("who", "Who", asked.search.actor.removeprefix(named(""))),
        ("action", "What", asked.search.action),
        ("instance", "Instance", of_instance),
        ("q", "To what", words),
    ]
    return chips(request.GET, asked.times, narrowed)


def _actors(request: PageRequest, chosen: str) -> list[str]:
    """Return who may have done something: people and API users of the organization, and who is chosen."""
    organization = request.person.organization
    people = organization.memberships.order_by("account__username").values_list("account__username", flat=True)
    users = organization.api_users.order_by("name")[:_MOST_PEOPLE]
    found = [*map(named, people[:_MOST_PEOPLE]), *(f"API user {user.name} ({organization.name})" for user in users)]
    return found if not chosen or chosen in found else [chosen, *found]


def _shown(request: PageRequest, entries: list[AuditEntry]) -> list[Shown]:
    numbers = {entry.instance_number for entry in entries if entry.instance_number is not None}
    there = set(request.person.instances().filter(pk__in=numbers).values_list("pk", flat=True))
    return [Shown(entry, lines_of(entry.details), entry.instance_number in there) for entry in entries]
