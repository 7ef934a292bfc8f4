"""How the pages about people name roles."""

from __future__ import annotations

from django import template

from instances.models import Role

register = template.Library()

_WITH_ARTICLE = {Role.VIEWER: "a viewer", Role.OPERATOR: "an operator"}


@register.filter
def other_role(role: str) -> str:
    """Return, with its article, the role that a person with this one may be given: there are two."""
    return _WITH_ARTICLE[Role.VIEWER if role == Role.OPERATOR else Role.OPERATOR]
