"""Faults on order: what the next requests get instead of, or before, their answer."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Literal

from cwconnect.sandbox.errors import JSON_TYPE, Response
from cwconnect.sandbox.jsontext import dumps

Drop = bool | Literal["midway", "after"]
_BODIES: dict[int, object] = {
    400: {"code": "InvalidRequest", "message": "The request is invalid.", "errors": None},
    401: {"code": "Unauthorized", "message": "Incorrect public/private key"},
    403: {"code": "Security", "message": "You do not have security permission to perform this action."},
    404: {"code": "ConnectWiseApi", "message": "The endpoint does not exist."},
    429: {"error": "ConnectWiseAPI", "message": "Too many requests. Please try again in 30 seconds."},
    500: {"code": "ConnectWiseApi", "message": "Query read timeout"},
    502: "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>",
    503: "<html><head><title>Service Unavailable</title></head><body><h1>Service Unavailable</h1></body></html>",
}


@dataclass(frozen=True)
class Fault:
    """What happens to one request: a delay in seconds, then a status of our own, a broken body or a hung-up line.

    With `late` the request is carried out all the same before it is answered so, as by a proxy that lost patience.
    """

    status: int | None = None
    body: object = None
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0
    drop: Drop = False
    broken_json: bool = False
    late: bool = False

    def replaces(self) -> bool:
        """Return whether the fault answers itself."""
        return self.drop is True or self.status is not None or self.body is not None

    def response(self) -> Response:
        """Return the fault's own answer."""
        if self.drop is True:
            return Response(0, drop=True)
        status = 200 if self.status is None else self.status
        body = _BODIES.get(status, {"code": "ConnectWiseApi", "message": "Fault on order"})
        kind, text = _text(body if self.body is None else self.body)
        return Response(status, text, self._headers(status), kind)

    def spoil(self, response: Response) -> Response:
        """Break a good answer: half its JSON, or half its bytes and then silence, or none of them."""
        half = len(response.body) // 2
        if self.drop == "after":
            return Response(0, drop=True)
        if self.broken_json:
            response = replace(response, body=response.body[: max(half, 1)])
        return replace(response, cut=len(response.body) // 2) if self.drop == "midway" else response

    def _headers(self, status: int) -> tuple[tuple[str, str], ...]:
        named = {name.lower() for name, _ in self.headers}
        wait = (("Retry-After", "30"),) if status == 429 and "retry-after" not in named else ()
        return self.headers + wait


def _text(body: object) -> tuple[str, bytes]:
    if isinstance(body, bytes):
        return "application/octet-stream", body
    if isinstance(body, str):
        return ("text/html" if body.startswith("<") else "text/plain"), body.encode()
    return JSON_TYPE, dumps(body)


@dataclass
class _Order:
    fault: Fault
    left: int
    skip: int
    path: str
    method: str


class Faults:
    """The faults still to come, in the order they were asked for."""

    def __init__(self) -> None:
        self._orders: list[_Order] = []
        self._lock = threading.Lock()

    def order(self, fault: Fault, *, times: int, skip: int, path: str, method: str = "") -> None:
        """Ask for `fault` in the next `times` requests (by `method`) whose path contains `path`, after `skip`."""
        with self._lock:
            self._orders.append(_Order(fault, times, skip, path.lower(), method.upper()))

    def clear(self) -> None:
        """Forget all that were asked for."""
        with self._lock:
            self._orders.clear()

    def take(self, path: str, method: str = "") -> Fault | None:
        """Return the fault for a request to `path`, None for a good answer."""
        with self._lock:
            for order in self._orders:
                if order.path not in path.lower() or order.method not in ("", method):
                    continue
                if order.skip > 0:
                    order.skip -= 1
                    continue
                return self._use(order)
        return None

    def _use(self, order: _Order) -> Fault:
        order.left -= 1
        if order.left <= 0:
            self._orders.remove(order)
        return order.fault
