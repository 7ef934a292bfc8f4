"""The overview: is everything well, and if not, who is needed where?"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.utils import timezone

from cwconnect.core.backup_folder import problem
from instances.pages.access import PageRequest, page
from polling.pages.refreshing import not_modified, tag_of, tag_of_page, tagged
from polling.reports.hours import chart_of
from polling.reports.overview import Overview, overview_of


@page
def overview(request: PageRequest) -> HttpResponse:
    """Show how the organization's instances fare; the page's script asks for news every few seconds.

    Nothing is rendered for whoever shows the newest already.
    """
    shown = overview_of(request.person.organization, timezone.now())
    backup = _backup_problem(request)
    part = _tag(request, shown, backup)
    tag = part if request.htmx else tag_of_page(request, part)
    return not_modified(request, tag) or tagged(_rendered(request, shown, part, backup), tag)


def _backup_problem(request: PageRequest) -> str:
    """Return what is wrong with the scheduled backups, for who runs the service; it is no tenant's business."""
    if not (settings.BACKUP_FOLDER and settings.ON_SQLITE and request.user.is_staff):
        return ""
    return problem(settings.BACKUP_FOLDER, settings.DATA_DIR, settings.BACKUP_EVERY, timezone.now())


def _tag(request: PageRequest, shown: Overview, backup: str) -> str:
    """Return the tag of what is shown, to whom, in the viewer's zone on the viewer's day: times of today are short."""
    zone = timezone.get_current_timezone_name()
    get_token(request)  # makes the secret of the part's forms, if there is none yet
    secret = request.META["CSRF_COOKIE"]
    whose = (request.person.organization.name, request.person.operates)
    return tag_of(secret, shown, backup, *whose, zone, timezone.localdate())


def _rendered(request: PageRequest, shown: Overview, tag: str, backup: str) -> HttpResponse:
    template = "polling/parts/overview.html" if request.htmx else "polling/overview.html"
    context = {**vars(shown), "needing": shown.needing, "chart": chart_of(shown.hours), "tag": tag, "here": "overview"}
    context["backup_problem"] = backup
    return render(request, template, context)
