"""Every attempt of a retried notification verifies by three programs that are not ours, and by none once it is altered.

Python's standardwebhooks, npm's standardwebhooks in node, and the vendor's scheme as openssl computes it, which is held
against the vendor's own vector first. `.ci/run` installs the npm package into a folder and names it in
CWCONNECT_TEST_NPM.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.deliveries import KEY, change, deliver
from tests.support.polled_instance import PolledInstance
from tests.support.receivers import Got, Receiver
from tests.support.required import SERVICES_REQUIRED

NPM = os.environ.get("CWCONNECT_TEST_NPM", "")
READY = bool(NPM) and shutil.which("node") is not None
pytestmark = pytest.mark.skipif(
    not READY and not SERVICES_REQUIRED,
    reason="needs node, and npm's standardwebhooks installed in the folder that CWCONNECT_TEST_NPM names",
)
STATUSES = (500, 429, 302, 503, 204)


def in_node(attempts: list[Got]) -> list[bool]:
    """What npm's standardwebhooks says of each."""
    asked = [{"key": KEY, "body": got.body.decode(), "headers": got.headers} for got in attempts]
    program = Path(__file__).with_name("verify.mjs")
    ran = subprocess.run(["node", program, NPM], input=json.dumps(asked), capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    answered: list[bool] = json.loads(ran.stdout)
    assert len(answered) == len(attempts)
    return answered


def in_python(got: Got) -> bool:
    """What Python's standardwebhooks says, at the attempt's own time."""
    with time_machine.travel(int(got.headers["webhook-timestamp"]), tick=False):
        try:
            Webhook(KEY).verify(got.body.decode(), got.headers)
        except WebhookVerificationError:
            return False
    return True


def vendors_signature(key: str, body: bytes) -> str:
    """`Elements-Webhook-Signature` as openssl computes it."""
    ran = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", key, "-binary"], input=body, capture_output=True, check=True, timeout=60
    )
    return f"sha256={base64.b64encode(ran.stdout).decode()}"


def test_the_vendors_vector_holds() -> None:
    signature = vendors_signature("MySecretEventSignatureKey", b"<INSERT_EVENT_NOTIFICATION_RESPONSE_BODY>")
    assert signature == "sha256=jHdbRx5EZAsOfTwAPJOGkNUzQMVVdu5VJlxcsk+G6jQ="


def test_every_attempt_of_a_retried_notification_verifies_by_all_three(
    notifying: PolledInstance, receiver: Receiver
) -> None:
    receiver.answer = lambda got: (STATUSES[len(receiver.got) - 1], {})
    change(notifying, 17)
    now = timezone.now()
    for hours in range(len(STATUSES)):
        with time_machine.travel(now + timedelta(hours=hours), tick=True):
            deliver()
    attempts = receiver.got
    assert len(attempts) == len(STATUSES)
    assert len({got.webhook_id for got in attempts}) == 1
    assert in_node(attempts) == [True] * len(STATUSES)
    assert [in_python(got) for got in attempts] == [True] * len(STATUSES)
    for got in attempts:
        assert got.headers["elements-webhook-signature"] == vendors_signature(KEY, got.body)


def test_an_altered_notification_verifies_by_none(notifying: PolledInstance, receiver: Receiver) -> None:
    change(notifying, 17)
    deliver()
    (got,) = receiver.got
    altered = Got(got.headers, got.body.replace(b'"17"', b'"18"'))
    assert altered.body != got.body
    later = Got(got.headers | {"webhook-timestamp": str(int(got.headers["webhook-timestamp"]) + 1)}, got.body)
    assert in_node([altered, later]) == [False, False]
    assert [in_python(each) for each in (altered, later)] == [False, False]
    assert got.headers["elements-webhook-signature"] != vendors_signature(KEY, altered.body)
