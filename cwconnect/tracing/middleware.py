"""A span for each web request: its route and its status. What callers send (URL, headers, `traceparent`) is in none."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache

from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from cwconnect.tracing.spans import Span, is_on, span

# Of the web request that is being answered; None without one, or without traces.
current_span: ContextVar[Span | None] = ContextVar("web_span", default=None)
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


@lru_cache(maxsize=1024)
def route_of(pattern: str) -> str:
    """Return a route as people write it: `/instances/<number>`, of a path's pattern or a regular expression."""
    plain = re.sub(r"\(\?P(<\w+>)[^)]*\)", r"\1", pattern)
    return "/" + re.sub(r"[\^$?]", "", re.sub(r"<\w+:(\w+)>", r"<\1>", plain)).strip("/")


class TracingMiddleware:
    """Traces requests; with traces off Django leaves it out.

    A trace begins here. A caller's own `traceparent` is not followed: whether a request is sampled, and which trace its
    spans are among, is not for strangers to say.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if not is_on():
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request, and say by which route and how."""
        method = request.method if request.method in _METHODS else "_OTHER"
        with span(method, {"http.request.method": method}, kind="server") as traced:
            token = current_span.set(traced)
            try:
                response = self.get_response(request)
            finally:
                current_span.reset(token)
            if traced:
                if match := request.resolver_match:
                    traced.rename(f"{method} {route_of(match.route)}")
                    traced.set({"http.route": route_of(match.route)})
                traced.set({"http.response.status_code": response.status_code})
                if request_id := response.headers.get("Elements-Request-Id"):
                    traced.set({"cwconnect.request_id": request_id})
                if response.status_code >= 500 and not traced.failed:
                    traced.fail(str(response.status_code))
            return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Say what a view raised, which Django answers by itself."""
        if traced := current_span.get():
            traced.fail(exception)
