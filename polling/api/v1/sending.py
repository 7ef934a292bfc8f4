"""`/v1/instances/{id}/…` about what is sent: a test notification, and the signature key's rotation."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

from django.utils import timezone
from pydantic import AfterValidator, Field
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core.errors import DomainError
from cwconnect.core.openapi import Operation, described
from instances.api.permission import MANAGES
from instances.credentials.overlap import LONGEST_OVERLAP, OVERLAP
from instances.credentials.signature_keys import rotate_signature_key
from polling.api.v1.base import (
    SENDING,
    Moment,
    SeenText,
    Shape,
    Strict,
    V1View,
    answer,
    read_body,
    seen,
)
from polling.api.v1.idempotency import ONCE, POSTED, idempotent
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.test_notification import SampleResult, send_test


class TestRequest(Strict):
    """The resource that the sample event is of."""

    __test__ = False  # pytest: no test, a request for one

    resource: SeenText


class SentShape(Shape):
    """What was sent; headers that may hold secrets are masked."""

    url: str
    headers: dict[str, str]
    body: dict[str, Any]


class AnswerShape(Shape):
    """What the receiver answered: the first 20 kB."""

    status: int
    body: str


class TrialShape(Shape):
    """A test notification. `response` is null where none came; `error` says why it would not count as delivered."""

    delivered: bool
    seconds: float
    request: SentShape
    response: AnswerShape | None
    error: str | None


class Rotation(Strict):
    """The new key, made here if none is given, and how long the present one signs beside it: a day if not given."""

    key: Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(seen)] | None = None
    until: Moment | None = None


class RotatedShape(Shape):
    """The new key, shown here only, and when the former one ends; null where there was none."""

    key: str
    previous_key_until: datetime | None


class TestNotificationView(V1View):
    """`/v1/instances/{id}/test-notification`."""

    scopes = MANAGES

    __test__ = False  # pytest: no test either

    @described(
        Operation(
            SENDING,
            "Send a sample event, marked Elements-Webhook-Test: true, and show what came of it",
            TrialShape,
            body=TestRequest,
            headers=ONCE,
            errors=POSTED,
            body_examples={"contacts": {"resource": "contacts"}},
        )
    )
    @idempotent
    def post(self, request: Request, number: str) -> Response:
        """Send a sample event, and show request, response and time taken."""
        instance, body = self.instance(number), read_body(TestRequest, request.data)
        return answer(sample_shape(send_test(first_subscription(instance), body.resource, timezone.now())))


class SignatureKeyView(V1View):
    """`/v1/instances/{id}/signature-key/rotate`."""

    scopes = MANAGES

    @described(
        Operation(
            SENDING,
            "Sign with a new key, and with the present one beside it for a day",
            RotatedShape,
            body=Rotation,
            body_required=False,
            headers=ONCE,
            errors=POSTED,
            body_examples={"made here": {}},
        )
    )
    @idempotent
    def post(self, request: Request, number: str) -> Response:
        """Sign with a new key, and for a while with the present one beside it."""
        instance, body, now = self.instance(number), read_body(Rotation, request.data), timezone.now()
        key = rotate_signature_key(instance, now, key=body.key, until=former_until(body, now))
        instance.refresh_from_db()
        return answer(RotatedShape(key=key, previous_key_until=instance.previous_key_until))


def former_until(body: Rotation, now: datetime) -> datetime:
    """Return until when the former key is to sign as well; DomainError."""
    until = body.until or now + OVERLAP
    if not now <= until <= now + LONGEST_OVERLAP:
        raise DomainError("until: must be a time within the next 30 days.")
    return until


def sample_shape(result: SampleResult) -> TrialShape:
    """Return what came of a test notification as `/v1` shows it."""
    outcome = result.outcome
    return TrialShape(
        delivered=outcome.delivered,
        seconds=round(outcome.seconds, 3),
        request=SentShape(url=result.url, headers=dict(outcome.headers), body=json.loads(result.body)),
        response=None if outcome.status is None else AnswerShape(status=outcome.status, body=outcome.response),
        error=None if outcome.delivered else outcome.sentence(),
    )
