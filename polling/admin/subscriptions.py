"""Subscriptions, without their secrets, and what became of events for those that read the log."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from cwconnect.outbound.display import bare_url
from instances.admin.base import NOTHING, as_key, json_column
from instances.secrets import MASK
from polling.admin.base import ChosenFilter, ReadOnlyAdmin, link_column, link_to, list_column
from polling.admin.keyset_admin import KeysetAdmin, Sought, named
from polling.admin.receivers import pause_all, release_all
from polling.models import Alert, DeliveryState, Notification, Subscription, SubscriptionEvent


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    """The receivers of instances: where, what, in which form, and how far each has come."""

    list_display = ("name", "of_instance", "place", "enabled", "form", "reads_log", "passed", "held", "deleted_at")
    list_filter = (
        *("enabled", "form", "reads_log", ("deleted_at", admin.EmptyFieldListFilter)),
        ("instance", ChosenFilter),
    )
    list_select_related = ("instance",)
    ordering = ("-pk",)
    search_fields = ("name", "=instance__name")
    search_help_text = "Its own name, or an instance's."
    actions = ("pause_selected", "release_selected")
    fieldsets = (
        (None, {"fields": ("name", "of_instance", "enabled", "deleted_at", "created_at", "updated_at")}),
        ("Receiver", {"fields": ("place", "login", "headers", "signed", "delivery")}),
        (
            "What it wants",
            {"fields": ("wanted", "form", "fields", "mapping", "retry_schedule", "retention_days")},
        ),
        (
            "Of the event log",
            {
                "fields": (
                    *("reads_log", "began_id", "forgotten_id", "reached_id", "catching_up_to"),
                    *("passed", "held", "judged"),
                )
            },
        ),
        ("What hangs on it", {"fields": ("notifications", "warnings")}),
    )
    readonly_fields = (
        *("of_instance", "place", "login", "headers", "signed", "delivery", "wanted", "judged"),
        *("notifications", "warnings"),
    )
    of_instance = link_column("instance", "Instance")
    wanted = json_column("filter", "Filter")
    judged = list_column("Judged", SubscriptionEvent, "What became of events", subscription="pk")
    notifications = list_column("Notifications", Notification, "All of this subscription", subscription="pk")
    warnings = list_column("Warnings", Alert, "All of this subscription", subscription="pk")

    @admin.display(description="URL")
    def place(self, subscription: Subscription) -> str:
        """Show where its notifications go, without the query: that may hold a secret."""
        return bare_url(subscription.notification_settings.callback_url) or NOTHING

    @admin.display(description="Basic login")
    def login(self, subscription: Subscription) -> str:
        """Show by which name it signs in."""
        row = subscription.notification_settings
        return f"{row.basic_username} · {MASK}" if row.basic_username else NOTHING

    @admin.display(description="Further headers")
    def headers(self, subscription: Subscription) -> str:
        """Say whether there are any."""
        return MASK if subscription.notification_settings.callback_headers else NOTHING

    @admin.display(description="Signature key")
    def signed(self, subscription: Subscription) -> str:
        """Say whether there is one."""
        return MASK if subscription.notification_settings.signature_key else NOTHING

    @admin.display(description="Delivery")
    def delivery(self, subscription: Subscription) -> str:
        """Link how its delivery stands."""
        return link_to(DeliveryState.objects.filter(pk=subscription.pk).first())

    @admin.action(description="Pause the delivery", permissions=["operate"])
    def pause_selected(self, request: HttpRequest, subscriptions: QuerySet[Subscription]) -> None:
        """Keep what comes until it is released."""
        living = subscriptions.filter(deleted_at=None)
        pause_all(self, request, list(living.select_related("instance__organization")))

    @admin.action(description="Release the delivery", permissions=["operate"])
    def release_selected(self, request: HttpRequest, subscriptions: QuerySet[Subscription]) -> None:
        """Go on delivering, the exhausted notifications first."""
        release_all(self, request, DeliveryState.objects.filter(subscription__in=subscriptions))


class OutcomeFilter(admin.SimpleListFilter):
    """What became of an event."""

    title = parameter_name = "outcome"
    conditions = {
        "carried": Q(notification__isnull=False),
        "held back": Q(notification=None),
        "let pass unjudged": ~Q(not_judged=""),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer three."""
        return [(word, word.capitalize()) for word in self.conditions]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow to one."""
        condition = self.conditions.get(self.value() or "")
        return queryset if condition is None else queryset.filter(condition)


@admin.register(SubscriptionEvent)
class SubscriptionEventAdmin(KeysetAdmin):
    """What became of each event for each subscription that reads the log."""

    list_display = ("id", "of_subscription", "of_event", "of_notification", "held_by", "not_judged")
    list_filter = (
        OutcomeFilter,
        *(("subscription__instance", ChosenFilter), ("subscription", ChosenFilter)),
        *(("event", ChosenFilter), ("notification", ChosenFilter)),
    )
    list_select_related = ("subscription__instance", "event", "notification")
    deferred = ("event__record", "event__changes", "notification__body", "notification__last_error")
    search_fields = ("event__id",)
    search_help_text = "An event's or a notification's id, or the name of a subscription or an instance."
    time = "id"  # it has no time of its own; ids are in the order of judging
    anchors = ("event", "notification")
    fields = ("of_subscription", "of_event", "of_notification", "held_by", "not_judged")
    readonly_fields = ("of_subscription", "of_event", "of_notification")
    of_subscription = link_column("subscription", "Subscription")
    of_event = link_column("event", "Event")
    of_notification = link_column("notification", "Notification")
    csv_columns = {
        "id": lambda row: row.pk,
        "subscription id": lambda row: row.subscription_id,
        "subscription": lambda row: row.subscription.name,
        "instance id": lambda row: row.subscription.instance_id,
        "instance": lambda row: row.subscription.instance.name,
        "event id": lambda row: row.event_id,
        "notification id": lambda row: row.notification_id,
        "held by": lambda row: row.held_by,
        "not judged": lambda row: row.not_judged,
    }

    def find(self, text: str) -> Sought:
        """Find by event or notification; else by the name of the subscription or the instance."""
        if (number := as_key(text)) is not None:
            return Sought(Q(event=number) | Q(notification=number))
        called = Subscription.objects.filter(name__iexact=text).values_list("pk", flat=True)[:25]
        return Sought(Q(subscription__in=list(called)) | named(text, "subscription__instance"), indexed=False)
