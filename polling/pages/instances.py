"""The list of instances: narrowed by chips, counted by state, sorted, and the place where many are changed at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from instances.pages.access import PageRequest, page
from polling.models import BulkJob
from polling.pages.chips import Chip
from polling.reports.instance_list import (
    GROUPS,
    SORTS,
    STATES,
    InstanceFilter,
    ListedInstance,
    count_resources,
    count_states,
    count_tags,
    in_state,
    instance_page,
    listed_instances,
    read_filter,
)

PER_PAGE = 50
_COLUMNS = (
    ("name", "Instance", False),
    ("state", "State", False),
    ("good", "Last good poll", True),
    ("lag", "Lag", True),
    ("waiting", "Waiting", True),
    ("events", "Events, 24 h", True),
)
"""What is sorted by, as the table's head calls it, and whether the largest or newest come first."""


@dataclass(frozen=True)
class Choice:
    """A link that narrows, widens or sorts the list; `count` is how many it leaves, where that is known."""

    label: str
    query: str
    current: bool = False
    count: int | None = None


@dataclass(frozen=True)
class Column:
    """A column that the list can be sorted by."""

    label: str
    query: str
    sorted: str  # as `aria-sort` has it; blank where it is not
    numeric: bool


@page
def instances(request: PageRequest) -> HttpResponse:
    """List the organization's instances; what narrows and sorts them stands in the URL."""
    organization, asked, sort = request.person.organization, read_filter(request.GET), _sort_of(request)
    listed = listed_instances(organization, asked)
    found = in_state(listed, asked.state)
    number = request.GET.get("page", "")
    shown = instance_page(
        found, sort, int(number) if number.isdecimal() and len(number) < 10 else 1, timezone.now(), PER_PAGE
    )
    jobs = BulkJob.objects.filter(organization=organization, next_try_at__isnull=False).defer("instances")
    context = {
        "shown": shown,
        "asked": asked,
        "sort": sort,
        "query": _query(asked, sort),
        "tabs": _tabs(asked, sort, listed),
        "menus": _menus(request, asked, sort, listed, found),
        "columns": [_column(asked, sort, *each) for each in _COLUMNS],
        "chips": list(_chips(asked, sort)),
        "jobs": jobs.order_by("pk")[:3],
        "here": "instances",
    }
    return render(request, "polling/instances.html", context)


def _sort_of(request: PageRequest) -> str:
    """Return what the list is sorted by: a key of `SORTS`, with a minus before it the other way round."""
    given = request.GET.get("sort", "")
    return given if given.removeprefix("-") in SORTS else "name"


def _query(asked: InstanceFilter, sort: str, **changes: Any) -> str:
    """Return the query of the list's URL with `changes`, at its first page."""
    query = asked.query(**changes)
    return f"{query}&sort={sort}".lstrip("&") if sort != "name" else query


def _tabs(asked: InstanceFilter, sort: str, listed: Sequence[ListedInstance]) -> list[Choice]:
    """Return the groups of states with their counts; nobody waits most of the time, and is then left out."""
    counts = count_states(listed)
    tabs = [Choice("All", _query(asked, sort, state=""), not asked.state, len(listed))]
    tabs += [
        Choice(group.capitalize(), _query(asked, sort, state=group), asked.state == group, counts[group])
        for group in GROUPS
        if group != "waiting" or counts[group] or asked.state == group
    ]
    return tabs


def _menus(
    request: PageRequest,
    asked: InstanceFilter,
    sort: str,
    listed: Sequence[ListedInstance],
    found: Sequence[ListedInstance],
) -> dict[str, list[Choice]]:
    states = count_states(listed)
    return {
        "State": [
            Choice(state, _query(asked, sort, state=state), asked.state == state, states[state])
            for state in STATES
            if states[state]
        ],
        "Tag": [
            Choice(tag, _query(asked, sort, tags=(*asked.tags, tag)), count=count)
            for tag, count in count_tags(found)
            if tag not in asked.tags
        ],
        "Resource": [
            Choice(name, _query(asked, sort, resource=name), asked.resource == name, count)
            for name, count in count_resources(request.person.organization)
        ],
    }


def _column(asked: InstanceFilter, sort: str, key: str, label: str, falling: bool) -> Column:
    """Return a column's head: its link turns round what it is sorted by already."""
    is_sorted, is_falling = sort.removeprefix("-") == key, sort.startswith("-")
    turned = not is_falling if is_sorted else falling
    direction = ("descending" if is_falling else "ascending") if is_sorted else ""
    return Column(label, _query(asked, f"-{key}" if turned else key), direction, key in ("lag", "waiting", "events"))


def _chips(asked: InstanceFilter, sort: str) -> Iterator[Chip]:
    if asked.state:
        yield Chip(f"State: {asked.state}", f"?{_query(asked, sort, state='')}")
    for tag in asked.tags:
        yield Chip(f"Tag: {tag}", f"?{_query(asked, sort, tags=tuple(each for each in asked.tags if each != tag))}")
    if asked.resource:
        yield Chip(f"Resource: {asked.resource}", f"?{_query(asked, sort, resource='')}")
    if asked.text:
        yield Chip(f"“{asked.text}”", f"?{_query(asked, sort, text='')}")
