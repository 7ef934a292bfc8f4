"""The admin's view of who we connect to. Secrets are never shown, connections are changed through the API alone.

A connection is proven and its high-water ids are taken before it is stored (provisioning.py); edits here would skip it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from axes.admin import AccessAttemptAdmin
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.forms import BaseInlineFormSet, CharField, ModelForm
from django.http import HttpRequest

from cwconnect.core.form_fields import check_name
from cwconnect.outbound.display import bare_url
from instances import audit
from instances.admin.base import LookedAt, ReadOnlyMixin, UneditedMixin, as_key, json_column
from instances.audit import Action
from instances.models import ApiUser, AuditEntry, Instance, Membership, Organization, ResourcePoll, Transformation
from instances.provisioning import delete_instance, delete_organization

_ORGANIZATIONS = 25

admin.site.site_header = admin.site.site_title = "cwconnect"
admin.site.index_title = "What is watched, and who is notified"
admin.site.enable_nav_sidebar = False  # lists need its width; every page links home


class OrganizationFilter(admin.SimpleListFilter):
    """By organization: the first few by name, there may be thousands; the search finds the others."""

    title = parameter_name = "organization"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the first few, and the one that is chosen."""
        first = list(Organization.objects.order_by("name").values_list("pk", "name")[:_ORGANIZATIONS])
        return [(str(key), name) for key, name in first]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow to it."""
        chosen = self.value() or ""
        if not chosen:
            return queryset
        key = as_key(chosen)
        return queryset.none() if key is None else queryset.filter(organization=key)


class ActionFilter(admin.SimpleListFilter):
    """By what was done: the words there are, not those that a long table holds."""

    title = parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer all."""
        return [(action.value, action.value) for action in Action]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow to it."""
        return queryset.filter(action=self.value()) if self.value() else queryset


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


class SeenNamesMixin:
    """Has names of people, organizations and programs hold nothing that nobody sees."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the field's form field, its text judged as the pages judge names."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]  # ModelAdmin's, mixed in
        if isinstance(field, CharField):
            field.validators.append(check_name)
        return field


class _NamedCells(BaseInlineFormSet[Membership, Organization, ModelForm[Membership]]):
    """Names each cell of a table by its column: the head alone does so for nobody who can't see it."""

    def add_fields(self, form: Any, index: int | None) -> None:
        """Name the fields of one row."""
        super().add_fields(form, index)
        for field in form.fields.values():
            field.widget.attrs["aria-label"] = field.label


class MembershipInline(admin.TabularInline[Membership, Organization]):
    """The people of an organization."""

    model = Membership
    formset = _NamedCells
    extra = 0
    autocomplete_fields = ("account",)


@admin.display(boolean=True, description="Has a secret")
def has_secret(caller: Organization | ApiUser) -> bool:
    """Say whether it can call the API (manage.py issue_secrets)."""
    return caller.secret_hash is not None


@admin.register(Organization)
class OrganizationAdmin(LookedAt, SeenNamesMixin, AuditedMixin, admin.ModelAdmin[Organization]):
    """Tenants."""

    list_display = ("name", has_secret, "created_at")
    search_fields = ("name",)
    inlines = (MembershipInline,)

    def delete_model(self, request: HttpRequest, obj: Organization) -> None:  # Django's signature
        """Delete it, and its instances as the API does."""
        delete_organization(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Organization]) -> None:  # Django's signature
        """Delete them, and their instances as the API does."""
        for organization in queryset:
            delete_organization(organization)


@admin.register(ApiUser)
class ApiUserAdmin(LookedAt, SeenNamesMixin, AuditedMixin, admin.ModelAdmin[ApiUser]):
    """Callers of the REST API."""

    list_display = ("name", "organization", has_secret, "effective_scope", "expires_at", "created_at")
    list_select_related = ("organization",)
    list_filter = (OrganizationFilter,)
    search_fields = ("name", "organization__name")
    autocomplete_fields = ("organization",)
    exclude = ("scope", "may_write", "writes_to_connectwise", "networks", "instance_ids")
    limits = (
        "effective_scope",
        "networks_text",
        "instances_text",
        "expires_at",
        "last_four",
        "made_by",
        "last_used_at",
    )
    networks_text = json_column("networks", "Good from")
    instances_text = json_column("instance_ids", "For the instances")

    @admin.display(description="Scope")
    def effective_scope(self, user: ApiUser) -> str:
        """Show what the key may do."""
        return user.effective_scope.value

    def get_readonly_fields(self, request: HttpRequest, obj: ApiUser | None = None) -> tuple[str, ...]:
        """Fix what its key is limited to, as was said when it was made; of a user that there is also the organization.

        Moved, its secret would open another tenant's instances.
        """
        return self.limits if obj is None else (*self.limits, "organization")


class ResourcePollInline(UneditedMixin, admin.StackedInline[ResourcePoll, Instance]):
    """What an instance watches, as its configuration says."""

    model = ResourcePoll
    extra = 0
    can_delete = False
    fields = ("name", "enabled", "since", "high_water_id", "settings_text")
    readonly_fields = fields
    settings_text = json_column("configuration", "Configuration")


class TransformationInline(UneditedMixin, admin.TabularInline[Transformation, Instance]):
    """Field mappings of an instance, to look at."""

    model = Transformation
    fields = ("name", "vendor_name", "fields_text", "configuration_text")
    readonly_fields = fields
    fields_text = json_column("fields", "Fields")
    configuration_text = json_column("configuration", "Configuration")


@admin.register(Instance)
class InstanceAdmin(LookedAt, AuditedMixin, UneditedMixin, admin.ModelAdmin[Instance]):
    """Connections to ConnectWise companies: to look at, and to delete."""

    list_display = ("name", "id", "organization", "company", "events_enabled", "disabled", "created_at")
    list_select_related = ("organization",)
    list_filter = ("events_enabled", "disabled", OrganizationFilter)
    ordering = ("-pk",)
    search_fields = ("name", "=id", "company", "base_url", "organization__name")
    search_help_text = "A part of the name, of the company, of ConnectWise's URL or of the organization; or the id."
    readonly_fields: ClassVar[tuple[str, ...]] = ("callback", "token_networks_text")
    token_networks_text = json_column("token_networks", "Good from")
    inlines = (ResourcePollInline, TransformationInline)
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("name", "tags", "organization", "created_by", "disabled")}),
        ("ConnectWise", {"fields": ("base_url", "company", "client_id", "filter_nulls")}),
        (
            "Events",
            {"fields": ("events_enabled", "callback", "basic_username", "refresh_interval", "callbacks_enabled")},
        ),
        ("Hub", {"fields": ("writes_enabled",)}),
        ("Token", {"fields": ("token_scope", "token_networks_text", "token_expires_at", "previous_token_until")}),
        ("Times", {"fields": ("created_at", "updated_at")}),
    )

    @admin.display(description="Callback URL")
    def callback(self, instance: Instance) -> str:
        """Show where events go, without the query: that may hold a secret."""
        return bare_url(instance.callback_url)

    def delete_model(self, request: HttpRequest, obj: Instance) -> None:  # Django's signature
        """Delete it as the API does."""
        delete_instance(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Instance]) -> None:  # Django's signature
        """Delete them as the API does."""
        for instance in queryset:
            delete_instance(instance)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[Any, Any], set[Any], list[Any]]:
        """Name the instances alone: their records and events go with them, and are too many to be listed."""
        names = [str(instance) for instance in objs]
        return names, {"instances with all their polls, events and notifications": len(names)}, set(), []


admin.site.unregister((User, Group))
# The issuer is a setting, no token is kept and no address is stored a second time: these tables of allauth's are empty.
# The other holds whom an issuer signs in, which the person alone links, or what the issuer has signed.
admin.site.unregister((EmailAddress, SocialAccount, SocialApp, SocialToken))
admin.site.unregister(Authenticator)  # its person's alone: what takes one away by hand is manage.py let_in
admin.site.unregister((AccessAttempt, AccessLog, AccessFailureLog))  # the latter two are never written here


@admin.register(User)
class AuditedUserAdmin(SeenNamesMixin, AuditedMixin, UserAdmin[User]):
    """Accounts, as Django has them, with what is done to them on record. The times are the service's to write."""

    readonly_fields = ("last_login", "date_joined")


@admin.register(AccessAttempt)
class AuditedAttemptAdmin(AuditedMixin, AccessAttemptAdmin):  # type: ignore[misc]  # axes has no annotations
    """Failed sign-ins that still count: to delete one lets its address try again, and is on record."""


@admin.register(Group)
class AuditedGroupAdmin(SeenNamesMixin, AuditedMixin, GroupAdmin):
    """Groups, as Django has them, with what is done to them on record."""


@admin.register(AuditEntry)
class AuditEntryAdmin(LookedAt, ReadOnlyMixin, admin.ModelAdmin[AuditEntry]):
    """Who changed what: to be read, by nobody to be changed or deleted."""

    list_display = ("at", "actor", "action", "subject", "organization")
    list_select_related = ("organization",)
    list_filter = (ActionFilter, "at", OrganizationFilter)
    ordering = ("-pk",)
    search_fields = ("actor", "subject", "=request_id")
    fields = ("at", "actor", "action", "subject", "details_text", "organization", "request_id")
    readonly_fields = fields
    details_text = json_column("details", "Details")
