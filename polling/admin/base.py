"""What all of the admin shares: tables to look at, links between their rows, and how an action says what it did."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from cwconnect.core.text import counted
from instances.admin import LookedAt, as_key
from instances.models import Instance, ResourcePoll
from polling.models import Replay

NOTHING = "–"
_NAMED = 5
_CHOICES = 100


def page_of(model: type[Model], what: str, *args: Any) -> str:
    """Return the address of one of a model's pages in the admin: `changelist`, `change`, …"""
    meta = model._meta  # noqa: SLF001  (documented API of models)
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{what}", args=args)


def link_to(row: Model | None, text: object = None) -> SafeString | str:
    """Return a link to a row's own page in the admin, or a dash."""
    if row is None:
        return NOTHING
    return format_html('<a href="{}">{}</a>', page_of(type(row), "change", row.pk), text or row)


def link_to_those(model: type[Model], text: str, **query: object) -> SafeString:
    """Return a link to a model's list, narrowed by this query."""
    return format_html('<a href="{}?{}">{}</a>', page_of(model, "changelist"), urlencode(query), text)


class ReadOnlyAdmin(LookedAt, admin.ModelAdmin[Any]):
    """A table to look at: nothing is added, changed or deleted here.

    What a person may do is an action, for those who have Django's permission to change these rows.
    """

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Rows are written by the service alone."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Shown, not edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Retention deletes, and the instance's own deletion."""
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return whether somebody may use the actions that do something."""
        return may_operate(self, request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return rows without the texts that no list shows; a row's own page fetches them."""
        return super().get_queryset(request).defer(*getattr(self, "deferred", ()))


def may_operate(site: admin.ModelAdmin[Any], request: HttpRequest) -> bool:
    """Return whether somebody has Django's permission to change a table's rows, though nobody edits them."""
    return request.user.has_perm(f"{site.opts.app_label}.change_{site.opts.model_name}")


def say(site: admin.ModelAdmin[Any], request: HttpRequest, done: str, **skipped: Iterable[object]) -> None:
    """Say what an action did, and which of the chosen rows it left alone: `because=rows`, underscores for blanks."""
    site.message_user(request, done, messages.SUCCESS)
    for because, rows in skipped.items():
        names = [str(row) for row in rows]
        if names:
            more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
            words = f"Skipped {len(names):,}, {because.replace('_', ' ')}: {', '.join(names[:_NAMED])}{more}."
            site.message_user(request, words, messages.WARNING)


def sent_again(made: Iterable[Replay]) -> str:
    """Say how many notifications these replays send."""
    return f"{counted(sum(replay.total for replay in made), 'notification is', 'notifications are')} sent again."


class Chosen(admin.SimpleListFilter):
    """A filter that a link sets and that offers its end alone: there may be thousands to choose from."""

    path = ""
    model: type[Model] = Instance

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the one that is chosen."""
        chosen = self.value()
        if not chosen:
            return []
        key = as_key(chosen)
        row = None if key is None else self.model._default_manager.filter(pk=key).first()  # noqa: SLF001  (documented API of models)
        return [(chosen, str(row or "there is none"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow to it."""
        chosen = self.value()
        if not chosen:
            return queryset
        key = as_key(chosen)
        return queryset.none() if key is None else queryset.filter(**{self.path: key})


def chosen_by(path: str, model: type[Model] = Instance, *, name: str = "") -> type[Chosen]:
    """Make the filter `?instance=5` (or of whatever model) on the column `path`."""
    label = name or str(model._meta.verbose_name)  # noqa: SLF001  (documented API of models)
    attributes = {"path": path, "model": model, "title": label, "parameter_name": label.replace(" ", "_")}
    return type("ChosenBy", (Chosen,), attributes)


class ResourceFilter(admin.SimpleListFilter):
    """By resource: the names that are polled, the first hundred of them."""

    title = parameter_name = "resource"
    path = "object_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer what is polled, never what stands in a million rows."""
        names = ResourcePoll.objects.order_by("name").values_list("name", flat=True).distinct()[:_CHOICES]
        return [(name, name) for name in names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow to it."""
        return queryset.filter(**{self.path: self.value()}) if self.value() else queryset


class PollNameFilter(ResourceFilter):
    """The same, for what hangs on a poll."""

    path = "resource_poll__name"
