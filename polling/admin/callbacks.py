"""ConnectWise's callbacks in the admin: where an instance's arrive, without the token, and what is registered."""

from __future__ import annotations

from django.contrib import admin

from polling.admin.base import ChosenFilter, ReadOnlyAdmin, link_column, list_column
from polling.models import CallbackEndpoint, CallbackRegistration


@admin.register(CallbackEndpoint)
class CallbackEndpointAdmin(ReadOnlyAdmin):
    """Endpoints, and how the comparison of their registrations fares."""

    list_display = ("pk", "of_instance", "url", "compared_at", "next_compare_at", "failures", "error")
    list_filter = (("error", admin.EmptyFieldListFilter), ("instance", ChosenFilter))
    list_select_related = ("instance",)
    ordering = ("-pk",)
    search_fields = ("=instance__name",)
    search_help_text = "An instance's name."
    fields = ("of_instance", "url", "compared_at", "next_compare_at", "failures", "error", "key_error", "registered")
    readonly_fields = ("of_instance", "registered")
    of_instance = link_column("instance", "Instance")
    registered = list_column("Registrations", CallbackRegistration, "Those of this instance", instance="pk")


@admin.register(CallbackRegistration)
class CallbackRegistrationAdmin(ReadOnlyAdmin):
    """Registrations: wanted, made, or refused."""

    list_display = ("id", "of_instance", "type", "status", "entry_id", "active_since", "error")
    list_filter = ("status", ("instance", ChosenFilter))
    list_select_related = ("instance",)
    ordering = ("-pk",)
    search_fields = ("=instance__name",)
    search_help_text = "An instance's name."
    of_instance = link_column("instance", "Instance")
