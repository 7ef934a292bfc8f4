"""Both signatures, against the vendors' vectors and an independent verifier."""

import base64
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from polling.delivery.signing import signature_headers


def test_the_elements_vector_holds() -> None:
    body = b"<INSERT_EVENT_NOTIFICATION_RESPONSE_BODY>"
    headers = signature_headers(["MySecretEventSignatureKey"], "msg_1", 1, body)
    assert headers["Elements-Webhook-Signature"] == "sha256=jHdbRx5EZAsOfTwAPJOGkNUzQMVVdu5VJlxcsk+G6jQ="


def test_the_standard_webhooks_vector_holds() -> None:
    key, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    headers = signature_headers([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def _verify(key: str, headers: dict[str, str], body: bytes) -> None:
    Webhook(key).verify(body.decode(), headers)


@given(st.binary(min_size=1, max_size=64))
def test_what_we_sign_the_standard_webhooks_package_verifies(secret: bytes) -> None:
    key = "whsec_" + base64.b64encode(secret).decode()
    now = int(datetime.now(UTC).timestamp())
    headers = signature_headers([key], "msg_1", now, b'{"a":1}')
    _verify(key, headers, b'{"a":1}')


def test_while_a_key_is_rotated_both_the_new_and_the_old_verify() -> None:
    old, new = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    now = int(datetime.now(UTC).timestamp())
    headers = signature_headers([new, old], "msg_1", now, b"{}")
    _verify(old, headers, b"{}")
    _verify(new, headers, b"{}")
    by_new = base64.b64encode(hmac.digest(new.encode(), b"{}", "sha256")).decode()
    assert headers["Elements-Webhook-Signature"] == f"sha256={by_new}"


@pytest.mark.parametrize("key", ["whsec_not base64!", "plain", "whsec_"])
def test_any_key_signs(key: str) -> None:
    assert signature_headers([key], "msg_1", 1, b"{}")["webhook-signature"].startswith("v1,")


def test_without_a_key_nothing_is_signed_but_the_id_is_sent() -> None:
    headers = signature_headers([], "msg_1", 1, b"{}")
    assert headers == {"Elements-Webhook-Id": "msg_1", "webhook-id": "msg_1", "webhook-timestamp": "1"}
