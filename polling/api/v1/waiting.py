"""Who waits for events: long polls, and server-sent events (docs/wire-contract.md#pulling-events).

Nothing here waits. A request that has nothing to answer yet is parked by our web server, and asked again when there is
news, or after some seconds; then its rights are judged anew, so that a revoked key ends it. Other servers answer at
once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from django.http import StreamingHttpResponse
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from cwconnect.core.errors import DomainError
from cwconnect.web.parking import ENVIRON_KEY, Parking, Position, Ticket
from polling.api.v1.base import digits
from polling.reports.event_scan import Scan
from polling.reports.log_watch import log_position, look, topic_of_events, topics_of_rights

LONGEST_WAIT: Final = 60  # seconds
LONGEST_STREAM: Final = 600.0  # seconds, after which the client asks anew: proxies dislike answers without an end
HEARTBEAT: Final = 10.0  # seconds until a stream says that it lives, and until rights are judged anew in any case
_RETRY: Final = 2_000  # milliseconds after which a client asks anew for a stream that ended
_RETRY_ELSEWHERE: Final = 5_000  # likewise, where the server can't hold it


class TooManyWaitError(DomainError):
    """As many wait as may."""

    status = 429
    retry_after = 5


class EventStreamRenderer(BaseRenderer):
    """Stands for `Accept: text/event-stream`; what is answered so is none of REST framework's, and errors are JSON."""

    media_type = "text/event-stream"
    format = "event-stream"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        """Refuse: nothing is rendered by it."""
        raise NotImplementedError


@dataclass(frozen=True)
class _State:
    """What a request that waits is asked again with; `until` is by the monotonic clock."""

    after: int
    until: float


class Run:
    """One time that a request is asked: where it reads on, and whether it may wait for more."""

    def __init__(self, request: Request, *, after: int, seconds: int) -> None:
        """Read the request's parameters of waiting; DomainError for a `Last-Event-ID` that is no number."""
        self.streams = request.accepted_renderer.media_type == EventStreamRenderer.media_type
        longest = LONGEST_STREAM if self.streams else float(seconds)
        parking = request.META.get(ENVIRON_KEY)
        self._parking: Parking | None = parking if longest and request.method == "GET" else None
        state = self._parking.state if self._parking else None
        self._is_first = state is None
        if isinstance(state, _State):
            self.after, self._until = state.after, state.until
        else:
            self.after = _last_event(request, after) if self.streams else after
            self._until = monotonic() + longest
        self._may_wait = self._parking is not None and self._parking.is_open and monotonic() < self._until
        self.position: Position | None = log_position() if self._may_wait else None

    def check_room(self, organization: int) -> None:
        """Raise `TooManyWaitError` where as many wait as may; one that waits already goes on."""
        if self._is_first and self._may_wait and self._parking and not self._parking.has_room(str(organization)):
            raise TooManyWaitError(
                "As many requests wait for events as may. Ask again in a moment, or without waiting."
            )

    def goes_on(self, scan: Scan, *, organization: int, instance: int | None) -> bool:
        """Leave a ticket where what was read is not all that is to be answered; return whether it was left."""
        if not self._may_wait or self._parking is None or self.position is None or (scan.found and not self.streams):
            return False
        seconds = 0.0 if scan.more else max(0.0, min(HEARTBEAT, self._until - monotonic()))
        self._parking.ticket = Ticket(
            topics=topics_of_rights(organization) | {topic_of_events(organization=organization, instance=instance)},
            position=self.position,
            seconds=seconds,
            look=look,
            state=_State(scan.last, self._until),
            group=str(organization),
            streams=self.streams,
        )
        return True

    def stream(self, scan: Scan, items: Sequence[tuple[int, str]], *, goes_on: bool) -> StreamingHttpResponse:
        """Return the next part of a stream: events by id, and up to where the log was read where none has that id."""
        parts = [f"id: {number}\ndata: {data}\n\n" for number, data in items]
        if self._is_first:
            parts.insert(0, f"retry: {_RETRY if goes_on else _RETRY_ELSEWHERE}\n\n")
        if scan.last > self.after and (not items or scan.last > items[-1][0]):
            parts.append(f"id: {scan.last}\n\n")  # dispatches nothing, and is what a client that comes again sends
        text = "".join(parts) or ": nothing new\n\n"
        response = StreamingHttpResponse([text.encode()], content_type="text/event-stream; charset=utf-8")
        response.headers["X-Accel-Buffering"] = "no"  # nginx would keep it back
        return response


def _last_event(request: Request, after: int) -> int:
    """Return the id after which a client's stream goes on; browsers send the last one that they had."""
    text = request.headers.get("Last-Event-ID", "").strip()
    if not text:
        return after
    try:
        return int(str(digits(text)))
    except ValueError as error:
        raise DomainError(f"Last-Event-ID: {error}.") from None
