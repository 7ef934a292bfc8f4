"""`/v1/instances/{id}/polls/{poll}/verifications`: ConnectWise compared with what was recorded, by the workers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, cast

from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
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
from polling.models import Verification
from polling.verification.of_subscriptions import COUNTS, SubscriptionFinding
from polling.verification.report import Finding, finding_of, start_verification

_VERIFICATION = {
    "id": 7,
    "status": "open",
    "asked_at": "2026-01-31T12:00:00Z",
    "finished_at": None,
    "rows_read": 12000,
    "error": None,
    "finding": None,
}


_VERIFIED = {
    "status": "complete",
    "finished_at": "2026-01-31T12:00:41Z",
    "rows_read": 20481,
    "finding": {
        "whole": False,
        "source": 20481,
        "known": 20481,
        "missed": [17],
        "stale": [],
        "undated": [],
        "deleted": [],
        "coming": 2,
        "undelivered": 0,
        "repeated": 0,
        "held": 0,
        "subscriptions": [
            {"subscription_id": 250, "name": "Main", "events": 81}
            | {"delivered": 80, "waiting": 1, "given_up": 0, "discarded": 0}
            | {"held": 0, "to_be_judged": 0, "no_longer_kept": 0, "lost": 0}
        ],
    },
}


class SubscriptionFindingShape(Shape):
    """How the resource's events stand with one subscription: counts of those recorded since it began.

    A notification carries those that are `delivered`, `waiting`, `given_up` or `discarded`; `held` were held back by
    its filter, and `to_be_judged` it has still to come to. `no_longer_kept` are past its retention, and others need
    them. All add up to `events` with `lost`, of which nobody knows what became: must be 0, and is repaired.
    """

    subscription_id: int
    name: str
    events: int
    delivered: int
    waiting: int
    given_up: int
    discarded: int
    held: int
    to_be_judged: int
    no_longer_kept: int
    lost: int


class FindingShape(Shape):
    """One poll's resource compared with what is recorded of it: ids of rows that are missing, and counts.

    `missed` was never recorded, `stale` is newer in ConnectWise than what was recorded, `deleted` is gone and was last
    recorded as living; `coming` the next poll or sweep will record. `undated` differs from what was recorded and has no
    date by which one could say whether it was missed or is coming, or can't be read at all. `whole` says that nothing
    is missing, nor undated, nor lost for a subscription; verifications of earlier versions have no `subscriptions`.
    """

    whole: bool
    source: int
    known: int
    missed: list[int]
    stale: list[int]
    deleted: list[int]
    undated: list[int]
    coming: int
    undelivered: int
    repeated: int
    held: int
    subscriptions: list[SubscriptionFindingShape]


class VerificationShape(Shape):
    """A comparison and how far it came: `open`, then `complete` with its finding, or `failed`.

    `rows_read` are ConnectWise's rows read so far. `error` is why the last try failed; an open one is tried again.
    """

    id: int
    status: Literal["open", "complete", "failed"]
    asked_at: datetime
    finished_at: datetime | None
    rows_read: int
    error: str | None
    finding: FindingShape | None


class VerificationPage(Shape):
    """Verifications, newest first; `next_cursor` asks for the next page and is null on the last."""

    items: list[VerificationShape]
    next_cursor: str | None


class VerificationQuery(Strict):
    """What the verifications may be asked."""

    cursor: Cursor | None = None
    limit: Limit = 100


class _VerificationsOfPoll(InstancePollsView):
    def verifications(self, number: str, poll: str) -> QuerySet[Verification]:
        """Return the poll's verifications, newest first."""
        found = Verification.objects.filter(resource_poll=self.poll(self.instance(number), poll))
        return found.select_related("resource_poll").order_by("-pk")


class VerificationsView(_VerificationsOfPoll):
    """`…/verifications`."""

    scopes = MANAGES

    @described(
        Operation(
            POLLS,
            "List a poll's verifications, newest first",
            VerificationPage,
            query=VerificationQuery,
        )
    )
    def get(self, request: Request, number: str, poll: str) -> Response:
        """List the poll's verifications."""
        found, query = self.verifications(number, poll), read_query(VerificationQuery, request.query_params)
        before = read_cursor(query.cursor)
        rows = list((found if before is None else found.filter(pk__lt=before))[: query.limit + 1])
        page, more = paging.cut(rows, query.limit)
        return answer(VerificationPage(items=[_shape(row) for row in page], next_cursor=more))

    @described(
        Operation(
            POLLS,
            "Have ConnectWise compared with what was recorded",
            VerificationShape,
            202,
            headers=ONCE,
            errors=POSTED,
            example=_VERIFICATION,
            description=(
                "The workers read every id of the resource, one request for each thousand rows, beside the polls; "
                "nothing is changed. Ask for the verification until it is no longer open. One that is open already is "
                "the answer."
            ),
        )
    )
    @idempotent
    def post(self, request: Request, number: str, poll: str) -> Response:
        """Have the workers compare, 202; one that is under way already is the answer."""
        found = self.poll(self.instance(number), poll)
        return answer(_shape(start_verification(found, timezone.now())), 202)


class VerificationView(_VerificationsOfPoll):
    """`…/verifications/{verification}`."""

    scopes = READS

    @described(
        Operation(
            POLLS,
            "Show how far a verification came, and what it found",
            VerificationShape,
            errors=(400,),
            example=_VERIFICATION | _VERIFIED,
        )
    )
    def get(self, request: Request, number: str, poll: str, verification: str) -> Response:
        """Show how far a verification came, and what it found."""
        self.no_query()
        found = self.verifications(number, poll).filter(pk=verification).first()
        if found is None:
            raise Http404
        return answer(_shape(found))


def _shape(row: Verification) -> VerificationShape:
    finding = finding_of(row)
    return VerificationShape(
        id=row.pk,
        status=cast(Literal["open", "complete", "failed"], row.status),
        asked_at=row.asked_at,
        finished_at=row.finished_at,
        rows_read=row.source,
        error=row.error or None,
        finding=_finding(finding) if finding else None,
    )


def _finding(found: Finding) -> FindingShape:
    return FindingShape(
        whole=found.whole,
        source=found.source,
        known=found.known,
        missed=list(found.missed),
        stale=list(found.stale),
        deleted=list(found.deleted),
        undated=list(found.undated),
        coming=found.coming,
        undelivered=found.undelivered,
        repeated=found.repeated,
        held=found.held,
        subscriptions=[_of_subscription(each) for each in found.subscriptions],
    )


def _of_subscription(found: SubscriptionFinding) -> SubscriptionFindingShape:
    counts = {count: getattr(found, count) for count in COUNTS}
    return SubscriptionFindingShape(subscription_id=found.subscription_id, name=found.name, **counts)
