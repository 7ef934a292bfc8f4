"""Parts of pages that refresh themselves: an answer for whoever shows the newest already costs no body.

The page's script hands in the tag of what it shows (`If-None-Match`) and is answered 304 while that is still so. How
long something has been is left out of a tag: the script lets such times go on by itself, so that nothing but news is
news. Nobody keeps these answers: the tag lives in the page that shows the part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from django.contrib.messages import get_messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags

from instances.pages.access import PageRequest

# What differs with every look: the words of a length of time, and the masks of one and the same CSRF secret.
PASSING = re.compile(r'(?<=<time data-passing=")([^>]*)>[^<]*|(?<=name="csrfmiddlewaretoken" value=")[^"]*')

_AROUND = re.compile(r'-\w+(?="$)')


def refreshed_part(request: HttpRequest, template: str, context: Mapping[str, Any]) -> HttpResponse:
    """Return a part as the page's script asks for it; 304 if the script shows just that already."""
    text = render_to_string(template, dict(context), request)
    tag = tag_of(request.META.get("CSRF_COOKIE"), PASSING.sub(r"\1", text))
    return not_modified(request, tag) or tagged(HttpResponse(text), tag)


def tag_of(*shown: object) -> str:
    """Return the tag of what is shown: of values whose `repr` says all that matters. It is weak, for times pass."""
    return f'W/"{_digest(*shown)}"'


def tag_of_page(request: PageRequest, part: str) -> str:
    """Return the tag of a whole page: its part's, and with that what stands around the part, whoever looks."""
    person, theme, messages = request.person, request.COOKIES.get("cwconnect_theme"), len(get_messages(request))
    get_token(request)  # makes the secret of the page's forms, if there is none yet
    organizations = [person.organization.pk, *((each.pk, each.name) for each in person.organizations)]
    around = (person.account.get_username(), organizations, request.user.is_staff, theme, messages)
    return f'{part[:-1]}-{_digest(*around, request.META["CSRF_COOKIE"])}"'


def _digest(*shown: object) -> str:
    return sha256(repr(shown).encode()).hexdigest()[:32]


def not_modified(request: HttpRequest, tag: str) -> HttpResponse | None:
    """Return 304 if the asker has what bears this tag, or the whole page of which it is the part; else None."""
    known = parse_etags(request.headers.get("If-None-Match", ""))
    of_parts = [_AROUND.sub("", each) for each in known]
    return tagged(HttpResponseNotModified(), tag) if tag in (*known, *of_parts) else None


def tagged(response: HttpResponse, tag: str) -> HttpResponse:
    """Return the response with its tag, which goes by whether the page's script asks."""
    response.headers["ETag"] = tag
    patch_vary_headers(response, ["HX-Request"])
    return response
