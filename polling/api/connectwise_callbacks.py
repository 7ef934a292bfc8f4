"""`POST /callbacks/connectwise/{token}`: where ConnectWise says that something changed.

ConnectWise gives up on what is not answered within five seconds or by another status than 2xx, and repeats only after
404, 409, 419 and 429. So whatever arrives under a token of ours is stored and answered 200, and judged later.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from cwconnect.core.errors import error_response
from polling.callbacks.receiving import LONGEST_BODY, Taken, take

SIGNATURE = "x-content-signature"


@method_decorator(csrf_exempt, name="dispatch")
class CallbackView(View):
    """`/callbacks/connectwise/{token}`; what else the URL says is not signed, and not read."""

    http_method_names = ("post",)

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        """Store what arrived: 200; 404 for a token of nobody's, 413 for what is too long, 429 while too many wait."""
        body = request.body
        if len(body) > LONGEST_BODY:
            return error_response(413)
        taken = take(token, body, request.headers.get(SIGNATURE, ""), timezone.now())
        if taken is Taken.STORED:
            return HttpResponse(status=200)
        return error_response(404 if taken is Taken.UNKNOWN else 429)

    def http_method_not_allowed(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """Answer 405 in the form of all errors, with what is allowed."""
        response = error_response(405)
        response.headers["Allow"] = "POST"
        return response
