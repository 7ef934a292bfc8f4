"""An instance in the admin, with what may be done about it and links to all that hangs on it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join

from cwconnect.core.text import counted
from instances.admin import InstanceAdmin
from instances.models import Instance, ResourcePoll
from polling.admin.base import link_to_those, may_operate, say
from polling.admin.receivers import pause_all, release_all
from polling.delivery.pausing import subscriptions_of
from polling.models import (
    Alert,
    CallbackRegistration,
    DeliveryAttempt,
    DeliveryState,
    Event,
    Notification,
    PollRun,
    PollState,
    Replay,
    Subscription,
    SubscriptionEvent,
)
from polling.workers.due import PAUSED, poll_now

_HANGING = {
    "Polls": PollState,
    "Runs": PollRun,
    "Events": Event,
    "Subscriptions": Subscription,
    "Judged": SubscriptionEvent,
    "Notifications": Notification,
    "Attempts": DeliveryAttempt,
    "Replays": Replay,
    "Warnings": Alert,
    "Callbacks": CallbackRegistration,
}

admin.site.unregister(Instance)


@admin.register(Instance)
class WatchedInstanceAdmin(InstanceAdmin):
    """Instances, with their polls and deliveries at hand."""

    actions = ("poll_selected_now", "pause_selected", "release_selected")
    readonly_fields: ClassVar[tuple[str, ...]] = (*InstanceAdmin.readonly_fields, "hanging")
    fieldsets: ClassVar[Any] = (*InstanceAdmin.fieldsets, ("What hangs on it", {"fields": ("hanging",)}))

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return whether somebody may use the actions that do something."""
        return may_operate(self, request)

    @admin.action(description="Poll now", permissions=["operate"])
    def poll_selected_now(self, request: HttpRequest, instances: QuerySet[Instance]) -> None:
        """Make all polls of the chosen instances due."""
        count = sum(poll_now(instance) for instance in instances)
        resting = PollState.objects.filter(PAUSED, resource_poll__instance__in=instances)
        polls = ResourcePoll.objects.filter(state__in=resting).select_related("instance")
        unwatched = instances.exclude(resource_polls__state__isnull=False)
        done = f"{counted(count, 'poll is', 'polls are')} due now."
        say(self, request, done, paused=polls, since_watching_has_not_begun=unwatched)

    @admin.action(description="Pause the delivery", permissions=["operate"])
    def pause_selected(self, request: HttpRequest, instances: QuerySet[Instance]) -> None:
        """Keep what comes until it is released."""
        chosen = instances.select_related("organization")
        pause_all(self, request, [each for instance in chosen for each in subscriptions_of(instance)])

    @admin.action(description="Release the delivery", permissions=["operate"])
    def release_selected(self, request: HttpRequest, instances: QuerySet[Instance]) -> None:
        """Go on delivering, the exhausted notifications first."""
        states = DeliveryState.objects.filter(subscription__instance__in=instances)
        release_all(self, request, states)

    @admin.display(description="Show")
    def hanging(self, instance: Instance) -> Any:
        """Link the lists of what hangs on it."""
        links = ((link_to_those(model, name, instance=instance.pk),) for name, model in _HANGING.items())
        return format_html_join(" · ", "{}", links)
