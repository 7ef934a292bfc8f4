"""`/api/docs`: the API reference, rendered from the description; open to all, since it holds no one's data.

What stands in it is the same for all, and rendered once a process and address: anybody may ask for it at any rate.
"""

from __future__ import annotations

from functools import cache, lru_cache

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_GET

from cwconnect.core.middleware import BASE_PATH
from cwconnect.site.guide.markdown import in_line
from cwconnect.site.openapi.document import described_api
from cwconnect.site.openapi.frame import SECRETS_SCHEME
from cwconnect.site.openapi.reference import Tag, tags_of
from instances.pages.access import person_of

_ADDRESSES = 8  # by which the service may be asked: few, and a stranger's are refused before


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """List all operations by tag, with how they are authorized and how they fail."""
    body = _rendered("api/operations.html", _address(request))
    return _show(request, {"body": body, "address": _address(request), "title": "API reference"})


@require_GET
def tag_page(request: HttpRequest, tag: str) -> HttpResponse:
    """Show the operations of a tag; 404 for one that is none."""
    found = next((each for each in tags() if each.slug == tag), None)
    if found is None:
        raise Http404
    body = _rendered("api/tag.html", _address(request), found)
    return _show(request, {"body": body, "tag": found, "title": f"{found.name}: API reference"})


@cache
def tags() -> tuple[Tag, ...]:
    """Return the whole reference."""
    return tuple(tags_of(described_api()))


@lru_cache(maxsize=_ADDRESSES * 12)
def _rendered(template: str, address: str, tag: Tag | None = None) -> SafeString:
    context: dict[str, object] = {"tags": tags(), "tag": tag, "address": address, "base_path": BASE_PATH}
    context["scheme"] = SECRETS_SCHEME | {"words": in_line(SECRETS_SCHEME["description"])}
    return mark_safe(render_to_string(template, context))  # noqa: S308  (it was escaped when it was rendered)


def _address(request: HttpRequest) -> str:
    return settings.PUBLIC_URL.rstrip("/") or f"{request.scheme}://{request.get_host()}"


def _show(request: HttpRequest, context: dict[str, object]) -> HttpResponse:
    if request.user.is_authenticated:
        request.person = person_of(request)  # type: ignore[attr-defined]  # as pages have it, for the bar
    return render(request, "api/docs.html", {**context, "here": "help"})
