"""Saved views: what a person narrowed a list to, kept under a name. They are that person's own, viewers' too."""

from __future__ import annotations

from django.http import QueryDict

from cwconnect.core.errors import DomainError
from cwconnect.core.unseen import find_unseen_in_name, trim
from instances.models import Organization, SavedView

PAGES = {"instances": "instances-page", "events": "events-page", "deliveries": "deliveries-page"}
"""The lists that have saved views, with their routes."""
MOST_VIEWS = 30  # of a person, for one list
LONGEST_NAME, LONGEST_QUERY = 60, 2000
_PLACE = ("page", "before", "after", "cursor")  # where in the list one is, which no view keeps


def query_to_keep(query: QueryDict) -> str:
    """Return what of a list's query a view keeps: what narrows and sorts it, and not the page."""
    kept = query.copy()
    for name in (*_PLACE, *(name for name, values in query.lists() if not any(values))):
        kept.pop(name, None)
    return kept.urlencode()


def save_view(account_id: int, organization: Organization, *, page: str, name: str, query: str) -> SavedView:
    """Keep a list's query under a name; one of that name takes the new query.

    Raises DomainError for a list that has no views, a name that can't be used, a query that is too long, and for too
    many views.
    """
    name = trim(name)
    if page not in PAGES:
        raise DomainError("This page has no views that could be saved.")
    if not name:
        raise DomainError("A view needs a name.")
    if len(name) > LONGEST_NAME:
        raise DomainError(f"The name is longer than {LONGEST_NAME} characters.")
    if unseen := find_unseen_in_name(name):
        raise DomainError(f"The name holds {unseen}.")
    kept = query_to_keep(QueryDict(query))
    if not kept or len(kept) > LONGEST_QUERY:
        raise DomainError("Nothing narrows the list: there is no view to save." if not kept else "It is too long.")
    views = SavedView.objects.filter(account_id=account_id, organization=organization, page=page)
    if views.exclude(name=name).count() >= MOST_VIEWS:
        raise DomainError(f"You have {MOST_VIEWS} views of this list; remove one first.")
    return views.update_or_create(
        name=name,
        defaults={"query": kept},
        create_defaults={"account_id": account_id, "organization": organization, "page": page, "query": kept},
    )[0]
