"""What several pages share."""

from __future__ import annotations

from datetime import UTC, datetime

from django.http import Http404
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from instances.models import ResourcePoll
from instances.pages.access import PageRequest


def own_poll(request: PageRequest, number: int, poll: int) -> ResourcePoll:
    """Return a poll of an instance of the person's organization; 404 for any other."""
    ours = ResourcePoll.objects.filter(instance__organization=request.person.organization)
    found = ours.filter(pk=poll, instance_id=number).select_related("instance").first()
    if found is None:
        raise Http404
    return found


def moment_of(text: str) -> datetime | None:
    """Return in UTC what a field for date and time sends, in the viewer's zone; None if it can't be read."""
    try:
        found = parse_datetime(text)
        if found is None:
            return None
        return (timezone.make_aware(found) if timezone.is_naive(found) else found).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
