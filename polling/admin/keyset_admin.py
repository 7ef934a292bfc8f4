"""Lists of tables with millions of rows: read page by page and never counted, with an export of all that match."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR, SEARCH_VAR, ChangeList
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from instances.models import Instance
from polling.admin.base import ReadOnlyAdmin, page_of
from polling.admin.export import Columns, csv_response
from polling.admin.periods import LEVELS, Step, drill_down, period_of
from polling.reports.keyset_walk import (
    KeysetWalk,
    Stretch,
    walk,
    walk_all,
)


@dataclass(frozen=True)
class Sought:
    """What a search means: a condition, and whether an index finds its rows."""

    condition: Q
    indexed: bool = True


class KeysetChangeList(ChangeList):
    """A page of the walk, with the way to the next, and the drill-down by date."""

    stretch: Stretch[Any]
    model_admin: KeysetAdmin

    def get_results(self, request: HttpRequest) -> None:
        """Read one page; nothing is counted."""
        page = request.GET.get(PAGE_VAR, "")
        before = int(page) if page.isascii() and page.isdecimal() and len(page) < 19 else None
        self.stretch = walk(self.matching(), self.how(), before=before, size=self.list_per_page)
        self.result_list = self.stretch.rows
        self.result_count = self.full_result_count = len(self.stretch.rows)
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = bool(self.stretch.rows)
        self.paginator = Paginator(self.stretch.rows, self.list_per_page)
        self.is_first = before is None

    def matching(self) -> QuerySet[Any]:
        """Return all rows that filters and search leave."""
        rows: QuerySet[Any] = self.queryset
        sought = self._sought()
        return rows.filter(sought.condition) if sought else rows

    def how(self) -> KeysetWalk:
        """Tell how they are read: from and to the times of the period, in slices unless an index finds them."""
        since, until = period_of(self.period) if self.period else (None, None)
        return KeysetWalk(str(self.date_hierarchy), since=since, until=until, sliced=self._is_sliced())

    @property
    def period(self) -> dict[str, int]:
        """The period chosen: `year`, then `month`, then `day`."""
        texts = {level: str(self.params.get(f"{self.date_hierarchy}__{level}", "")) for level in LEVELS}
        chosen = {level: int(text) for level, text in texts.items() if text.isascii() and text.isdecimal()}
        return chosen if "year" in chosen else {}

    def _sought(self) -> Sought | None:
        return self.model_admin.find(self.query.replace("\x00", "").strip()) if self.query.strip() else None

    def _is_sliced(self) -> bool:
        given = {key for key in self.params if not key.startswith(f"{self.date_hierarchy}__")} - {SEARCH_VAR, ORDER_VAR}
        sought = self._sought()
        if given & set(self.model_admin.anchors) or (sought and sought.indexed):
            return False
        return bool(given - {self.model_admin.own_index}) or sought is not None

    # For the template.

    @property
    def older_query(self) -> str:
        """The query of the page after this; empty at the end."""
        before = self.stretch.next_before
        return "" if before is None else self.get_query_string({PAGE_VAR: before})

    @property
    def newest_query(self) -> str:
        """The query of the first page."""
        return self.get_query_string(remove=[PAGE_VAR])

    @property
    def export_url(self) -> str:
        """Where all that match are had as CSV."""
        return page_of(self.model, "export") + self.get_query_string(remove=[PAGE_VAR])

    @property
    def drilldown(self) -> Mapping[str, Any]:
        """The links of the drill-down, as Django's template wants them."""
        found = drill_down(self.model, str(self.date_hierarchy), self.period)
        if found is None:
            return {"show": False}
        choices = [self._link(step) for step in found.choices]
        return {"show": bool(choices), "back": found.back and self._link(found.back), "choices": choices}

    def _link(self, step: Step) -> dict[str, Any]:
        if step.query is None:
            return {"title": step.title}
        wanted = {f"{self.date_hierarchy}__{level}": value for level, value in step.query.items()}
        return {"title": step.title, "link": self.get_query_string(wanted, [f"{self.date_hierarchy}__"])}


class KeysetAdmin(ReadOnlyAdmin):
    """A table with millions of rows, newest first.

    `anchors` are the parameters whose rows an index finds, `own_index` one whose rows an index finds in the order of
    ids while nothing else narrows them. `csv_columns` are those of the export.
    """

    change_list_template = "admin/walked_list.html"
    ordering = ("-pk",)
    sortable_by = ()  # by anything but the id, a million rows would be sorted
    anchors: tuple[str, ...] = ()
    own_index = ""
    csv_columns: Columns = {}
    actions: Any = ("export_selected",)

    def find(self, text: str) -> Sought:
        """Say what a search means."""
        raise NotImplementedError

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        """Leave the search to `find`: Django's would read the whole table."""
        return queryset, False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Walk."""
        return KeysetChangeList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Say what the list is."""
        title = f"{capfirst(str(self.opts.verbose_name_plural))}, newest first"
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        """Add the export."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"
        return [path("export/", self.admin_site.admin_view(self.export_matching), name=name), *super().get_urls()]

    def export_matching(self, request: HttpRequest) -> HttpResponseBase:
        """Stream all rows that match the query of the list, newest first."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            matching = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return redirect(page_of(self.model, "changelist"))
        assert isinstance(matching, KeysetChangeList)  # noqa: S101  (get_changelist gives no other)
        return self._csv(walk_all(matching.matching(), matching.how()))

    @admin.action(description="Export the selected as CSV", permissions=["view"])
    def export_selected(self, request: HttpRequest, rows: QuerySet[Any]) -> StreamingHttpResponse:
        """Stream the selected rows, newest first."""
        return self._csv(walk_all(rows, KeysetWalk(str(self.date_hierarchy), sliced=False)))

    def _csv(self, rows: Iterator[Model]) -> StreamingHttpResponse:
        return csv_response(f"{self.opts.verbose_name_plural}-{timezone.localdate():%Y-%m-%d}", self.csv_columns, rows)


def named(text: str, path: str = "instance") -> Q:
    """Find what belongs to instances of this name."""
    keys = Instance.objects.filter(name__iexact=text).values_list("pk", flat=True)[:25]
    return Q(**{f"{path}__in": list(keys)})


Shown = SafeString | str
