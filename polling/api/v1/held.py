"""`/v1/instances/{id}/polls/{poll}/held-deletes`: what a sweep found gone, for a person to decide on."""

from __future__ import annotations

from collections.abc import Callable

from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core import paging
from cwconnect.core.openapi import Operation, described
from instances.api.permission import MANAGES, READS
from polling.api.v1.base import (
    POLLS,
    Cursor,
    Limit,
    Shape,
    Strict,
    answer,
    read_query,
)
from polling.api.v1.deliveries import read_cursor
from polling.api.v1.idempotency import ONCE, POSTED, idempotent
from polling.api.v1.polls import InstancePollsView
from polling.detection.deletes.deletions import dismiss_held, held_deletes, release_held
from polling.models import PollState


class HeldShape(Shape):
    """A row that a sweep found gone, whose delete is held back."""

    record_id: int


class HeldPage(Shape):
    """Held deletes by id; `next_cursor` asks for the next page and is null on the last."""

    items: list[HeldShape]
    next_cursor: str | None


class HeldQuery(Strict):
    """What the held deletes may be asked."""

    cursor: Cursor | None = None
    limit: Limit = 100


class DecidedShape(Shape):
    """How many held deletes were decided on."""

    count: int


class HeldDeletesView(InstancePollsView):
    """`…/held-deletes`."""

    scopes = READS

    @described(Operation(POLLS, "List the rows whose deletes are held back", HeldPage, query=HeldQuery))
    def get(self, request: Request, number: str, poll: str) -> Response:
        """List the rows whose deletes are held back."""
        found, query = self.poll(self.instance(number), poll), read_query(HeldQuery, request.query_params)
        rows = held_deletes(found).filter(record_id__gt=read_cursor(query.cursor) or 0)
        ids = list(rows.values_list("record_id", flat=True)[: query.limit + 1])
        page, more = paging.cut(ids, query.limit, key=int)
        return answer(HeldPage(items=[HeldShape(record_id=record_id) for record_id in page], next_cursor=more))


class _DecisionView(InstancePollsView):
    def decided(self, decide: Callable[[PollState], int], number: str, poll: str) -> Response:
        """Decide on all held deletes of the poll."""
        state = PollState.objects.filter(resource_poll=self.poll(self.instance(number), poll)).first()
        return answer(DecidedShape(count=decide(state) if state else 0))


class ReleaseDeletesView(_DecisionView):
    """`…/held-deletes/release`."""

    scopes = MANAGES

    @described(Operation(POLLS, "Have the held deletes recorded", DecidedShape, headers=ONCE, errors=POSTED))
    @idempotent
    def post(self, request: Request, number: str, poll: str) -> Response:
        """Have the held deletes recorded."""
        return self.decided(release_held, number, poll)


class DismissDeletesView(_DecisionView):
    """`…/held-deletes/dismiss`."""

    scopes = MANAGES

    @described(Operation(POLLS, "Have the held deletes not recorded", DecidedShape, headers=ONCE, errors=POSTED))
    @idempotent
    def post(self, request: Request, number: str, poll: str) -> Response:
        """Have the held deletes not recorded."""
        return self.decided(dismiss_held, number, poll)
