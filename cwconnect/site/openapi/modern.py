"""The routes under `/v1`."""

from __future__ import annotations

from collections.abc import Mapping

from cwconnect.core.openapi import Operation, Parameter
from polling.api.v1 import (
    deliveries,
    events,
    held,
    poll_shapes,
    polls,
    replays,
    secrets,
    sending,
    verifications,
)
from polling.api.v1.idempotency import HEADER, LONGEST_KEY

POLLS, PULL, DELIVERIES, SECRETS, SENDING = (
    "v1: polls",
    "v1: events",
    "v1: deliveries",
    "v1: secrets",
    "v1: sending",
)
_ONCE = (
    Parameter(
        HEADER,
        {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]+$"},
        "A POST with the same key is done once within 24 hours, and answered with the same words.",
        place="header",
    ),
)
_POSTED = (400, 409, 415, 422)
_POLL = "/v1/instances/{instance}/polls"

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
    },
}
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

MODERN: Mapping[str, Operation] = {
    "GET /v1/events": Operation(
        PULL,
        "List what came after an event, in ascending order",
        events.EventPage,
        query=events.EventQuery,
        errors=(404,),
        description="Ask again with next_after: ids become visible in their order, so nothing is missed.",
    ),
    "GET /v1/events/{event}": Operation(PULL, "Show one event", events.EventShape, errors=(400,)),
    "GET /v1/deliveries": Operation(
        DELIVERIES,
        "List notifications, newest first",
        deliveries.DeliveryPage,
        query=deliveries.DeliveryQuery,
        errors=(404,),
    ),
    "GET /v1/deliveries/{delivery}": Operation(
        DELIVERIES, "Show a notification with its attempts", deliveries.DeliveryDetail, errors=(400,)
    ),
    "GET /v1/secrets": Operation(SECRETS, "List the users' secrets by name", secrets.SecretPage, errors=(400, 403)),
    "POST /v1/secrets": Operation(
        SECRETS,
        "Make a user's secret, shown here only",
        secrets.NewSecretShape,
        201,
        body=secrets.NewSecret,
        headers=_ONCE,
        errors=(403, *_POSTED),
    ),
    "DELETE /v1/secrets/{secret}": Operation(SECRETS, "Revoke a secret", status=204, errors=(403, 409)),
    f"GET {_POLL}": Operation(POLLS, "List an instance's polls and how they fare", poll_shapes.PollPage, errors=(400,)),
    f"POST {_POLL}": Operation(
        POLLS,
        "Poll one more resource, as another one if copy_of names it",
        poll_shapes.PollShape,
        201,
        body=polls.NewPoll,
        headers=_ONCE,
        errors=(403, 500, *_POSTED),
        body_examples={"copy": {"resource": "incidents", "copy_of": "contacts"}},
    ),
    f"GET {_POLL}/{{poll}}": Operation(POLLS, "Show one poll", poll_shapes.PollShape, errors=(400,)),
    f"PATCH {_POLL}/{{poll}}": Operation(
        POLLS,
        "Change a poll's configuration, or switch it on or off",
        poll_shapes.PollShape,
        body=polls.PollChange,
        body_required=False,
        errors=(403, 409, 500),
        body_examples={"off": {"enabled": False}, "configuration": {"configuration": {"pageSize": None}}},
    ),
    f"POST {_POLL}/{{poll}}/run": Operation(
        POLLS, "Poll now", poll_shapes.PollShape, 202, headers=_ONCE, errors=_POSTED
    ),
    f"POST {_POLL}/{{poll}}/backfill": Operation(
        POLLS,
        "Read a window again: what was missed becomes events",
        poll_shapes.PollShape,
        202,
        body=polls.Backfill,
        headers=_ONCE,
        errors=_POSTED,
    ),
    "POST /v1/instances/{instance}/test-notification": Operation(
        SENDING,
        "Send a sample event, marked Elements-Webhook-Test: true, and show what came of it",
        sending.TrialShape,
        body=sending.TestRequest,
        headers=_ONCE,
        errors=_POSTED,
        body_examples={"contacts": {"resource": "contacts"}},
    ),
    "POST /v1/instances/{instance}/signature-key/rotate": Operation(
        SENDING,
        "Sign with a new key, and with the present one beside it for a day",
        sending.RotatedShape,
        body=sending.Rotation,
        body_required=False,
        headers=_ONCE,
        errors=_POSTED,
        body_examples={"made here": {}},
    ),
    f"GET {_POLL}/{{poll}}/held-deletes": Operation(
        POLLS, "List the rows whose deletes are held back", held.HeldPage, query=held.HeldQuery
    ),
    f"POST {_POLL}/{{poll}}/held-deletes/release": Operation(
        POLLS, "Have the held deletes told", held.DecidedShape, headers=_ONCE, errors=_POSTED
    ),
    f"POST {_POLL}/{{poll}}/held-deletes/dismiss": Operation(
        POLLS, "Have the held deletes not told", held.DecidedShape, headers=_ONCE, errors=_POSTED
    ),
    f"POST {_POLL}/{{poll}}/verifications": Operation(
        POLLS,
        "Have ConnectWise compared with what was told",
        verifications.VerificationShape,
        202,
        headers=_ONCE,
        errors=_POSTED,
        example=_VERIFICATION,
        description=(
            "The workers read every id of the resource, one request for each thousand rows, beside the polls; nothing "
            "is changed. Ask for the verification until it is no longer open. One that is open already is the answer."
        ),
    ),
    f"GET {_POLL}/{{poll}}/verifications": Operation(
        POLLS,
        "List a poll's verifications, newest first",
        verifications.VerificationPage,
        query=verifications.VerificationQuery,
    ),
    f"GET {_POLL}/{{poll}}/verifications/{{verification}}": Operation(
        POLLS,
        "Show how far a verification came, and what it found",
        verifications.VerificationShape,
        errors=(400,),
        example=_VERIFICATION | _VERIFIED,
    ),
    "POST /v1/deliveries/{delivery}/replay": Operation(
        DELIVERIES, "Send a notification again", replays.ReplayShape, 202, headers=_ONCE, errors=_POSTED
    ),
    "POST /v1/instances/{instance}/replays": Operation(
        DELIVERIES,
        "Send a selection of notifications again, marked as a replay where they may have arrived before",
        replays.ReplayShape,
        202,
        body=replays.ReplayRequest,
        body_required=False,
        headers=_ONCE,
        errors=_POSTED,
        also={200: "Counted only."},
        description=(
            "Up to 500 notifications are queued at once, more by the workers. "
            "Ask for the replay to see how far it came."
        ),
        body_examples={"count": {"failed": True, "count_only": True}, "since": {"since": "2026-01-31T12:00:00Z"}},
    ),
    "GET /v1/instances/{instance}/replays/{replay}": Operation(
        DELIVERIES, "Show how far a replay came", replays.ReplayShape, errors=(400,), example=_REPLAY
    ),
}
