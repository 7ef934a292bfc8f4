"""Lists of tables with millions of rows: read page by page and never counted, with an export of all that match."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR, SEARCH_VAR, ChangeList
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import DateTimeField, Q, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.text import capfirst

from cwconnect.core.csv_export import Columns, csv_response
from instances.models import Instance
from polling.admin.base import ReadOnlyAdmin, page_of
from polling.reports.keyset_walk import KeysetWalk, Stretch, walk, walk_all


@dataclass(frozen=True)
class Sought:
    """What a search means: a condition, and whether an index finds its rows."""

    condition: Q
    indexed: bool = True


class KeysetChangeList(ChangeList):
    """A page of the walk, with the way to the next."""

    stretch: Stretch[Any]
    model_admin: KeysetAdmin

    def get_results(self, request: HttpRequest) -> None:
        """Read one page; nothing is counted."""
        page = request.GET.get(PAGE_VAR, "")
        before = int(page) if page.isascii() and page.isdecimal() and len(page) < 19 else None
        try:
            self.stretch = walk(self.matching(), self.how(), before=before, size=self.list_per_page)
        except OverflowError as error:  # an id or a time by URL that no database holds
            raise IncorrectLookupParameters from error
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
        """Say how they are read: within the times of the date's filter, and in slices unless an index finds them."""
        time = self.model_admin.time
        since, until = self._times(f"{time}__gte"), self._times(f"{time}__lt")
        sliced = self._is_sliced()
        return KeysetWalk(time, since=min(since, default=None), until=max(until, default=None), sliced=sliced)

    def _times(self, parameter: str) -> list[datetime]:
        """Read a bound as Django does: more than one is any of them, and one without a zone is of the default one."""
        to_python = DateTimeField().to_python
        times = [to_python(text) for text in self.filter_params.get(parameter, ())]
        zone = timezone.get_default_timezone()
        return [time if timezone.is_aware(time) else timezone.make_aware(time, zone) for time in times]

    def _sought(self) -> Sought | None:
        return self.model_admin.find(self.query.replace("\x00", "").strip()) if self.query.strip() else None

    def _is_sliced(self) -> bool:
        time = self.model_admin.time
        given = set(self.params) - {SEARCH_VAR, ORDER_VAR, f"{time}__gte", f"{time}__lt"}
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


class KeysetAdmin(ReadOnlyAdmin):
    """A table with millions of rows, newest first.

    `time` is the column of its time: it grows with the ids, and is filtered by. `anchors` are the parameters whose rows
    an index finds, `own_index` one whose rows an index finds in the order of ids while only the time narrows them too.
    `csv_columns` are those of the export.
    """

    change_list_template = "admin/keyset_list.html"
    ordering = ("-pk",)
    sortable_by = ()  # by anything but the id, a million rows would be sorted
    time = ""
    anchors: tuple[str, ...] = ()
    own_index = ""
    csv_columns: Columns = {}

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
        rows = walk_all(matching.matching(), matching.how())
        return csv_response(f"{self.opts.verbose_name_plural}-{timezone.localdate():%Y-%m-%d}", self.csv_columns, rows)


def named(text: str, path: str = "instance") -> Q:
    """Find what belongs to instances of this name."""
    keys = Instance.objects.filter(name__iexact=text).values_list("pk", flat=True)[:25]
    return Q(**{f"{path}__in": list(keys)})
