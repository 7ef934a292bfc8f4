"""What several tests of the site share."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cwconnect.core.processes import Child
from tests.support.services import environment_of


@contextmanager
def serving(data: Path) -> Iterator[int]:
    """Run a web server as `up` starts it, on a data folder; its port."""
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
            environment={**_nothing_set(), **environment_of(data, tables=False)},  # the caller's, if he made any
            pass_fds=[listener.fileno()],
        )
        try:
            yield listener.getsockname()[1]
        finally:
            web.stop(5)


def _nothing_set() -> dict[str, str]:
    """Return the settings of this process's environment, each emptied: the server has those of its data folder."""
    return {name: "" for name in os.environ if name.startswith("CWCONNECT_")}


@pytest.fixture
def gunicorn_port(tmp_path: Path) -> Iterator[int]:
    """A web server as `up` starts it; its port."""
    with serving(tmp_path) as port:
        yield port
