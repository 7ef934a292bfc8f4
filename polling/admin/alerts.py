"""Warnings, where organizations want them sent, and what is muted."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet

from instances.admin.base import ReadOnlyMixin
from polling.admin.base import ChosenFilter, ReadOnlyAdmin, link_column
from polling.alerts.delivery_alerts import of_delivery
from polling.models import Alert, AlertDestination, AlertMute, AlertSend, Subscription


class SendInline(ReadOnlyMixin, admin.TabularInline[AlertSend, Alert]):
    """Where a warning went."""

    model = AlertSend
    fields = ("place", "state", "tries", "next_try_at", "sent_at", "error")
    readonly_fields = fields


class SubscriptionFilter(ChosenFilter):
    """By subscription: a first one's warnings have none, and its instance."""

    def narrow(self, queryset: QuerySet[Any], key: int) -> QuerySet[Any]:
        """Narrow to what warns of delivery to it."""
        found = Subscription.objects.filter(pk=key).first()
        return queryset.none() if found is None else queryset.filter(pk__in=of_delivery(found).values("pk"))


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Warnings, once per episode."""

    list_display = ("kind", "created_at", "resolved_at", "of_instance", "of_subscription", "text")
    list_filter = (
        *("kind", ("resolved_at", admin.EmptyFieldListFilter)),
        *(("instance", ChosenFilter), ("subscription", SubscriptionFilter)),
    )
    list_select_related = ("organization", "instance", "subscription__instance")
    ordering = ("-pk",)
    search_fields = ("=instance__name", "=organization__name")
    search_help_text = "An instance's or an organization's name."
    of_instance = link_column("instance", "Instance")
    of_subscription = link_column("subscription", "Subscription")
    inlines: ClassVar = [SendInline]


@admin.register(AlertDestination)
class AlertDestinationAdmin(ReadOnlyAdmin):
    """Where warnings go; of a URL only where it leads."""

    list_display = ("name", "organization", "kind", "enabled", "last_sent_at", "last_error")
    list_filter = ("kind", "enabled")
    list_select_related = ("organization",)
    exclude = ("url",)
    search_fields = ("name", "=organization__name")
    search_help_text = "Its own name, or an organization's."


@admin.register(AlertMute)
class AlertMuteAdmin(ReadOnlyAdmin):
    """What is muted, and until when."""

    list_display = ("__str__", "organization", "until", "created_by", "created_at")
    list_select_related = ("organization", "instance")
