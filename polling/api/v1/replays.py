"""`/v1/instances/{id}/replays`: whole notifications sent again, with a count first and the progress after."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, cast

from django.http import Http404
from django.utils import timezone
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core.errors import ConflictError
from cwconnect.core.openapi import Operation, described
from instances.api.permission import MANAGES, READS
from instances.models import Instance
from polling.api.v1.base import (
    DELIVERIES,
    Moment,
    Shape,
    Strict,
    Text,
    V1View,
    answer,
    read_body,
)
from polling.api.v1.deliveries import DeliveryView
from polling.api.v1.events import Kind
from polling.api.v1.idempotency import ONCE, POSTED, idempotent
from polling.delivery.replay.replays import count_selected, replay_notifications, start_replay
from polling.delivery.replay.selection import Selection
from polling.models import Notification, Replay

Stage = Literal["queueing", "sending", "ended"]


_REPLAY = {
    "id": 3,
    "asked_at": "2026-01-31T12:00:00Z",
    "what": "failed notifications of contacts",
    "stage": "sending",
    "total": 12000,
    "queued": 12000,
    "delivered": 4310,
    "failed": 0,
    "left": 7690,
}


class ReplayRequest(Strict):
    """Which notifications: all that is given must hold. With `count_only` nothing is sent, only counted."""

    failed: bool = False
    since: Moment | None = None
    until: Moment | None = None
    event: Annotated[int, Field(ge=1, le=10**18 - 1)] | None = None
    resource: Text | None = None
    kind: Kind | None = None
    object_id: Text | None = None
    count_only: bool = False


class ReplayShape(Shape):
    """A replay and how far it came: `queueing` (a large one, by the workers), then `sending`, then `ended`.

    `total` is what was counted when it was asked for, and what was queued once all is. Where it was only counted, `id`,
    `asked_at` and `stage` are null.
    """

    id: int | None
    asked_at: datetime | None
    what: str
    stage: Stage | None
    total: int
    queued: int
    delivered: int
    failed: int
    left: int


class ReplaysView(V1View):
    """`/v1/instances/{id}/replays`."""

    scopes = MANAGES

    @described(
        Operation(
            DELIVERIES,
            "Send a selection of notifications again, marked as a replay where they may have arrived before",
            ReplayShape,
            202,
            body=ReplayRequest,
            body_required=False,
            headers=ONCE,
            errors=POSTED,
            also={200: "Counted only."},
            description=(
                "Up to 500 notifications are queued at once, more by the workers. "
                "Ask for the replay to see how far it came."
            ),
            body_examples={"count": {"failed": True, "count_only": True}, "since": {"since": "2026-01-31T12:00:00Z"}},
        )
    )
    @idempotent
    def post(self, request: Request, number: str) -> Response:
        """Have a selection sent again, 202; or count it, 200."""
        instance, body = self.instance(number), read_body(ReplayRequest, request.data)
        return asked_replay(instance, body)


class ReplayView(V1View):
    """`/v1/instances/{id}/replays/{replay}`."""

    scopes = READS

    @described(Operation(DELIVERIES, "Show how far a replay came", ReplayShape, errors=(400,), example=_REPLAY))
    def get(self, request: Request, number: str, replay: str) -> Response:
        """Show how far a replay came."""
        self.no_query()
        found = Replay.objects.filter(instance=self.instance(number), pk=replay).first()
        if found is None:
            raise Http404
        return answer(replay_shape(found))


class DeliveryReplayView(DeliveryView):
    """`/v1/deliveries/{delivery}/replay`."""

    scopes = MANAGES

    http_method_names = ("post", "options")

    @described(Operation(DELIVERIES, "Send a notification again", ReplayShape, 202, headers=ONCE, errors=POSTED))
    @idempotent
    def post(self, request: Request, delivery: str) -> Response:
        """Queue one notification to be sent again; 202."""
        row = self.delivery(delivery)
        replays = replay_notifications(Notification.objects.filter(pk=row.pk), timezone.now())
        if not replays:
            raise ConflictError("The notification was discarded.")
        return answer(replay_shape(replays[0]), 202)


def asked_replay(instance: Instance, body: ReplayRequest, *, subscription: int = 0) -> Response:
    """Answer who asks for a replay: of one subscription, or of all that the instance has."""
    selection = Selection(
        failed=body.failed,
        since=body.since,
        until=body.until,
        event_id=body.event,
        resource=body.resource or "",
        kind=body.kind or "",
        object_id=body.object_id or "",
        subscription=subscription,
    )
    if body.count_only:
        total = count_selected(instance, selection)
        counted = {"total": total, "queued": 0, "delivered": 0, "failed": 0, "left": total}
        return answer(ReplayShape(id=None, asked_at=None, what=str(selection), stage=None, **counted))
    return answer(replay_shape(start_replay(instance, selection, timezone.now())), 202)


def replay_shape(replay: Replay) -> ReplayShape:
    """Return a replay as `/v1` shows it."""
    return ReplayShape(
        id=replay.pk,
        asked_at=replay.asked_at,
        what=replay.what,
        stage=cast(Stage, replay.stage),
        total=replay.total,
        queued=replay.queued,
        delivered=replay.delivered,
        failed=replay.failed,
        left=replay.left,
    )
