"""Who did what, searched: by person, action, instance, words and times, each page at a bounded cost.

Person, action and instance have an index of their own in the order of ids; words have none, so a page by words looks
through a slice and says how far it came (keyset_walk.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from instances.models import AuditEntry, Organization
from polling.reports.keyset_walk import KeysetWalk, Stretch, walk, walk_all

PER_PAGE = 50


@dataclass(frozen=True)
class AuditSearch:
    """What is looked for; what is empty narrows nothing."""

    actor: str = ""
    action: str = ""
    instance_number: int | None = None
    words: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def narrows(self) -> bool:
        """Whether anything is left out."""
        return self != AuditSearch()


def search_audit(organization: Organization, search: AuditSearch, *, before: int | None) -> Stretch[AuditEntry]:
    """Return the newest entries of an organization that match, below an id if given: four queries at most."""
    return walk(_rows(organization, search), _how(search), before=before, size=PER_PAGE)


def all_of_audit(organization: Organization, search: AuditSearch) -> Iterator[AuditEntry]:
    """Return all entries that match, newest first, holding a thousand at a time."""
    return walk_all(_rows(organization, search), _how(search))


def _rows(organization: Organization, search: AuditSearch) -> QuerySet[AuditEntry]:
    given: dict[str, Any] = {
        "actor": search.actor,
        "action": search.action,
        "instance_number": search.instance_number,
        "subject__icontains": search.words,
        "at__gte": search.since,
        "at__lt": search.until,
    }
    return AuditEntry.objects.filter(
        organization=organization, **{name: value for name, value in given.items() if value}
    )


def _how(search: AuditSearch) -> KeysetWalk:
    return KeysetWalk("at", since=search.since, until=search.until, sliced=bool(search.words))
