"""What templates say of second factors."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from django import template

from instances.factors.notices import in_words

register = template.Library()


@register.filter
def factor_words(factor: Authenticator) -> str:
    """Return what a factor is, at the beginning of a line."""
    words = in_words(factor)
    return words[:1].upper() + words[1:]
