"""Copies of resources in the admin: how far each came. Their records are downloaded on the pages alone."""

from __future__ import annotations

from django.contrib import admin

from polling.admin.base import ChosenFilter, ReadOnlyAdmin, link_column
from polling.models import Copy


@admin.register(Copy)
class CopyAdmin(ReadOnlyAdmin):
    """Copies, and what became of them."""

    list_display = ("id", "of_instance", "resource", "status", "records", "failed", "size", "asked_at", "expires_at")
    list_filter = ("status", ("instance", ChosenFilter))
    list_select_related = ("instance",)
    ordering = ("-pk",)
    deferred = ("columns", "notes", "query", "params", "mapping")
    fields = (
        *("of_instance", "actor", "query", "status", "error", "records", "failed", "total", "notes", "pages", "size"),
        *("asked_at", "started_at", "finished_at", "expires_at", "next_try_at", "failures"),
        *("watched_poll", "watched_from", "watches_deletes"),
    )
    readonly_fields = ("of_instance",)
    of_instance = link_column("instance", "Instance")
