"""Paused deliveries, receivers and replays."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from cwconnect.core.text import counted
from instances.templatetags.cw import number
from polling.admin.base import ChosenFilter, ReadOnlyAdmin, link_column, link_to_those, list_column, say
from polling.delivery.pausing import pause_by_hand, release
from polling.models import DeliveryState, Notification, Receiver, Replay, Subscription

_ORGANIZATION = "subscription__instance__organization"


@admin.register(DeliveryState)
class DeliveryStateAdmin(ReadOnlyAdmin):
    """Delivery to which subscriptions is paused, and why."""

    list_display = ("subscription", "paused_at", "pause_reason", "last_delivered_at")
    list_filter = (("paused_at", admin.EmptyFieldListFilter), ("receiver", ChosenFilter))
    list_select_related = ("subscription__instance", "receiver")
    search_fields = ("subscription__instance__name", "subscription__name")
    search_help_text = "The name of an instance or of a subscription."
    fields = ("subscription", "receiver", "paused_at", "pause_reason", "last_delivered_at", "notifications", "replays")
    readonly_fields = ("notifications", "replays")
    notifications = list_column("Notifications", Notification, "All of this subscription", subscription="pk")
    actions = ("pause_selected", "release_selected")

    @admin.display(description="Replays")
    def replays(self, state: DeliveryState) -> str:
        """Link what is sent again of its instance."""
        return link_to_those(Replay, "All of this instance", instance=state.subscription.instance_id)

    @admin.action(description="Pause the delivery", permissions=["operate"])
    def pause_selected(self, request: HttpRequest, states: QuerySet[DeliveryState]) -> None:
        """Keep what comes until it is released."""
        pause_all(self, request, [state.subscription for state in states.select_related(_ORGANIZATION)])

    @admin.action(description="Release the delivery", permissions=["operate"])
    def release_selected(self, request: HttpRequest, states: QuerySet[DeliveryState]) -> None:
        """Go on delivering, the exhausted notifications first."""
        release_all(self, request, states)


def pause_all(site: admin.ModelAdmin[Any], request: HttpRequest, subscriptions: list[Subscription]) -> None:
    """Pause delivery to these subscriptions; say which were paused already."""
    now = timezone.now()
    already = [each for each in subscriptions if not pause_by_hand(each, now)]
    done = counted(len(subscriptions) - len(already), "delivery is", "deliveries are")
    say(site, request, f"{done} paused.", paused_already=already)


def release_all(site: admin.ModelAdmin[Any], request: HttpRequest, states: QuerySet[DeliveryState]) -> None:
    """Release these deliveries; say which were not paused."""
    found = list(states.select_related(_ORGANIZATION))
    paused = [state.subscription for state in found if state.paused_at]
    count = sum(release(each, timezone.now()) for each in paused)
    released = counted(len(paused), "delivery is", "deliveries are")
    said = f"{released} released; {counted(count, 'notification is', 'notifications are')} to be sent."
    say(site, request, said, not_paused=[state.subscription for state in found if not state.paused_at])


@admin.register(Replay)
class ReplayAdmin(ReadOnlyAdmin):
    """What was sent again, and how far it came."""

    list_display = ("id", "asked_at", "of_instance", "what", "stage", "total", "delivered", "failed", "left")
    list_filter = (("instance", ChosenFilter),)
    list_select_related = ("instance",)
    ordering = ("-pk",)
    search_fields = ("=instance__name",)
    search_help_text = "An instance's name."
    readonly_fields = ("left", "waiting")
    of_instance = link_column("instance", "Instance")
    waiting = list_column("Notifications", Notification, "Those still to be sent", replay="pk")

    @admin.display(description="Left")
    def left(self, replay: Replay) -> str:
        """Say how many are still to be sent."""
        return number(replay.left)


@admin.register(Receiver)
class ReceiverAdmin(ReadOnlyAdmin):
    """Receivers and their breakers."""

    list_display = ("place", "organization", "failures", "opened_at", "open_until", "holds")
    list_filter = (("open_until", admin.EmptyFieldListFilter),)
    list_select_related = ("organization",)
    search_fields = ("=organization__name", "=delivery_states__subscription__instance__name")
    search_help_text = "An organization's or an instance's name."
    fields = ("place", "organization", "failures", "probes", "opened_at", "open_until", "holds", "used_by")
    readonly_fields = ("place", "used_by")
    used_by = list_column("Deliveries", DeliveryState, "Those that go there", receiver="pk")

    @admin.display(description="URL")
    def place(self, receiver: Receiver) -> str:
        """Show where it is, without the query: that may hold a secret."""
        return str(receiver)
