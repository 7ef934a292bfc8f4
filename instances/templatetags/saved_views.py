"""A person's saved views above a list: `{% saved_views "instances" %}` in a page that has `request`. One query."""

from __future__ import annotations

from typing import Any

from django import template

from instances.models import SavedView
from instances.saved_views import query_to_keep

register = template.Library()


@register.inclusion_tag("parts/saved_views.html", takes_context=True)
def saved_views(context: dict[str, Any], page: str) -> dict[str, Any]:
    """Show the views of the list `page`, with the one that is open, and save what it is narrowed to now."""
    request = context["request"]
    views = SavedView.objects.filter(account=request.user, organization=request.person.organization, page=page)
    query = query_to_keep(request.GET)
    return {
        "views": views.order_by("name"),
        "page": page,
        "query": query,
        "request": request,
        "csrf_token": context.get("csrf_token"),
    }
