"""Pages that say what went wrong name the request, so that the log's lines of it can be found."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.test import Client

from instances.pages.access import person_of

pytestmark = pytest.mark.django_db


def failing_with(error: Exception) -> Callable[[Client], Any]:
    """Return a way to have a page fail with `error`."""

    def ask(client: Client) -> Any:
        with patch(f"{person_of.__module__}.{person_of.__name__}", side_effect=error):
            return client.get("/app/instances")

    return ask


def guess_too_often(_: Client) -> Any:
    stranger, guess = Client(), {"username": "olga", "password": "a guess"}
    return [stranger.post("/app/signin", guess) for _try in range(settings.AXES_FAILURE_LIMIT)][-1]


def send_unsigned_form(client: Client) -> Any:
    client.handler.enforce_csrf_checks = True
    return client.post("/app/signout")


WAYS: dict[str, tuple[int, Callable[[Client], Any]]] = {
    "400.html": (400, lambda client: client.get("/app/instances", headers={"Host": "else.example"})),
    "403.html": (403, failing_with(PermissionDenied())),
    "403_csrf.html": (403, send_unsigned_form),
    "404.html": (404, lambda client: client.get("/app/nothing")),
    "429.html": (429, guess_too_often),
    "500.html": (500, failing_with(ZeroDivisionError())),
    "503.html": (503, failing_with(OperationalError("gone"))),
}


def test_every_error_page_is_tried() -> None:
    assert {path.name for path in (Path(settings.BASE_DIR) / "templates").glob("[45]*.html")} == WAYS.keys()


@pytest.mark.parametrize("template", WAYS)
def test_it_shows_the_id_that_the_answer_has(operator: Client, template: str) -> None:
    operator.raise_request_exception = False
    status, ask = WAYS[template]
    answer = ask(operator)
    assert answer.status_code == status
    shown = re.findall(r'<code id="request-id">(\w+)</code>', answer.content.decode())
    assert shown == [answer.headers["Elements-Request-Id"]]
