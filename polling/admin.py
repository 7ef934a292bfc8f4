"""The event history and the state of polls and deliveries in Django's admin: to be searched and read, never edited.

An edit by hand would break a promise (an event told, bytes signed, a cursor); what a person may do is an action.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django_q import admin as _queues_own  # noqa: F401  (registers the queue's tables, so that they can be replaced)
from django_q.models import Failure, OrmQ, Schedule, Success

from polling.delivery.pausing import release_delivery
from polling.delivery.replay import replay_notifications
from polling.detection.deletions import dismiss_held, release_held, sweep_now
from polling.models import (
    Alert,
    DeliveryAttempt,
    DeliveryState,
    Event,
    Notification,
    PollRun,
    PollState,
    Receiver,
    Replay,
    Verification,
)
from polling.runtime.due import make_due


def link_to(row: Model | None) -> SafeString | str:
    """Give a link to a row's own page in the admin, or a dash."""
    if row is None:
        return "–"
    meta = row._meta  # noqa: SLF001  (documented API of models)
    return format_html(
        '<a href="{}">{}</a>', reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk]), row
    )


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """A table to look at: nothing is added, changed or deleted here."""

    show_full_result_count = False  # an unbounded count is slow with a million rows
    list_per_page = 50

    class Media:
        """Long JSON without a space would else be cut off at the edge."""

        css = {"all": ("cwconnect/admin.css",)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Rows are written by the service alone."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Shown, not edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Retention deletes, and the instance's own deletion."""
        return False


class AttemptInline(admin.TabularInline[DeliveryAttempt, Notification]):
    """The attempts of a notification, in order."""

    model = DeliveryAttempt
    extra = 0
    can_delete = False
    fields = ("started_at", "seconds", "status", "error_kind", "error", "url")
    readonly_fields = fields
    ordering = ("id",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Attempts are made by deliveries alone."""
        return False


class EventInline(admin.TabularInline[Event, Notification]):
    """The events that a notification carries."""

    model = Event
    extra = 0
    can_delete = False
    fields = ("kind", "object_type", "object_id", "occurred_at", "polled_at")
    readonly_fields = fields
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Events are found by polls alone."""
        return False


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """The history of changes."""

    list_display = ("id", "kind", "object_type", "object_id", "instance", "occurred_at", "polled_at", "delivery")
    list_filter = ("kind", "object_type", "polled_at", "notification__state")
    list_select_related = ("instance", "notification")
    search_fields = ("=object_id", "=instance__name", "=id")
    search_help_text = "An object id, an event's id, or an instance's name."
    date_hierarchy = None
    exclude = ("run", "notification")
    readonly_fields = ("found_by", "told_by", "delivery")

    @admin.display(description="Delivery")
    def delivery(self, event: Event) -> str:
        """Say how far the event's notification got."""
        return event.notification.get_state_display() if event.notification else "–"

    @admin.display(description="Found by run")
    def found_by(self, event: Event) -> SafeString | str:
        """Link the run that found it."""
        return link_to(event.run)

    @admin.display(description="Told by notification")
    def told_by(self, event: Event) -> SafeString | str:
        """Link the notification that tells it."""
        return link_to(event.notification)


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    """Notifications with their attempts."""

    list_display = (
        "webhook_id",
        "state",
        "object_type",
        "event_count",
        "instance",
        "step",
        "next_attempt_at",
        "last_error",
    )
    list_filter = ("state", "object_type", "created_at")
    list_select_related = ("instance",)
    search_fields = ("=webhook_id", "=id", "=instance__name")
    search_help_text = "A webhook-id, a notification's id, or an instance's name."
    exclude = ("lease_token", "lease_until", "follows")
    readonly_fields = ("waits_for",)
    inlines = (EventInline, AttemptInline)
    actions = ("replay_selected",)

    @admin.action(description="Replay: send again", permissions=["view"])
    def replay_selected(self, request: HttpRequest, notifications: QuerySet[Notification]) -> None:
        """Queue the chosen notifications to be sent again, each instance's as one replay."""
        made = replay_notifications(notifications, timezone.now())
        count = sum(replay.total for replay in made)
        self.message_user(request, f"{count} notifications are sent again.", messages.SUCCESS)

    @admin.display(description="Waits for")
    def waits_for(self, notification: Notification) -> SafeString | str:
        """Link the notification that has to go first."""
        return link_to(notification.follows)


@admin.register(DeliveryAttempt)
class DeliveryAttemptAdmin(ReadOnlyAdmin):
    """Every POST made."""

    list_display = ("id", "started_at", "status", "error_kind", "seconds", "url", "notification")
    list_filter = ("status", "error_kind", "started_at")
    list_select_related = ("notification",)
    search_fields = ("=notification__webhook_id", "=notification__id")
    search_help_text = "A webhook-id or a notification's id."


@admin.register(PollRun)
class PollRunAdmin(ReadOnlyAdmin):
    """Runs of polls: what they read, and why one failed."""

    list_display = (
        "id",
        "resource_poll",
        "kind",
        "status",
        "page",
        "records",
        "events",
        "skipped",
        "started_at",
        "error",
    )
    list_filter = ("status", "kind", "started_at")
    list_select_related = ("resource_poll__instance",)
    search_fields = ("=resource_poll__name", "=resource_poll__instance__name")
    search_help_text = "A resource's or an instance's name."


@admin.register(PollState)
class PollStateAdmin(ReadOnlyAdmin):
    """Where each resource poll stands."""

    list_display = (
        *("resource_poll", "health", "last_good_at", "next_poll_at", "failures", "last_error"),
        *("next_sweep_at", "sweep_error"),
    )
    list_filter = ("health",)
    list_select_related = ("resource_poll__instance",)
    search_fields = ("=resource_poll__name", "=resource_poll__instance__name")
    search_help_text = "A resource's or an instance's name."
    exclude = ("lease_token", "site")
    actions = ("poll_selected_now", "sweep_selected_now", "release_held_deletes", "dismiss_held_deletes")

    @admin.action(description="Poll now", permissions=["view"])
    def poll_selected_now(self, request: HttpRequest, polls: QuerySet[PollState]) -> None:
        """Make the chosen polls due."""
        count = make_due(polls)
        self.message_user(request, f"{count} polls are due now.", messages.SUCCESS)

    @admin.action(description="Sweep for deletes now", permissions=["view"])
    def sweep_selected_now(self, request: HttpRequest, polls: QuerySet[PollState]) -> None:
        """Make the chosen polls' sweeps due."""
        self.message_user(request, f"{sweep_now(polls)} sweeps are due now.", messages.SUCCESS)

    @admin.action(description="Release held deletes", permissions=["view"])
    def release_held_deletes(self, request: HttpRequest, polls: QuerySet[PollState]) -> None:
        """Have those that are still gone told."""
        count = sum(release_held(state) for state in polls)
        self.message_user(request, f"{count} deletes are released; a sweep looks for them once more.", messages.SUCCESS)

    @admin.action(description="Dismiss held deletes", permissions=["view"])
    def dismiss_held_deletes(self, request: HttpRequest, polls: QuerySet[PollState]) -> None:
        """Have them not told; the rows stay known."""
        count = sum(dismiss_held(state) for state in polls)
        self.message_user(request, f"{count} deletes are dismissed.", messages.SUCCESS)


@admin.register(DeliveryState)
class DeliveryStateAdmin(ReadOnlyAdmin):
    """Which instances' delivery is paused, and why."""

    list_display = ("instance", "paused_at", "pause_reason", "last_delivered_at")
    list_filter = ("paused_at",)
    list_select_related = ("instance",)
    search_fields = ("=instance__name",)
    actions = ("release_selected",)

    @admin.action(description="Release the delivery", permissions=["view"])
    def release_selected(self, request: HttpRequest, states: QuerySet[DeliveryState]) -> None:
        """Go on delivering, the exhausted notifications first."""
        count = sum(release_delivery(state.instance, timezone.now()) for state in states.select_related("instance"))
        self.message_user(request, f"{count} notifications are to be sent.", messages.SUCCESS)


@admin.register(Replay)
class ReplayAdmin(ReadOnlyAdmin):
    """What was sent again, and how far it came."""

    list_display = ("id", "instance", "what", "stage", "total", "delivered", "failed", "left", "asked_at")
    list_select_related = ("instance",)
    search_fields = ("=instance__name",)


@admin.register(Verification)
class VerificationAdmin(ReadOnlyAdmin):
    """Comparisons with ConnectWise, how far they came and what they found."""

    list_display = ("id", "resource_poll", "status", "source", "error", "asked_at", "finished_at")
    list_filter = ("status", "asked_at")
    list_select_related = ("resource_poll__instance",)
    search_fields = ("=resource_poll__instance__name",)
    exclude = ("comparison",)


@admin.register(Receiver)
class ReceiverAdmin(ReadOnlyAdmin):
    """Receivers and their breakers."""

    list_display = ("url", "organization", "failures", "opened_at", "open_until", "holds")
    list_filter = ("opened_at",)
    list_select_related = ("organization",)
    search_fields = ("url",)
    exclude = ("url_hash",)


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Warnings to the operator."""

    list_display = ("kind", "organization", "instance", "text", "created_at", "resolved_at")
    list_filter = ("kind", "resolved_at", "created_at")
    list_select_related = ("organization", "instance")
    search_fields = ("=instance__name",)


def show_queue_read_only() -> None:
    """Replace the queue's own admin: a schedule added there runs any function, and without ours nobody looks."""
    for model in (Schedule, Success, Failure, OrmQ):
        if admin.site.is_registered(model):  # OrmQ is not where Redis is the broker
            theirs = type(admin.site.get_model_admin(model))
            admin.site.unregister(model)
            admin.site.register(model, type(theirs.__name__, (ReadOnlyAdmin, theirs), {"actions": ()}))


show_queue_read_only()
