"""What polls log can be found by the instance."""

from __future__ import annotations

import logging

import pytest

from cwconnect.core.logs import AboutFilter
from tests.support.polled_instance import PolledInstance

pytestmark = pytest.mark.django_db


def test_a_failed_poll_logs_why_with_its_instance(watched: PolledInstance, caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(AboutFilter())
    watched.store.fail_next(2, status=503)
    watched.poll()
    (line,) = [record for record in caplog.records if record.name == "polling.detection.poll_loop"]
    assert line.levelno == logging.WARNING
    assert line.getMessage().startswith("contacts of API_Polling")
    assert line.instance_id == watched.instance.pk  # type: ignore[attr-defined]  # set by the filter
