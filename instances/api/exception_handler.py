"""What REST views raise, answered in the contract's form; ConnectWise's refusals keep their status and words."""

from __future__ import annotations

from typing import Any

from rest_framework.response import Response

from cwconnect.connectwise import errors as connectwise
from cwconnect.core import errors
from cwconnect.core.errors import error_body

_CONNECTWISE_STATUS: tuple[tuple[type[connectwise.ConnectWiseError], int], ...] = (
    (connectwise.Unauthorized, 401),
    (connectwise.Forbidden, 403),
    (connectwise.NotFound, 404),
    (connectwise.RateLimited, 429),
    (connectwise.Rejected, 400),
    (connectwise.NoPublicAddress, 400),
)


def api_error(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer what a view raised (REST framework's EXCEPTION_HANDLER); None for a fault of ours, which Django logs."""
    if isinstance(error, connectwise.ConnectWiseError):
        return _connectwise_error(error)
    return errors.api_error(error, context)


def _connectwise_error(error: connectwise.ConnectWiseError) -> Response:
    status = next((status for kind, status in _CONNECTWISE_STATUS if isinstance(error, kind)), 500)
    answered = error.status is not None
    body = (
        error_body("ConnectWise did not do what was asked.", error.message) if answered else error_body(error.message)
    )
    response = Response(body, status=status)
    if error.retry_after:
        response.headers["Retry-After"] = str(round(error.retry_after))
    return response
