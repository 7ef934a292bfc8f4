"""The admin's view of who we connect to. Secrets are never shown, connections are changed through the API alone.

A connection is proven and its marks are taken before it is stored (provisioning.py); an edit here would skip that.
"""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest

from instances import audit
from instances.audit import Action
from instances.models import ApiUser, AuditEntry, Instance, Membership, Organization, ResourcePoll

admin.site.site_header = admin.site.site_title = "cwconnect"
admin.site.index_title = "What is watched, and who is told"


class ReadOnlyMixin:
    """Rows that only the service itself writes."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:  # Django's signature
        """Nobody adds one by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # Django's signature
        """Nobody edits one by hand."""
        return False


class AuditedMixin:
    """Has what is done in the admin recorded in our own log too: Django's knows only what was done here."""

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:  # Django's signature
        """Record what was added."""
        _record("added", obj)
        return super().log_addition(request, obj, message)  # type: ignore[misc]  # ModelAdmin's, mixed in

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:  # Django's signature
        """Record what was changed, by the names of the fields."""
        _record("changed", obj, fields=message)
        return super().log_change(request, obj, message)  # type: ignore[misc]  # ModelAdmin's, mixed in

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:  # Django's signature
        """Record what is about to be deleted."""
        for obj in queryset:
            _record("deleted", obj)
        return super().log_deletions(request, queryset)  # type: ignore[misc]  # ModelAdmin's, mixed in


def _record(how: str, obj: Any, **details: Any) -> None:
    subject = f"{obj._meta.verbose_name} {obj}"  # noqa: SLF001  (documented API of models)
    organization = obj if isinstance(obj, Organization) else getattr(obj, "organization", None)
    if how == "deleted" and organization is obj:
        organization = None  # the row that it would point to is about to go
    audit.record(Action.ADMIN, subject, organization=organization, details={"how": how, **details})


class MembershipInline(admin.TabularInline[Membership, Organization]):
    """The people of an organization."""

    model = Membership
    extra = 0
    autocomplete_fields = ("account",)


@admin.register(Organization)
class OrganizationAdmin(AuditedMixin, admin.ModelAdmin[Organization]):
    """Tenants."""

    list_display = ("name", "has_secret", "created_at")
    search_fields = ("name",)
    inlines = (MembershipInline,)

    @admin.display(boolean=True, description="Has a secret")
    def has_secret(self, organization: Organization) -> bool:
        """Whether its users can call the API (manage.py issue_secrets)."""
        return organization.secret_hash is not None


@admin.register(ApiUser)
class ApiUserAdmin(AuditedMixin, admin.ModelAdmin[ApiUser]):
    """Callers of the REST API."""

    list_display = ("name", "organization", "has_secret", "created_at")
    list_select_related = ("organization",)
    list_filter = ("organization",)
    search_fields = ("name", "organization__name")
    autocomplete_fields = ("organization",)

    def get_readonly_fields(self, request: HttpRequest, obj: ApiUser | None = None) -> tuple[str, ...]:
        """Fix the organization once there is a user: moved, its secret would open another tenant's door."""
        return () if obj is None else ("organization",)

    @admin.display(boolean=True, description="Has a secret")
    def has_secret(self, user: ApiUser) -> bool:
        """Whether the user can call the API (manage.py issue_secrets)."""
        return user.secret_hash is not None


class ResourcePollInline(ReadOnlyMixin, admin.StackedInline[ResourcePoll, Instance]):
    """What an instance watches, as its configuration says."""

    model = ResourcePoll
    extra = 0
    can_delete = False
    fields = ("name", "enabled", "since", "mark", "settings_text")
    readonly_fields = fields

    @admin.display(description="Configuration")
    def settings_text(self, poll: ResourcePoll) -> str:
        """The configuration as it was given, for reading."""
        return json.dumps(poll.configuration, indent=2, ensure_ascii=False)


@admin.register(Instance)
class InstanceAdmin(AuditedMixin, ReadOnlyMixin, admin.ModelAdmin[Instance]):
    """Connections to ConnectWise companies: to look at, and to delete."""

    list_display = ("name", "id", "organization", "company", "events_enabled", "disabled", "created_at")
    list_select_related = ("organization",)
    list_filter = ("events_enabled", "disabled", "organization")
    search_fields = ("name", "=id", "company", "base_url", "callback_url", "organization__name")
    inlines = (ResourcePollInline,)
    fieldsets = (
        (None, {"fields": ("name", "tags", "organization", "created_by", "disabled")}),
        ("ConnectWise", {"fields": ("base_url", "company", "client_id", "filter_nulls")}),
        ("Events", {"fields": ("events_enabled", "callback_url", "basic_username", "refresh_interval")}),
        ("Times", {"fields": ("created_at", "updated_at")}),
    )

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[Any, Any], set[Any], list[Any]]:
        """Name the instances alone: their records and events go with them, and are too many to be listed."""
        names = [str(instance) for instance in objs]
        return names, {"instances with all their polls, events and notifications": len(names)}, set(), []


admin.site.unregister((User, Group))


@admin.register(User)
class AuditedUserAdmin(AuditedMixin, UserAdmin[User]):
    """Accounts, as Django has them, with what is done to them on record."""


@admin.register(Group)
class AuditedGroupAdmin(AuditedMixin, GroupAdmin):
    """Groups, as Django has them, with what is done to them on record."""


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyMixin, admin.ModelAdmin[AuditEntry]):
    """Who changed what: to be read, by nobody to be changed or deleted."""

    list_display = ("at", "actor", "action", "subject", "organization")
    list_select_related = ("organization",)
    list_filter = ("action", "at", "organization")
    search_fields = ("actor", "subject", "=request_id")
    show_full_result_count = False
    fields = ("at", "actor", "action", "subject", "details_text", "organization", "request_id")
    readonly_fields = fields

    @admin.display(description="Details")
    def details_text(self, entry: AuditEntry) -> str:
        """Which fields changed, for reading."""
        return json.dumps(entry.details, indent=2, ensure_ascii=False)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # Django's signature
        """Nobody deletes one."""
        return False
