"""The error pages of CWCONNECT_DEBUG show where, and nothing that could be a secret."""

from __future__ import annotations

import secrets
import sys

from django.conf import settings as ours
from django.test import RequestFactory
from django.views.debug import technical_500_response
from pytest_django import Settings

from cwconnect.core import env

# Made anew, since the page shows the source around the error.
SECRETS = {
    what: secrets.token_hex(12)
    for what in (
        "a local variable",
        "an argument",
        "a form",
        "a header",
        "a cookie",
        "a database's password",
        "a broker's password",
        "a mail server's password",
        "a proxy's password",
        "a webhook's path",
        "a heartbeat's path",
        "a metrics token",
        "an encryption key",
        "a secret key",
    )
}


def fail(argument: str) -> None:
    variable = {"private_key": SECRETS["a local variable"], "number": 17}
    raise LookupError(f"row {variable['number']}, given {len(argument)} characters")


def test_they_show_where_it_happened_and_no_secret(settings: Settings) -> None:
    settings.DEBUG = True
    settings.DATABASE_URL = "postgres://user:" + SECRETS["a database's password"] + "@db/name"
    settings.REDIS_URL = "redis://:" + SECRETS["a broker's password"] + "@queue/0"
    settings.Q_CLUSTER = {"redis": settings.REDIS_URL}
    settings.CACHE_OF_TESTS = {"default": {"LOCATION": settings.REDIS_URL}}
    settings.EMAIL_URL = "smtp://user:" + SECRETS["a mail server's password"] + "@mail/?to=a@b.c"
    settings.HTTP_PROXY = "http://user:" + SECRETS["a proxy's password"] + "@proxy"
    settings.OPERATOR_WEBHOOK_URL = "https://chat/" + SECRETS["a webhook's path"]
    settings.HEARTBEAT_URL = "https://watch/" + SECRETS["a heartbeat's path"]
    settings.METRICS_TOKEN = SECRETS["a metrics token"]
    settings.ENCRYPTION_KEYS = [SECRETS["an encryption key"]]
    settings.SECRET_KEY = SECRETS["a secret key"]
    request = RequestFactory().post(
        "/app/new", {"private_key": SECRETS["a form"], "name": "a name"}, headers={"Authorization": SECRETS["a header"]}
    )
    request.COOKIES = {"sessionid": SECRETS["a cookie"], "csrftoken": SECRETS["a cookie"]}
    try:
        fail(SECRETS["an argument"])
    except LookupError:
        page = technical_500_response(request, *sys.exc_info()).content.decode()
    assert "LookupError" in page
    assert "row 17, given 24 characters" in page
    assert __file__ in page
    assert [what for what, secret in SECRETS.items() if secret in page] == []


def test_logs_mask_what_lets_in_of_every_url() -> None:
    found = env.secrets_in("smtp://user:p%40ssword@mail/?to=a@b.c")
    assert found == ["p%40ssword", "p@ssword"]
    assert env.secrets_in("https://chat/services/T0/abc", path=True) == ["services/T0/abc"]
    assert env.secrets_in("") == env.secrets_in("http://[") == []
    assert ours.DEFAULT_EXCEPTION_REPORTER_FILTER.startswith("cwconnect.")
