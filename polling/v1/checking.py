"""`/v1/instances/{id}/polls/{poll}/…` about trust: held deletes to decide on, and the comparison with ConnectWise."""

from __future__ import annotations

from collections.abc import Callable

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.errors import Conflict
from instances import paging
from instances.hubs import KeysUnreadable
from instances.models import ResourcePoll
from instances.secrets import SecretUnreadableError
from polling.detection.deletions import dismiss_held, held_deletes, release_held
from polling.detection.verification import Finding, verify
from polling.models import PollState
from polling.v1.base import Cursor, Limit, Shape, Strict, answer, read_query
from polling.v1.deliveries import read_cursor
from polling.v1.idempotency import idempotent
from polling.v1.polls import InstancePollsView


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


class FindingShape(Shape):
    """One poll's resource compared with what is recorded of it: ids of rows that are missing, and counts.

    `missed` was never told, `stale` is newer in ConnectWise than what was told, `deleted` is gone and was last told as
    living; `coming` the next poll or sweep will tell.
    `whole` says that nothing is missing.
    """

    whole: bool
    source: int
    known: int
    missed: list[int]
    stale: list[int]
    deleted: list[int]
    coming: int
    undelivered: int
    repeated: int
    held: int


class HeldDeletesView(InstancePollsView):
    """`…/held-deletes`."""

    def get(self, request: Request, number: str, poll: str) -> Response:
        """List the rows whose deletes are held back."""
        found, query = self.poll(self.instance(number), poll), read_query(HeldQuery, request.query_params)
        rows = held_deletes(found).filter(record_id__gt=read_cursor(query.cursor) or 0)
        ids = list(rows.values_list("record_id", flat=True)[: query.limit + 1])
        page = ids[: query.limit]
        more = paging.write_token(page[-1]) if len(ids) > query.limit else None
        return answer(HeldPage(items=[HeldShape(record_id=record_id) for record_id in page], next_cursor=more))


class _DecisionView(InstancePollsView):
    def decided(self, decide: Callable[[PollState], int], number: str, poll: str) -> Response:
        """Decide on all held deletes of the poll."""
        state = PollState.objects.filter(resource_poll=self.poll(self.instance(number), poll)).first()
        return answer(DecidedShape(count=decide(state) if state else 0))


class ReleaseDeletesView(_DecisionView):
    """`…/held-deletes/release`."""

    @idempotent
    def post(self, request: Request, number: str, poll: str) -> Response:
        """Have the held deletes told."""
        return self.decided(release_held, number, poll)


class DismissDeletesView(_DecisionView):
    """`…/held-deletes/dismiss`."""

    @idempotent
    def post(self, request: Request, number: str, poll: str) -> Response:
        """Have the held deletes not told."""
        return self.decided(dismiss_held, number, poll)


class VerifyView(InstancePollsView):
    """`…/verify`."""

    @idempotent
    def post(self, request: Request, number: str, poll: str) -> Response:
        """Compare ConnectWise with what was told, now; nothing is changed."""
        return answer(_finding(_verified(self.poll(self.instance(number), poll))))


def _verified(poll: ResourcePoll) -> Finding:
    if poll.instance.disabled:
        raise Conflict("The instance is disabled; PUT /instances/{id}/enabled lets it go on.")
    if poll.since is None:
        raise Conflict("Watching of this resource has not begun.")
    try:
        return verify(poll, timezone.now())
    except SecretUnreadableError as error:
        raise KeysUnreadable(str(error)) from None


def _finding(found: Finding) -> FindingShape:
    return FindingShape(
        whole=found.whole,
        source=found.source,
        known=found.known,
        missed=list(found.missed),
        stale=list(found.stale),
        deleted=list(found.deleted),
        coming=found.coming,
        undelivered=found.undelivered,
        repeated=found.repeated,
        held=found.held,
    )
