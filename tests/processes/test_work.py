"""`manage.py work` against what kills without a signal: frozen processes, a queue that can't be reached."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from cwconnect.site.demo import free_port
from tests.support.required import lengthy
from tests.support.services import Service, manage, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]

# The supervisor with less patience than it has in earnest.
IMPATIENT = """
import django; django.setup()
from polling.maintenance.clock_skew import repair_clock_skew
from polling.workers.watchdog import Timings
from polling.workers.supervisor import Supervisor
supervisor = Supervisor(workers=2, repair_clock_skew=repair_clock_skew, timings=Timings(beat=1.0, stale=5.0))
supervisor.catch_signals()
supervisor.run()
"""


@pytest.mark.parametrize("role", [pytest.param("pusher", marks=lengthy), "worker 1"])
def test_a_cluster_with_a_frozen_process_is_replaced(data: Path, role: str) -> None:
    with Service(data, "-c", IMPATIENT) as service:
        old = service.wait_for_roles()
        if role == "worker 1":
            old["worker 2"].kill(signal.SIGSTOP)  # one that works hides that the other does not
        old[role].kill(signal.SIGSTOP)

        wait_until(lambda: "no sign of life" in service.output, 100, "noticed", lambda: service.output)
        assert service.wait_for_roles()["cluster"].pid != old["cluster"].pid
        service.process.send_signal(signal.SIGTERM)
        assert service.ends_within(60) == 0


def test_a_killed_supervisor_takes_its_cluster_along(data: Path) -> None:
    with Service(data, "-c", IMPATIENT) as service:
        service.wait_for_roles()

        service.process.kill()

        assert service.ends_within(60) == -signal.SIGKILL


@lengthy
def test_a_queue_that_is_down_does_not_end_the_supervisor(data: Path) -> None:
    environment = {"CWCONNECT_REDIS_URL": f"redis://127.0.0.1:{free_port()}"}
    with Service(data, "-c", IMPATIENT, environment=environment) as service:
        wait_until(lambda: "can't be reached" in service.output, 100, "noticed", lambda: service.output)
        time.sleep(3)
        assert service.process.poll() is None

        service.process.send_signal(signal.SIGTERM)
        assert service.ends_within(60) == 0


def test_work_says_what_it_does(data: Path) -> None:
    with manage(data, "work", "--help") as service:
        assert service.ends_within(100) == 0
    assert "--workers" in service.output
