"""Which polls keep earlier content because filters of their instance's subscriptions ask what changed.

It costs ConnectWise no request: what is kept is what was read anyway.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from instances.models import Instance, ResourcePoll
from polling.filters.reading import Filter, FilterError, parse_filter
from polling.filters.tracking import tracked_by
from polling.models import Subscription

logger = logging.getLogger(__name__)


def keep_tracking(instance: Instance) -> list[str]:
    """Have an instance's polls keep earlier content where a filter asks for it, and where none does no more.

    Return the resources of which it is kept. To be called in the transaction that changed a subscription or the polls.
    It locks the instance, as whoever changes that does, and then those of its polls that change, by id; who locks a
    subscription locks its instance before. A poll under way ends as it began: what it records may still be without.
    """
    # Whoever records events of it may go on; two that decide this go one after the other.
    list(Instance.objects.select_for_update(no_key=True).filter(pk=instance.pk).values_list("pk"))
    polls = {poll.name: poll for poll in ResourcePoll.objects.filter(instance=instance).order_by("pk")}
    wanted = {name for each in _filters(instance) for name in tracked_by(each, polls)}
    changed = [poll.pk for name, poll in polls.items() if poll.tracks_for_filters != (name in wanted)]
    rows = ResourcePoll.objects.filter(pk__in=changed)
    list(rows.order_by("pk").select_for_update(no_key=True).values_list("pk"))
    rows.filter(name__in=wanted).update(tracks_for_filters=True)
    rows.exclude(name__in=wanted).update(tracks_for_filters=False)
    return [name for name in polls if name in wanted]


def _filters(instance: Instance) -> Iterator[Filter]:
    """Return the filters of those subscriptions that are on."""
    asking = Subscription.objects.filter(instance=instance, enabled=True, deleted_at=None).exclude(filter="")
    for key, text in asking.order_by("pk").values_list("pk", "filter"):
        try:
            yield parse_filter(text)
        except FilterError:
            # It was read when it was given. Whatever happens to it since must not keep the instance from being changed.
            logger.warning("The filter of subscription %s can't be read; nothing is tracked for it.", key)
