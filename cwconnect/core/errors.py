"""One body for every error of the API: `{"requestId", "message"[, "providerMessage"]}`.

Source: docs/wire-contract.md#2-instances.

`providerMessage` is what ConnectWise said. Rules raise a `DomainError`; what the connector raises is answered by
`instances.api.exception_handler`; the rest is REST framework's and Django's.
"""

from __future__ import annotations

import logging
import sys
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template import loader
from django.views import defaults
from rest_framework.exceptions import APIException
from rest_framework.response import Response
from rest_framework.views import exception_handler

from cwconnect.core.paths import is_page
from cwconnect.core.request_ids import current_request_id

log = logging.getLogger(__name__)

_WORDS = {
    400: "The request can't be read.",
    403: "This is not allowed.",
    404: "There is nothing at this address.",
    500: "Something went wrong in the service. Its log has the details under this requestId.",
    503: "The database can't be used just now. Try again in a moment.",
}
_AWAY = (OperationalError, InterfaceError)  # gone, full, locked for too long; what is wrong with a query is another
_AWAY_SECONDS = "10"


class DomainError(Exception):  # not a fault: an answer
    """A request that the rules refuse; the message is a sentence for the caller, `provider_message` ConnectWise's."""

    status = 400
    retry_after: int | None = None  # seconds after which it may be asked again

    def __init__(self, message: str, *, provider_message: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.provider_message = provider_message


class ConflictError(DomainError):
    """What was to be changed has changed meanwhile."""

    status = 409


def wants_page(request: HttpRequest) -> bool:
    """Return whether an error of this request is answered with a page; under the product's base path none is."""
    return is_page(request.path_info) and getattr(request, "urlconf", None) is None


def error_body(message: str, provider_message: str = "") -> dict[str, str]:
    """Return the body of an error under the current request's id."""
    body = {"requestId": current_request_id(), "message": message}
    return body | {"providerMessage": provider_message} if provider_message else body


def error_response(status: int, message: str = "") -> JsonResponse:
    """Return an error in the contract's form; without a message, in general words."""
    return JsonResponse(error_body(message or _WORDS.get(status) or HTTPStatus(status).phrase + "."), status=status)


def api_error(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer what a view raised; None for a fault of ours, which Django logs."""
    if isinstance(error, DomainError):
        headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
        return Response(error_body(error.message, error.provider_message), status=error.status, headers=headers)
    if isinstance(error, _AWAY):
        log.error("The database can't be used: %s", error)
        return Response(error_body(_WORDS[503]), status=503, headers={"Retry-After": _AWAY_SECONDS})
    response = exception_handler(error, context)
    if response is not None:
        response.data = error_body(_message(error))
    return response


def _message(error: Exception) -> str:
    if isinstance(error, APIException):
        return "; ".join(_sentences(error.detail))
    return _WORDS[404] if isinstance(error, Http404) else _WORDS[403] if isinstance(error, PermissionDenied) else ""


def _sentences(detail: Any, path: str = "") -> list[str]:
    if isinstance(detail, dict):
        return [text for key, value in detail.items() for text in _sentences(value, f"{path}.{key}" if path else key)]
    if isinstance(detail, list | tuple):
        return [text for value in detail for text in _sentences(value, path)]
    return [f"{path}: {detail}" if path else str(detail)]


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that Django itself refuses (handler400)."""
    return defaults.bad_request(request, exception) if wants_page(request) else error_response(400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django itself forbids (handler403)."""
    return defaults.permission_denied(request, exception) if wants_page(request) else error_response(403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that no route serves (handler404)."""
    return defaults.page_not_found(request, exception) if wants_page(request) else error_response(404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer after a fault of ours (handler500), or of the database's; its traceback is in the log."""
    if isinstance(sys.exc_info()[1], _AWAY):
        # Rendered without the request: what the page would show of it is in the database.
        page = HttpResponse(loader.get_template("503.html").render(), status=503) if wants_page(request) else None
        response = page or error_response(503)
        response.headers["Retry-After"] = _AWAY_SECONDS
        return response
    return defaults.server_error(request) if wants_page(request) else error_response(500)
