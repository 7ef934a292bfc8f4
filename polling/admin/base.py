"""What all of the admin shares: tables to look at, links between their rows, and how an action says what it did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from cwconnect.core.text import counted
from instances.admin.base import NOTHING, Column, LookedAt, ReadOnlyMixin, as_key
from instances.models import ResourcePoll
from polling.models import Replay

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


def link_column(path: str, description: str) -> Column:
    """Return a column that links the row at a dotted path, or shows a dash where there is none."""

    @admin.display(description=description)
    def column(site: object, row: Model) -> SafeString | str:
        return link_to(attrgetter(path)(row))

    return column


def list_column(description: str, model: type[Model], text: str, **query: str) -> Column:
    """Return a column that links a model's list, narrowed by `parameter=field of the row`; a dash where one is None."""

    @admin.display(description=description)
    def column(site: object, row: Model) -> SafeString | str:
        given = {name: getattr(row, field) for name, field in query.items()}
        return NOTHING if None in given.values() else link_to_those(model, text, **given)

    return column


class ReadOnlyAdmin(LookedAt, ReadOnlyMixin, admin.ModelAdmin[Any]):
    """A table to look at: nothing is added, changed or deleted here.

    What a person may do is an action, for those who have Django's permission to change these rows.
    """

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


class ChosenFilter(admin.FieldListFilter):
    """The row that a link chose, as `?instance=5`: offered alone, since there may be thousands to choose from."""

    def expected_parameters(self) -> list[str | None]:
        """Take the relation's own name, however long the path to it."""
        return [self.field.name]

    @property
    def key(self) -> int | None:
        """The id that is given; None if it is none."""
        given: Any = self.used_parameters[self.field.name]
        return as_key(given[-1])

    def has_output(self) -> bool:
        """Stand beside the list while a row is chosen."""
        return bool(self.used_parameters)

    def choices(self, changelist: Any) -> Iterator[Mapping[str, object]]:  # type: ignore[override]  # any mapping does
        """Offer the one that is chosen, and to leave it."""
        row = self.field.related_model._default_manager.filter(pk=self.key).first()  # type: ignore[union-attr]  # noqa: SLF001  (a relation; documented API of models)
        yield {
            "selected": False,
            "query_string": changelist.get_query_string(remove=[self.field.name]),
            "display": "All",
        }
        yield {"selected": True, "query_string": changelist.get_query_string(), "display": row or "there is none"}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow to it."""
        if not self.used_parameters:
            return queryset
        return queryset.none() if self.key is None else self.narrow(queryset, self.key)

    def narrow(self, queryset: QuerySet[Any], key: int) -> QuerySet[Any]:
        """Narrow to the rows that name the one with a key."""
        return queryset.filter(**{self.field_path: key})


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
