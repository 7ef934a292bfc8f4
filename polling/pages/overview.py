"""The overview: is everything well, and if not, who is needed where?"""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from instances.pages.access import PageRequest, page
from polling.pages.refreshing import not_modified, tag_of, tagged
from polling.reports.hours import chart_of
from polling.reports.overview import Overview, overview_of


@page
def overview(request: PageRequest) -> HttpResponse:
    """Show how the organization's instances fare; the page's script asks for news every few seconds.

    Nothing is rendered for whoever shows the newest already.
    """
    shown = overview_of(request.person.organization, timezone.now())
    tag = _tag(request, shown)
    if not request.htmx:
        return _rendered(request, "polling/overview.html", shown, tag)
    return not_modified(request, tag) or tagged(_rendered(request, "polling/parts/overview.html", shown, tag), tag)


def _tag(request: PageRequest, shown: Overview) -> str:
    """Return the tag of what is shown, to whom, in the viewer's zone on the viewer's day: times of today are short."""
    zone = timezone.get_current_timezone_name()
    return tag_of(shown, request.person.organization.name, request.person.operates, zone, timezone.localdate())


def _rendered(request: PageRequest, template: str, shown: Overview, tag: str) -> HttpResponse:
    context = {**vars(shown), "chart": chart_of(shown.hours), "tag": tag, "here": "overview"}
    return render(request, template, context)
