"""One attempt: what a thread needs to sign and send a notification, and what came of it. Touches no database."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from django.utils import timezone

from cwconnect.core.redact import redactor
from cwconnect.outbound import (
    NOTIFICATION_LIMITS,
    InvalidHeader,
    OutboundClient,
    OutboundError,
    Reply,
    TimedOut,
    merge_headers,
)
from cwconnect.tracing import Span, is_on, span
from instances.credentials.masking import secrets_of, secrets_of_settings
from instances.credentials.signature_keys import signing_keys
from instances.secrets import MASK
from polling.delivery.adaptive_limits import Batch
from polling.delivery.claims import Claimed
from polling.delivery.signing import signature_headers
from polling.models import Subscription

LONGEST_RESPONSE = 20_000
USER_AGENT = "cwconnect"
JSON = "application/json"
REPLAY_HEADER = "Elements-Webhook-Replay"
TRACE_HEADER = "traceparent"  # https://www.w3.org/TR/trace-context/


@dataclass(frozen=True)
class DeliveryTarget:
    """Where a subscription's notifications go, and how they are signed; shared by all its requests of a claim.

    `retry_schedule`: seconds before each try, where it is not the service's.
    """

    subscription_id: int
    url: str
    keys: tuple[str, ...] = field(repr=False)
    extra_headers: Mapping[str, str] = field(repr=False)
    auth: tuple[str, str] | None = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    retry_schedule: tuple[float, ...] | None = None

    def mask(self, text: str, *, cut: bool = False) -> str:
        """Return what a receiver answered, the secrets masked: it may echo what it was sent."""
        return redactor(self.secrets)(text, cut=cut)


@dataclass(frozen=True)
class DeliveryRequest:
    """A claimed notification, ready to be sent. `lease_end` is in monotonic seconds: no POST begins after it.

    `receiver_id` names the breaker that counts the attempt; a `probe` is sent while that is open. `batch` is the one
    that a thread sends it in.
    """

    notification: Claimed
    subscription: Subscription
    delivery_target: DeliveryTarget
    token: str
    lease_end: float
    body: bytes
    batch: Batch
    host: str = ""
    receiver_id: int | None = None
    probe: bool = False

    @property
    def attempt_id(self) -> int:
        """The row of the attempt, which was written before this came to be."""
        return self.notification.attempt_id

    def headers(self, timestamp: int, *, traceparent: str | None = None) -> dict[str, str]:
        """Return the headers of an attempt at `timestamp` (Unix seconds); InvalidHeader if the user's can't be sent.

        `traceparent`, of the attempt's span, gives way to one of the user's own.
        """
        extra = self.delivery_target.extra_headers
        ours = {"Content-Type": self.notification.content_type or JSON, "User-Agent": USER_AGENT}
        if self.notification.repeated:  # asked for again, and it may have arrived before
            ours[REPLAY_HEADER] = "true"
        ours |= signature_headers(self.delivery_target.keys, self.notification.webhook_id, timestamp, self.body)
        if traceparent and TRACE_HEADER not in map(str.lower, extra):
            ours[TRACE_HEADER] = traceparent
        return merge_headers(ours, extra)

    def send_in_batch(self, outbound_client: OutboundClient) -> Outcome:
        """Send it, unless its batch is over."""
        if self.batch.over:
            return Outcome(sent=False)
        outcome = send(self, outbound_client)
        self.batch.note(delivered=outcome.delivered)
        return outcome


# What answers of a receiver mean that its operator may not know, with what to do.
_HELP = {
    401: "It wants a login: see the Basic credentials and headers of the settings.",
    403: "It, or what stands before it, forbids this: see its headers, and the addresses that it lets in.",
    404: "Nothing is at that path: see the callback URL.",
    405: "That path takes no POST: see the callback URL.",
    407: "A proxy before it wants a login.",
    413: "The notification is larger than it takes.",
    415: "It does not take this Content-Type: see the form.",
    429: "It wants fewer requests.",
    502: "What stands before it can't reach it.",
    504: "What stands before it waited for it in vain.",
}


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt.

    `sent` is False when the batch or the lease ended before the POST could begin; `unsent` is True of a POST that
    failed before a byte of it could reach the receiver.
    """

    sent: bool = True
    status: int | None = None
    seconds: float = 0.0
    error_kind: str = ""
    error: str = ""
    response: str = ""
    retry_after: str = ""
    unsent: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def delivered(self) -> bool:
        """Any 2xx is success; a redirect is a failure.

        Source: docs/wire-contract.md#6-headers-signatures-answers-and-retries.
        """
        return self.status is not None and 200 <= self.status < 300

    @property
    def timed_out(self) -> bool:
        """Whether a time limit ended it."""
        return self.error_kind == TimedOut.kind

    def sentence(self) -> str:
        """Say what went wrong, for people."""
        return self.error or answer_in_words(self.status)


def answer_in_words(status: int | None) -> str:
    """Say that a receiver's answer was no success and, where the number alone helps nobody, what to look at."""
    if status is None:
        return "The receiver did not answer."
    redirect = "Redirects are not followed: set the callback URL to where it leads." if 300 <= status < 400 else ""
    return f"The receiver answered {status}. {redirect or _HELP.get(status, '')}".rstrip()


def delivery_target_of(subscription: Subscription, now: datetime) -> DeliveryTarget:
    """Open a subscription's delivery settings; SecretUnreadableError if one of its secrets can't be opened."""
    row, schedule = subscription.notification_settings, subscription.retry_schedule
    headers: dict[str, Any] = orjson.loads(row.callback_headers.reveal()) if row.callback_headers else {}
    auth = None
    if row.basic_username:
        auth = (row.basic_username, row.basic_password.reveal() if row.basic_password else "")
    of_instance = secrets_of(subscription.instance)
    return DeliveryTarget(
        subscription_id=subscription.pk,
        url=row.callback_url,
        keys=signing_keys(row, now),
        extra_headers={name: str(value) for name, value in headers.items()},
        auth=auth,
        secrets=of_instance if subscription.is_first else tuple({*of_instance, *secrets_of_settings(subscription)}),
        retry_schedule=None if schedule is None else tuple(schedule),
    )


def send(delivery_request: DeliveryRequest, outbound_client: OutboundClient) -> Outcome:
    """Sign and POST, once."""
    if time.monotonic() > delivery_request.lease_end - NOTIFICATION_LIMITS.total:
        return Outcome(sent=False)
    if not is_on():
        return _post(delivery_request, outbound_client)
    with span(
        "deliver", _attributes(delivery_request), parent=delivery_request.notification.traceparent, kind="client"
    ) as traced:
        outcome = _post(delivery_request, outbound_client, traceparent=traced.traceparent if traced else None)
        if traced:
            _say(traced, outcome)
        return outcome


def _attributes(request: DeliveryRequest) -> dict[str, str | int | bool]:
    """Return what the attempt's span says before it is made."""
    return {
        "server.address": request.host,
        "http.request.method": "POST",
        "cwconnect.instance_id": request.subscription.instance_id,
        "cwconnect.subscription_id": request.delivery_target.subscription_id,
        "cwconnect.notification_id": request.notification.pk,
        "cwconnect.webhook_id": request.notification.webhook_id,
        "cwconnect.attempt_id": request.attempt_id,
        "cwconnect.replay": request.notification.repeated,
    }


def _say(traced: Span, outcome: Outcome) -> None:
    """Have the attempt's span say what came of it, without a word of the receiver's."""
    if outcome.status is not None:
        traced.set({"http.response.status_code": outcome.status})
    if not outcome.delivered:
        traced.fail(outcome.error_kind)


def _post(
    delivery_request: DeliveryRequest, outbound_client: OutboundClient, *, traceparent: str | None = None
) -> Outcome:
    started = time.monotonic()
    try:
        headers = delivery_request.headers(int(timezone.now().timestamp()), traceparent=traceparent)
    except InvalidHeader as error:
        return Outcome(error_kind="invalid-header", error=str(error), unsent=True)
    delivery_target = delivery_request.delivery_target
    shown = shown_headers(headers, delivery_target)
    try:
        reply = outbound_client.request(
            "POST",
            delivery_target.url,
            headers=headers,
            body=delivery_request.body,
            limits=NOTIFICATION_LIMITS,
            auth=delivery_target.auth,
            truncate=True,
        )
    except OutboundError as error:
        seconds = time.monotonic() - started
        words = delivery_target.mask(str(error))
        return Outcome(seconds=seconds, error_kind=error.kind, error=words, unsent=not error.sent, headers=shown)
    delivered, note = 200 <= reply.status < 300, ""
    if delivered and reply.broken:  # the status has decided, this is for people
        note = delivery_target.mask(f"Delivered; the rest of the answer was not whole: {reply.broken}")
    return Outcome(
        status=reply.status,
        seconds=reply.seconds,
        error_kind="" if delivered else "status",
        error=note,
        response=_excerpt(reply, delivery_target),
        retry_after=reply.headers.get("Retry-After", ""),
        headers=shown,
    )


def _excerpt(reply: Reply, delivery_target: DeliveryTarget) -> str:
    """Return the beginning of an answer's body. It is masked before it is cut, so that no half of a secret is left."""
    masked = delivery_target.mask(reply.text(), cut=reply.truncated or bool(reply.broken))
    return masked[:LONGEST_RESPONSE].replace("\x00", "\N{REPLACEMENT CHARACTER}")


def shown_headers(headers: Mapping[str, str], delivery_target: DeliveryTarget) -> dict[str, str]:
    """Return the headers as an attempt keeps them: the values that the user set are masked, they may be credentials."""
    shown = {name: MASK if name in delivery_target.extra_headers else value for name, value in headers.items()}
    return shown | ({"Authorization": MASK} if delivery_target.auth else {})
