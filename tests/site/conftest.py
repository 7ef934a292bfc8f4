"""What several tests of the site share."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cwconnect.core.processes import Child


@pytest.fixture
def gunicorn_port(tmp_path: Path) -> Iterator[int]:
    """A web server as `up` starts it; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        web = Child(
            [
                "-m",
                "gunicorn",
                "-c",
                "python:cwconnect.gunicorn_settings",
                "--bind",
                f"fd://{listener.fileno()}",
                "cwconnect.wsgi:application",
            ],
            environment={"CWCONNECT_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "cwconnect.settings"},
            pass_fds=[listener.fileno()],
        )
        try:
            yield listener.getsockname()[1]
        finally:
            web.stop(5)
