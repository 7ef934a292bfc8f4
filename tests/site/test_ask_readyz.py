"""The image's HEALTHCHECK: asks as the image does, and says by its exit code what it was answered."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from pytest_django.live_server_helper import LiveServer

from cwconnect.core.ask_readyz import ask
from tests.support.services import ROOT


@pytest.mark.django_db(transaction=True)
def test_it_asks_the_service_and_says_what_fails(live_server: LiveServer) -> None:
    assert ask(f"{live_server.url}/healthz") == (True, '{"status": "ok"}')
    well, said = ask(f"{live_server.url}/readyz")
    assert not well  # there is no worker
    assert '"failing": ["worker"' in said


def test_it_ends_in_words_where_nobody_answers_and_asks_no_proxy() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cwconnect.core.ask_readyz", "http://127.0.0.1:9/readyz"],
        cwd=ROOT,
        env=os.environ | {"http_proxy": "http://127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stdout.startswith("No answer: ")
    assert "Connection refused" in done.stdout
    assert done.stderr == ""


@pytest.mark.django_db(transaction=True)
def test_what_is_served_below_a_proxy_is_asked_without_it(
    live_server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    assert ask(f"{live_server.url}/healthz")[0]
