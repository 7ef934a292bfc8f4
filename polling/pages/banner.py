"""The banner over every page while nothing works: no worker lives, or the database takes no writes.

Templates find `engine` in their context, whichever app's view renders them: it is asked for where one of them uses it,
once a page. The banner asks for news by itself, so that it comes and goes on pages that stay open.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from instances.pages.access import PageRequest, page
from polling.pages.refreshing import not_modified, tag_of, tagged
from polling.reports.engine import Engine, engine


def engine_of_viewer(request: HttpRequest) -> dict[str, Any]:
    """Return, for the context of every template, whether work goes on; nothing for whoever belongs nowhere."""
    person = getattr(request, "person", None)
    if person is None:
        return {}
    found: Any = SimpleLazyObject(lambda: engine(person.organization, timezone.now()))
    return {"engine": found, "engine_tag": SimpleLazyObject(lambda: _tag(found))}


@page
def engine_banner(request: PageRequest) -> HttpResponse:
    """Return the banner as it is now, empty while all is well; 304 for whoever shows just that."""
    found = engine(request.person.organization, timezone.now())
    tag = _tag(found)
    shown = {"engine": found, "engine_tag": tag}
    return not_modified(request, tag) or tagged(render(request, "polling/parts/engine_banner.html", shown), tag)


def _tag(found: Engine) -> str:
    return tag_of(found.problem, found.worker_seen_at, found.remedy, timezone.get_current_timezone_name())
