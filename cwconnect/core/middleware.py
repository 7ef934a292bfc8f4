"""What happens to every incoming request: an id that answer and log share, and the product's base path.

Also what is a page and what is an API route, since only pages may answer in HTML.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.log import log_response

from cwconnect.core.errors import error_response
from cwconnect.core.paths import is_page
from cwconnect.core.request_ids import new_request_id
from cwconnect.core.time import DisplayZone

BASE_PATH = "/elements/api-v2"  # every API route answers with and without it
# The product's: docs/wire-contract.md#1-authorization-header

_STATE_CHANGING = ("Allow", "Retry-After", "WWW-Authenticate")

Handler = Callable[[HttpRequest], HttpResponseBase]


class RequestIdMiddleware:
    """Gives each request an id, sends it as `Elements-Request-Id`, and keeps HTML out of API errors.

    The errors that Django's own parts answer in HTML (a forged Host header, DEBUG's pages) become the contract's body.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer one request under an id of its own."""
        page = is_page(request.path_info)
        with new_request_id() as request_id:
            response = self.get_response(request)
            if response.status_code >= 400 and not page and not _is_json(response):
                response = _as_json(response)
            if response.status_code >= 400:
                # Here, while the id is the current one: Django itself would log it when that is over.
                log_response("%s: %s", response.reason_phrase, request.path, response=response, request=request)  # type: ignore[arg-type]  # the stubs know no streamed one
            response.headers["Elements-Request-Id"] = request_id
            return response


def _as_json(response: HttpResponseBase) -> HttpResponseBase:
    """Return an error in the contract's body, with what its headers say of what to do."""
    response.close()
    answer = error_response(response.status_code)
    for name in _STATE_CHANGING:
        if name in response.headers:
            answer.headers[name] = response.headers[name]
    return answer


def _is_json(response: HttpResponseBase) -> bool:
    return str(response.headers.get("Content-Type", "")).startswith("application/json")


class NoStoreMiddleware:
    """Has every answer say that nobody keeps it, unless it says for itself how it may be kept.

    Nearly all carry a tenant's data, and those that don't, errors and redirects, hint at it. What comes from files of
    the service's own is answered before this.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request."""
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


class ProbeMiddleware:
    """Answers probes whatever their Host says: Kubernetes, load balancers and Prometheus ask by address.

    What they are answered holds no link and depends on no host; who may read `/metrics` is decided without it.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        named = (host.lstrip(".") for host in settings.ALLOWED_HOSTS if host != "*")
        self.host = next(named, "localhost")

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a probe as if it had asked for a host that is answered."""
        if request.path_info.removeprefix("/") in settings.PROBES:
            request.META["HTTP_HOST"] = self.host
        return self.get_response(request)


class TimeZoneMiddleware:
    """Has times shown in the service's zone, at both ends of the calendar too; pages override it with the viewer's."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        self.zone = DisplayZone(settings.TIME_ZONE)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer one request with that zone as the current one."""
        with timezone.override(self.zone):
            return self.get_response(request)


class BasePathMiddleware:
    """Takes the product's base path off, so that `/elements/api-v2/instances` is `/instances`.

    Only API routes are looked for there: a page, the admin or a probe under a second path would pass by what a proxy
    in front refuses under the first.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer as if the prefix were not there; `request.path` keeps it, for links."""
        path = request.path_info
        if path == BASE_PATH or path.startswith(BASE_PATH + "/"):
            request.path_info = path[len(BASE_PATH) :] or "/"
            request.urlconf = settings.API_URLCONF
        return self.get_response(request)
