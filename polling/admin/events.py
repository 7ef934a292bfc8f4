"""The event history."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from instances.admin.base import as_key, json_column
from polling.admin.base import ChosenFilter, ResourceFilter, link_column, link_to, list_column, say, sent_again
from polling.admin.keyset_admin import KeysetAdmin, Sought, named
from polling.delivery.replay.replays import replay_notifications
from polling.models import DeliveryAttempt, Event, Notification
from polling.reports.event_search import keys_of_object

MOST_FOUND = 1000
NOT_CARRIED = Q(notification=None)
DISCARDED = Q(notification__state=Notification.State.DISCARDED)


def delivery_of(event: Event) -> str:
    """Say how far the event's notification got."""
    return event.notification.get_state_display() if event.notification else "Not sent"


@admin.register(Event)
class EventAdmin(KeysetAdmin):
    """The history of changes, from the run that found each to the notification that carries it."""

    list_display = ("id", "polled_at", "kind", "title", "object_type", "object_id", "of_instance", "delivery")
    list_filter = (
        *("polled_at", "kind", ResourceFilter, "notification__state"),
        *(("instance", ChosenFilter), ("run", ChosenFilter), ("notification", ChosenFilter)),
    )
    list_select_related = ("instance", "notification")
    deferred = ("record", "changes", "notification__body", "notification__last_error")
    search_fields = ("object_id",)
    search_help_text = "An object id, an event's id, or an instance's name."
    time = "polled_at"
    anchors = ("run", "notification")
    own_index = "instance"
    actions = ("replay_selected",)
    fieldsets = (
        (None, {"fields": ("kind", "title", "object_type", "object_id", "record_id", "instance")}),
        (
            "What happened, in its order",
            {"fields": ("occurred_at", "polled_at", "run", "notification", "delivery", "attempts")},
        ),
        ("What was recorded", {"fields": ("changed_fields", "as_recorded")}),
    )
    readonly_fields = ("delivery", "attempts", "changed_fields", "as_recorded")
    of_instance = link_column("instance", "Instance")
    attempts = list_column("Attempts", DeliveryAttempt, "All attempts", notification="notification_id")
    changed_fields = json_column("changes", "Changed fields")
    as_recorded = json_column("record", "Record")
    csv_columns = {
        "id": lambda event: event.pk,
        "seen": lambda event: event.polled_at,
        "changed": lambda event: event.occurred_at,
        "kind": lambda event: event.kind,
        "resource": lambda event: event.object_type,
        "title": lambda event: event.title,
        "object id": lambda event: event.object_id,
        "instance id": lambda event: event.instance_id,
        "instance": lambda event: event.instance.name,
        "delivery": delivery_of,
        "delivered": lambda event: event.notification and event.notification.delivered_at,
        "webhook-id": lambda event: event.notification and event.notification.webhook_id,
        "run": lambda event: event.run_id,
    }

    def find(self, text: str) -> Sought:
        """Find by object id and by the event's own id; else by the instance's name."""
        keys = keys_of_object(Event.objects.all(), text, MOST_FOUND)
        number = as_key(text)
        if number is not None:
            keys += Event.objects.filter(pk=number).values_list("pk", flat=True)
        return Sought(Q(pk__in=keys) if keys else named(text))

    @admin.action(description="Replay: send their notifications again", permissions=["operate"])
    def replay_selected(self, request: HttpRequest, events: QuerySet[Event]) -> None:
        """Queue the notifications that carry the chosen events to be sent again."""
        carrying = Notification.objects.filter(pk__in=list(events.values_list("notification_id", flat=True)))
        made = replay_notifications(carrying, timezone.now())
        say(
            self,
            request,
            sent_again(made),
            for_no_notification_carries_them=events.filter(NOT_CARRIED),
            for_their_notification_was_discarded=events.filter(DISCARDED),
        )

    @admin.display(description="Delivery")
    def delivery(self, event: Event) -> str:
        """Link the notification by how far it got."""
        return link_to(event.notification, delivery_of(event))
