"""Notifications, and the attempts to deliver them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join

from cwconnect.outbound.display import bare_url
from instances.admin.base import NOTHING, ReadOnlyMixin, as_key, json_column
from polling.admin.base import ChosenFilter, ResourceFilter, link_column, link_to, list_column, say, sent_again
from polling.admin.keyset_admin import KeysetAdmin, Sought, named
from polling.delivery.delivery_request import JSON
from polling.delivery.replay.replays import replay_notifications
from polling.delivery.replay.selection import sent_to
from polling.models import DeliveryAttempt, Event, Notification, SubscriptionEvent


class AttemptInline(ReadOnlyMixin, admin.TabularInline[DeliveryAttempt, Notification]):
    """The attempts of a notification, in order."""

    model = DeliveryAttempt
    fields = ("started_at", "seconds", "status", "error_kind", "error", "replay")
    ordering = ("id",)
    show_change_link = True


class EventInline(ReadOnlyMixin, admin.TabularInline[Event, Notification]):
    """The events that a notification carries: ten at most."""

    model = Event
    fields = ("kind", "title", "object_type", "object_id", "occurred_at", "polled_at")
    ordering = ("id",)
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        """Leave the records where they are."""
        return super().get_queryset(request).defer("record", "changes")


class CarriedInline(ReadOnlyMixin, admin.TabularInline[SubscriptionEvent, Notification]):
    """The events that a notification carries which was made of the log: ten at most."""

    model = SubscriptionEvent
    verbose_name_plural = "events"
    fields = ("of_event", "not_judged")
    readonly_fields = ("of_event",)
    ordering = ("event",)
    of_event = link_column("event", "Event")

    def get_queryset(self, request: HttpRequest) -> QuerySet[SubscriptionEvent]:
        """Leave the records where they are."""
        rows = super().get_queryset(request).select_related("event")
        return rows.defer("event__record", "event__changes")


class SubscriptionFilter(ChosenFilter):
    """By subscription: a first one's notifications have none, and its instance."""

    def narrow(self, queryset: QuerySet[Any], key: int) -> QuerySet[Any]:
        """Narrow to what is sent to it."""
        return sent_to(queryset, key)


@admin.register(Notification)
class NotificationAdmin(KeysetAdmin):
    """Notifications with their events and their attempts."""

    list_display = (
        *("webhook_id", "created_at", "state", "object_type", "event_count", "of_instance", "of_subscription"),
        *("step", "next_attempt_at", "last_error"),
    )
    list_filter = (
        *("created_at", "state", ResourceFilter),
        *(("instance", ChosenFilter), ("subscription", SubscriptionFilter), ("replay", ChosenFilter)),
    )
    list_select_related = ("instance", "subscription__instance")
    deferred = ("body",)
    search_fields = ("webhook_id",)
    search_help_text = "A webhook-id, a notification's or an event's id, or an instance's name."
    time = "created_at"
    anchors = ("replay", "subscription")
    own_index = "instance"
    actions = ("replay_selected",)
    fieldsets = (
        (None, {"fields": ("webhook_id", "state", "instance", "subscription", "object_type", "event_count")}),
        (
            "Delivery",
            {
                "fields": (
                    *("created_at", "first_attempt_at", "delivered_at", "step", "next_attempt_at", "last_error"),
                    *("follows", "followed_by", "replay", "warnings", "attempts"),
                )
            },
        ),
        ("What is sent, indented for reading", {"fields": ("sent_as", "as_sent"), "classes": ("collapse",)}),
    )
    readonly_fields = ("followed_by", "warnings", "attempts", "sent_as", "as_sent")
    of_instance = link_column("instance", "Instance")
    of_subscription = link_column("subscription", "Subscription")
    attempts = list_column("Attempts", DeliveryAttempt, "All attempts", notification="pk")
    as_sent = json_column("sent", "Body")
    csv_columns = {
        "webhook-id": lambda sent: sent.webhook_id,
        "id": lambda sent: sent.pk,
        "made": lambda sent: sent.created_at,
        "state": lambda sent: sent.get_state_display(),
        "resource": lambda sent: sent.object_type,
        "events": lambda sent: sent.event_count,
        "instance id": lambda sent: sent.instance_id,
        "instance": lambda sent: sent.instance.name,
        "subscription id": lambda sent: sent.to,
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
            judged = SubscriptionEvent.objects.filter(event=number, notification__isnull=False)
            keys += judged.values_list("notification", flat=True)
            keys += Notification.objects.filter(pk=number).values_list("pk", flat=True)
        return Sought(Q(pk__in=keys) if keys else named(text))

    def get_inlines(self, request: HttpRequest, obj: Notification | None) -> list[Any]:  # Django's signature
        """Show what it carries as it is kept: with its events, or as what was made of the log."""
        made_of_log = obj is not None and obj.shared_body_id is not None
        return [CarriedInline if made_of_log else EventInline, AttemptInline]

    @admin.display(description="Content type")
    def sent_as(self, notification: Notification) -> str:
        """Show what it is sent as."""
        return notification.content_type or JSON

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

    @admin.display(description="Followed by")
    def followed_by(self, notification: Notification) -> str:
        """Link those that wait for it."""
        return _links(notification.followers.order_by("pk")[:5])

    @admin.display(description="Warnings")
    def warnings(self, notification: Notification) -> str:
        """Link the alerts about it."""
        return _links(notification.alerts.order_by("-pk")[:5])


def _links(rows: QuerySet[Any]) -> str:
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
class DeliveryAttemptAdmin(KeysetAdmin):
    """Every POST made."""

    list_display = (
        *("id", "started_at", "status", "error_kind", "seconds"),
        *("of_instance", "of_notification", "replay"),
    )
    list_filter = (
        *("started_at", OutcomeFilter, "replay"),
        *(("notification__instance", ChosenFilter), ("notification", ChosenFilter)),
    )
    list_select_related = ("notification__instance",)
    deferred = ("response", "request_headers", "notification__body", "notification__last_error")
    search_fields = ("notification__webhook_id",)
    search_help_text = "A webhook-id, a notification's id, or an instance's name."
    time = "started_at"
    anchors = ("notification",)
    fieldsets = (
        (None, {"fields": ("notification", "of_instance", "replay")}),
        ("Request", {"fields": ("started_at", "receiver", "headers")}),
        ("Answer", {"fields": ("finished_at", "seconds", "status", "error_kind", "error", "response")}),
    )
    readonly_fields = ("of_instance", "receiver", "headers")
    of_instance = link_column("notification.instance", "Instance")
    of_notification = link_column("notification", "Notification")
    headers = json_column("request_headers", "Headers")  # as stored: without those that hold secrets
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

    @admin.display(description="URL")
    def receiver(self, attempt: DeliveryAttempt) -> str:
        """Show where it went, without the query: that may hold a secret."""
        return bare_url(attempt.url)
