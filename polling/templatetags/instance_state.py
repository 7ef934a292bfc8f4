"""The state of an instance, for the head that all of its pages share, whichever app's view makes them."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from instances.missing_fields import warnings_of
from instances.models import Instance, ResourcePoll
from instances.templatetags.cw import NOTHING, ago, exactly, state
from polling.delivery.delivery_request import answer_in_words
from polling.models import DeliveryAttempt, Event, PollState
from polling.reports.delivery_issues import instance_issues
from polling.reports.engine import Engine
from polling.reports.event_states import state_of as state_of_event
from polling.reports.instance_rows import state_of
from polling.reports.waiting import undelivered_of

register = template.Library()


@register.simple_tag
def state_word(instance: Instance) -> str:
    """Return an instance's state in one word or two: three queries."""
    healths = PollState.objects.filter(resource_poll__instance=instance).values_list("health", flat=True)
    return state_of(instance, healths, instance_issues([instance.pk]).get(instance.pk))


@register.simple_tag
def undelivered_count(instance: Instance) -> int:
    """Return how many of an instance's notifications have not arrived: one query."""
    return undelivered_of(instance=instance).count()


@register.filter
def warnings(poll: ResourcePoll) -> list[str]:
    """Return a sentence for each field that a poll's configuration names and no record has: no query."""
    return warnings_of(poll)


@register.filter
def event_state(event: Event) -> SafeString:
    """Write the state of an event of a list, and how many were notified of it where several are to be: no query."""
    found = state_of_event(event)
    shown = state(found.word)
    if not found.is_several:
        return shown
    form = '{} <span class="muted">{} of {} delivered</span>'
    return format_html(form, shown, found.delivered, found.sent)


@register.filter
def failure(attempt: DeliveryAttempt) -> str:
    """Return why an attempt failed, in a sentence or two."""
    return attempt.error or answer_in_words(attempt.status)


@register.filter
def as_known(word: str, engine: Engine | None) -> SafeString:
    """Write a state; one that nobody sees anew any more is amber, and says since when it is not known."""
    if not engine or engine.knows(word):
        return state(word)
    since = exactly(engine.known_until) if engine.known_until else ""
    form = '<span class="state wait"><span aria-hidden="true">▲</span> not known{}{}</span>'
    return format_html(form, " since " if since else "", since)


@register.filter
def when_due(moment: datetime | None, engine: Engine | None) -> SafeString | str:
    """Write when a worker is to do something: `in 40 s`, or that nothing is done before one works again."""
    if not moment:
        return NOTHING
    return "when work goes on" if engine and engine.problem else ago(moment)
