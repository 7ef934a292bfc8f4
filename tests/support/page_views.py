"""Looks at pages as a superuser who is an operator, and counts what each look takes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from instances.models import Membership, Organization, Role
from tests.support.every_page import Page

# Not shown to somebody signed in, what only leads to a page, and addresses that only take what is sent.
ELSEWHERE = ("signin", "account_login", "first-start", "watch-resource", "back-from-issuer", "own-issuer")
# One's own second factors, which grow with nothing: confirmed first, or not there.
FACTORS = "mfa_"
SENT_TO = 405
NOTHING_NEW = 304
LACKING = ("poll-progress",)  # without its query


@dataclass(frozen=True)
class Look:
    """What a page took: queries, milliseconds at the first look, and at the quickest of all: others' work only adds."""

    page: Page
    queries: int
    first_ms: float
    ms: float


def body_of(answer: Any) -> bytes:
    """Return the whole body of the test client's answer, also of one that is streamed."""
    return b"".join(answer.streaming_content) if answer.streaming else bytes(answer.content)


def onlooker(organization: Organization) -> Client:
    """Sign somebody in who may see everything."""
    account, _ = User.objects.get_or_create(username="onlooker", is_staff=True, is_superuser=True)
    Membership.objects.create(account=account, organization=organization, role=Role.OPERATOR)
    client = Client()
    client.force_login(account)
    return client


def look(client: Client, page: Page, *, times: int = 1) -> Look | None:
    """Look at a page; None if it is none. Anything but 200 is an AssertionError."""
    with CaptureQueriesContext(connection) as captured:
        first = _get(client, page)
    if first is None:
        return None
    queries = len(captured)
    taken = [taken for _ in range(times) if (taken := _get(client, page)) is not None]
    return Look(page, queries, first, min([first, *taken]))


def look_again(client: Client, page: Page, *, times: int = 1) -> Look | None:
    """Ask for what refreshes itself on a page as a tab does that shows it already; None if nothing does."""
    headers = {"HX-Request": "true"}
    tag = client.get(page.path, headers=headers).headers.get("ETag")
    if tag is None:
        return None
    known = headers | {"If-None-Match": tag}
    with CaptureQueriesContext(connection) as captured:
        first = _timed(client, page, NOTHING_NEW, known)
    queries = len(captured)
    taken = [_timed(client, page, NOTHING_NEW, known) for _ in range(times)]
    return Look(Page(f"{page.name}, nothing new", page.path), queries, first, min([first, *taken]))


def _timed(client: Client, page: Page, expected: int, headers: dict[str, str]) -> float:
    began = time.perf_counter()
    status = client.get(page.path, headers=headers).status_code
    assert status == expected, f"{page.path} answered {status}"
    return (time.perf_counter() - began) * 1000


def _get(client: Client, page: Page) -> float | None:
    began = time.perf_counter()
    status = client.get(page.path).status_code
    if status == SENT_TO or page.name in (*ELSEWHERE, *LACKING) or page.name.startswith(FACTORS):
        return None
    assert status == 200, f"{page.path} answered {status}"
    return (time.perf_counter() - began) * 1000
