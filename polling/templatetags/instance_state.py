"""The state of an instance, for the head that all of its pages share, whichever app's view makes them."""

from __future__ import annotations

from django import template

from instances.missing_fields import warnings_of
from instances.models import Instance, ResourcePoll
from polling.models import PollState
from polling.reports.delivery_issues import delivery_issues
from polling.reports.instance_rows import state_of
from polling.reports.waiting import undelivered_of

register = template.Library()


@register.simple_tag
def state_word(instance: Instance) -> str:
    """Return an instance's state in one word or two: three queries."""
    healths = PollState.objects.filter(resource_poll__instance=instance).values_list("health", flat=True)
    return state_of(instance, healths, delivery_issues([instance.pk]).get(instance.pk))


@register.simple_tag
def undelivered_count(instance: Instance) -> int:
    """Return how many of an instance's notifications have not arrived: one query."""
    return undelivered_of(instance=instance).count()


@register.filter
def warnings(poll: ResourcePoll) -> list[str]:
    """Return a sentence for each field that a poll's configuration names and no record has: no query."""
    return warnings_of(poll)
