"""The event history."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from cwconnect.core.hanging_rows import read_rows
from instances.admin.base import as_key, json_column
from polling.admin.base import ChosenFilter, ResourceFilter, link_column, link_to, list_column, say, sent_again
from polling.admin.keyset_admin import KeysetAdmin, Sought, named
from polling.delivery.replay.replays import replay_notifications
from polling.models import DeliveryAttempt, Event, Notification, SubscriptionEvent
from polling.reports.event_search import keys_of_object
from polling.reports.event_states import carriers_of, state_of, with_states

MOST_FOUND = 1000
_CARRIED = SubscriptionEvent.objects.filter(event=OuterRef("pk"), notification__isnull=False)
NOT_CARRIED = Q(~Exists(_CARRIED), notification=None)
DISCARDED = Q(~Exists(_CARRIED), notification__state=Notification.State.DISCARDED)


def delivery_of(event: Any) -> str:
    """Say how far the event's notifications got."""
    found = state_of(event)
    if event.notification is not None and not read_rows(event.carriers):
        return str(event.notification.get_state_display())
    several = f", {found.delivered} of {found.sent} delivered" if found.is_several else ""
    return f"{found.word.capitalize()}{several}"


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
            {"fields": ("occurred_at", "polled_at", "run", "notification", "delivery", "judged", "attempts")},
        ),
        ("What was recorded", {"fields": ("changed_fields", "as_recorded")}),
    )
    readonly_fields = ("delivery", "judged", "attempts", "changed_fields", "as_recorded")
    of_instance = link_column("instance", "Instance")
    attempts = list_column("Attempts", DeliveryAttempt, "All attempts", notification="notification_id")
    judged = list_column("Judged", SubscriptionEvent, "For subscriptions that read the log", event="pk")
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
        "webhook-id": lambda event: " ".join(each.webhook_id for each in carriers_of(event)),
        "run": lambda event: event.run_id,
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return events that say what became of them."""
        return with_states(super().get_queryset(request))

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
        own = events.filter(notification__isnull=False).values_list("notification", flat=True)
        judged = SubscriptionEvent.objects.filter(event__in=list(events.values_list("pk", flat=True)))
        of_log = judged.filter(notification__isnull=False).values_list("notification", flat=True)
        carrying = Notification.objects.filter(pk__in={*own, *of_log}).of_living()
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
