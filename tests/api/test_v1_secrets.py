"""`/v1/secrets`, and Idempotency-Key, which must not do a thing twice nor keep a secret in the clear."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from instances.models import ApiUser
from instances.secrets import Secret
from polling.models.idempotency import IdempotentAnswer
from tests.api.conftest import Watched
from tests.conftest import Tenant
from tests.support.api_caller import Api

pytestmark = pytest.mark.django_db


def post(api: Api, body: Any, key: str | None = None, path: str = "/v1/secrets") -> Any:
    headers = {"Authorization": api.tenant.auth} | ({"Idempotency-Key": key} if key is not None else {})
    return api.client.post(path, json.dumps(body), content_type="application/json", headers=headers)


def names(api: Api) -> list[str]:
    return [item["name"] for item in api("GET", "/v1/secrets").json()["items"]]


def test_a_secret_is_shown_once_and_works(api: Api, tenant: Tenant) -> None:
    made = post(api, {"name": "bob"})
    assert made.status_code == 201
    auth = f"User {made.json()['secret']}, Organization {tenant.organization_secret}"
    listed = api("GET", "/v1/secrets", auth=auth)
    assert [item["name"] for item in listed.json()["items"]] == ["alice", "bob"]
    assert b'secret"' not in listed.content


def test_a_revoked_secret_ends_at_once(api: Api, tenant: Tenant) -> None:
    made = post(api, {"name": "bob"}).json()
    assert api("DELETE", f"/v1/secrets/{made['id']}").status_code == 204
    auth = f"User {made['secret']}, Organization {tenant.organization_secret}"
    assert api("GET", "/v1/secrets", auth=auth).status_code == 401
    assert names(api) == ["alice"]


def test_the_last_secret_can_not_be_revoked(api: Api) -> None:
    assert api("DELETE", f"/v1/secrets/{api.tenant.user.pk}").status_code == 409
    assert names(api) == ["alice"]


def test_a_name_is_taken_once(api: Api) -> None:
    assert post(api, {"name": "alice"}).status_code == 409


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 1}, {"name": "x", "role": "y"}, [], {"name": "x" * 201}])
def test_a_body_that_is_not_understood_is_400(api: Api, body: Any) -> None:
    assert post(api, body).status_code == 400


def test_an_element_token_has_no_say_about_secrets(api: Api, watched: Watched) -> None:
    assert api("GET", "/v1/secrets", auth=watched.auth).status_code == 403
    assert api("POST", "/v1/secrets", {"name": "bob"}, auth=watched.auth).status_code == 403


def test_others_secrets_do_not_exist(api: Api, other_tenant: Tenant) -> None:
    assert api("DELETE", f"/v1/secrets/{other_tenant.user.pk}").status_code == 404
    assert names(api) == ["alice"]


def test_the_same_key_does_it_once_and_gives_the_same_answer(api: Api) -> None:
    first, second = post(api, {"name": "bob"}, "k"), post(api, {"name": "bob"}, "k")
    assert second.status_code == first.status_code == 201
    assert second.json() == first.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert names(api) == ["alice", "bob"]


def test_the_kept_answer_is_encrypted(api: Api) -> None:
    secret = post(api, {"name": "bob"}, "k").json()["secret"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT answer FROM polling_idempotentanswer")
        (stored,) = cursor.fetchone()
    assert secret not in stored


def test_the_same_key_for_another_request_is_422(api: Api) -> None:
    post(api, {"name": "bob"}, "k")
    assert post(api, {"name": "carol"}, "k").status_code == 422
    assert names(api) == ["alice", "bob"]


def test_a_refused_request_may_be_asked_again(api: Api) -> None:
    assert post(api, {"name": "alice"}, "k").status_code == 409
    ApiUser.objects.filter(name="alice").update(name="anna")
    assert post(api, {"name": "alice"}, "k").status_code == 201


def test_while_the_first_is_under_way_the_second_waits(api: Api) -> None:
    post(api, {"name": "bob"}, "k")
    IdempotentAnswer.objects.update(answer=None)
    assert post(api, {"name": "bob"}, "k").status_code == 409
    IdempotentAnswer.objects.update(created_at=timezone.now() - timedelta(minutes=6))
    ApiUser.objects.filter(name="bob").delete()
    assert post(api, {"name": "bob"}, "k").status_code == 201


def test_after_a_day_a_key_is_forgotten(api: Api) -> None:
    post(api, {"name": "bob"}, "k")
    IdempotentAnswer.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert post(api, {"name": "carol"}, "k").status_code == 201


def test_each_caller_has_keys_of_its_own(api: Api, other_api: Api) -> None:
    first, second = post(api, {"name": "bob"}, "k"), post(other_api, {"name": "bob"}, "k")
    assert first.json()["secret"] != second.json()["secret"]


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_a_sensible_length(api: Api, key: str) -> None:
    assert post(api, {"name": "bob"}, key).status_code == 400


def test_an_answer_that_no_key_opens_is_said_so(api: Api) -> None:
    post(api, {"name": "bob"}, "k")
    IdempotentAnswer.objects.update(answer=Secret("v2:x:x"))
    assert post(api, {"name": "bob"}, "k").status_code == 409
