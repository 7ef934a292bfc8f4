"""Notifications, and the attempts to deliver them."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join

from cwconnect.outbound.display import bare_url
from instances.admin import as_key, indented
from polling.admin.base import NOTHING, ResourceFilter, chosen_by, link_to, link_to_those, say, sent_again
from polling.admin.keyset_admin import (
    KeysetAdmin,
    Shown,
    Sought,
    named,
)
from polling.delivery.replay.replays import replay_notifications
from polling.models import DeliveryAttempt, Event, Notification, Replay


class _Inline:
    """Rows below another, to be read: Django's own table is for editing, and has a head without words."""

    template = "admin/rows_below.html"
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The service alone adds them."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits them."""
        return False


class _Attempts:
    """What a list and a table of attempts both show."""

    @admin.display(description="As a replay")
    def as_replay(self, attempt: DeliveryAttempt) -> str:
        """Return whether it was marked as a replay."""
        return "yes" if attempt.replay else NOTHING


class AttemptInline(_Inline, _Attempts, admin.TabularInline[DeliveryAttempt, Notification]):
    """The attempts of a notification, in order."""

    model = DeliveryAttempt
    fields = ("started_at", "seconds", "status", "error_kind", "error", "as_replay")
    readonly_fields = fields
    ordering = ("id",)


class EventInline(_Inline, admin.TabularInline[Event, Notification]):
    """The events that a notification carries: ten at most."""

    model = Event
    fields = ("kind", "object_type", "object_id", "occurred_at", "polled_at")
    readonly_fields = fields
    ordering = ("id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        """Leave the records where they are."""
        return super().get_queryset(request).defer("record", "changes")


@admin.register(Notification)
class NotificationAdmin(KeysetAdmin):
    """Notifications with their events and their attempts."""

    list_display = (
        *("webhook_id", "created_at", "state", "object_type", "event_count", "of_instance"),
        *("step", "next_attempt_at", "last_error"),
    )
    list_filter = ("state", ResourceFilter, chosen_by("instance"), chosen_by("replay", Replay))
    list_select_related = ("instance",)
    deferred = ("body",)
    search_fields = ("webhook_id",)
    search_help_text = "A webhook-id, a notification's or an event's id, or an instance's name."
    date_hierarchy = "created_at"
    anchors = ("replay",)
    own_index = "instance"
    inlines = (EventInline, AttemptInline)
    actions = ("replay_selected", "export_selected")
    fieldsets = (
        (None, {"fields": ("webhook_id", "state", "instance", "object_type", "event_count")}),
        (
            "Delivery",
            {
                "fields": (
                    *("created_at", "first_attempt_at", "delivered_at", "step", "next_attempt_at", "last_error"),
                    *("waits_for", "followed_by", "replay", "warnings", "tried"),
                )
            },
        ),
        ("What is sent, indented for reading", {"fields": ("as_sent",), "classes": ("collapse",)}),
    )
    readonly_fields = ("waits_for", "followed_by", "warnings", "tried", "as_sent")
    csv_columns = {
        "webhook-id": lambda sent: sent.webhook_id,
        "id": lambda sent: sent.pk,
        "made": lambda sent: sent.created_at,
        "state": lambda sent: sent.get_state_display(),
        "resource": lambda sent: sent.object_type,
        "events": lambda sent: sent.event_count,
        "instance id": lambda sent: sent.instance_id,
        "instance": lambda sent: sent.instance.name,
        "steps used": lambda sent: sent.step,
        "first attempt": lambda sent: sent.first_attempt_at,
        "next attempt": lambda sent: sent.next_attempt_at,
        "delivered": lambda sent: sent.delivered_at,
        "last error": lambda sent: sent.last_error,
    }

    def find(self, text: str) -> Sought:
        """Find by webhook-id or by number; else by the instance's name."""
        keys = list(Notification.objects.filter(webhook_id=text).values_list("pk", flat=True))
        number = as_key(text)
        if number is not None:
            keys += Event.objects.filter(pk=number, notification__isnull=False).values_list("notification", flat=True)
            keys += Notification.objects.filter(pk=number).values_list("pk", flat=True)
        return Sought(Q(pk__in=keys) if keys else named(text))

    @admin.action(description="Replay: send again", permissions=["operate"])
    def replay_selected(self, request: HttpRequest, notifications: QuerySet[Notification]) -> None:
        """Queue the chosen notifications to be sent again, each instance's as one replay."""
        made = replay_notifications(notifications, timezone.now())
        say(
            self,
            request,
            sent_again(made),
            discarded=notifications.filter(state=Notification.State.DISCARDED),
        )

    @admin.display(description="Instance")
    def of_instance(self, notification: Notification) -> Shown:
        """Link the instance."""
        return link_to(notification.instance, notification.instance.name)

    @admin.display(description="Waits for")
    def waits_for(self, notification: Notification) -> Shown:
        """Link the notification that has to go first."""
        return link_to(notification.follows)

    @admin.display(description="Followed by")
    def followed_by(self, notification: Notification) -> Shown:
        """Link those that wait for it."""
        return _links(notification.followers.order_by("pk")[:5])

    @admin.display(description="Warnings")
    def warnings(self, notification: Notification) -> Shown:
        """Link the alerts about it."""
        return _links(notification.alerts.order_by("-pk")[:5])

    @admin.display(description="Attempts")
    def tried(self, notification: Notification) -> Shown:
        """Link the list of its attempts."""
        return link_to_those(DeliveryAttempt, "All attempts", notification=notification.pk)

    @admin.display(description="Body")
    def as_sent(self, notification: Notification) -> Shown:
        """Show the body, indented."""
        return indented(notification.body)


def _links(rows: QuerySet[Any]) -> Shown:
    return format_html_join(", ", "{}", ((link_to(row),) for row in rows)) or NOTHING


class OutcomeFilter(admin.SimpleListFilter):
    """What came of an attempt."""

    title = parameter_name = "outcome"
    conditions = {
        "arrived": Q(error_kind="", finished_at__isnull=False),
        "failed": ~Q(error_kind=""),
        "without an end": Q(finished_at=None),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer three."""
        return [(word, word.capitalize()) for word in self.conditions]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow to one."""
        condition = self.conditions.get(self.value() or "")
        return queryset if condition is None else queryset.filter(condition)


@admin.register(DeliveryAttempt)
class DeliveryAttemptAdmin(_Attempts, KeysetAdmin):
    """Every POST made."""

    list_display = (
        "id",
        "started_at",
        "status",
        "error_kind",
        "seconds",
        "of_instance",
        "of_notification",
        "as_replay",
    )
    list_filter = (
        OutcomeFilter,
        "replay",
        chosen_by("notification__instance"),
        chosen_by("notification", Notification),
    )
    list_select_related = ("notification__instance",)
    deferred = ("response", "request_headers", "notification__body", "notification__last_error")
    search_fields = ("notification__webhook_id",)
    search_help_text = "A webhook-id, a notification's id, or an instance's name."
    date_hierarchy = "started_at"
    anchors = ("notification",)
    fieldsets = (
        (None, {"fields": ("notification", "of_instance", "as_replay")}),
        ("Request", {"fields": ("started_at", "receiver", "headers")}),
        ("Answer", {"fields": ("finished_at", "seconds", "status", "error_kind", "error", "response")}),
    )
    readonly_fields = ("of_instance", "receiver", "headers", "as_replay")
    csv_columns = {
        "id": lambda attempt: attempt.pk,
        "began": lambda attempt: attempt.started_at,
        "ended": lambda attempt: attempt.finished_at,
        "seconds": lambda attempt: attempt.seconds,
        "status": lambda attempt: attempt.status,
        "error": lambda attempt: attempt.error,
        "url": lambda attempt: bare_url(attempt.url),
        "replay": lambda attempt: attempt.replay,
        "webhook-id": lambda attempt: attempt.notification.webhook_id,
        "instance id": lambda attempt: attempt.notification.instance_id,
        "instance": lambda attempt: attempt.notification.instance.name,
    }

    def find(self, text: str) -> Sought:
        """Find by notification; else by the instance's name."""
        number = as_key(text)
        own = Q(webhook_id=text) if number is None else Q(pk=number)
        keys = list(Notification.objects.filter(own).values_list("pk", flat=True))
        return Sought(Q(notification__in=keys)) if keys else Sought(named(text, "notification__instance"), False)

    @admin.display(description="Instance")
    def of_instance(self, attempt: DeliveryAttempt) -> Shown:
        """Link the instance."""
        return link_to(attempt.notification.instance, attempt.notification.instance.name)

    @admin.display(description="Notification")
    def of_notification(self, attempt: DeliveryAttempt) -> Shown:
        """Link the notification."""
        return link_to(attempt.notification)

    @admin.display(description="URL")
    def receiver(self, attempt: DeliveryAttempt) -> str:
        """Show where it went, without the query: that may hold a secret."""
        return bare_url(attempt.url)

    @admin.display(description="Headers")
    def headers(self, attempt: DeliveryAttempt) -> Shown:
        """Show the headers sent, without those that hold secrets."""
        return indented(json.dumps(attempt.request_headers))
