"""What can't be reached is named with its address and without its password, whole tracebacks included."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.support.services import ROOT, environment_of

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

PASSWORD = "a-password-of-a-server"
POSTGRESQL = {
    "CWCONNECT_DATABASE_URL": f"postgres://user:{PASSWORD}@127.0.0.1:9/name",
    "CWCONNECT_SECRET_KEY": "x" * 60,
    "CWCONNECT_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
}
AWAY = {
    "PostgreSQL": (POSTGRESQL, "from instances.models import Instance; Instance.objects.first()"),
    "Redis": (
        {"CWCONNECT_REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:9/0"},
        "from django.core.cache import cache; cache.set('a', 1)",
    ),
    "the queue": (
        {"CWCONNECT_REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:9/0"},
        "from polling.workers.queue import queue_beat; queue_beat('sender')",
    ),
    "the proxy": (
        {"CWCONNECT_HTTP_PROXY": f"http://user:{PASSWORD}@127.0.0.1:9"},
        "from instances.connections import outbound_client; from cwconnect.outbound import NOTIFICATION_LIMITS;"
        "outbound_client().request('GET', 'http://1.1.1.1/', headers={}, limits=NOTIFICATION_LIMITS)",
    ),
    "the mail server": (
        {"CWCONNECT_EMAIL_URL": f"smtp://user:{PASSWORD}@127.0.0.1:9/?to=a@b.c"},
        "from polling.alerts.sending import mail_server, send_mail; send_mail(mail_server(), ['a@b.c'], 's', 'b')",
    ),
}


@pytest.mark.parametrize("what", AWAY)
def test_no_password_stands_in_what_is_said_of_a_server_that_is_away(tmp_path: Path, what: str) -> None:
    environment, program = AWAY[what]
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", program],
        cwd=ROOT,
        env=environment_of(tmp_path) | {"CWCONNECT_REDIS_URL": ""} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "Traceback" in said
    assert "127.0.0.1" in said
    assert PASSWORD not in said
