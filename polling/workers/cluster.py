"""`python -m polling.workers.cluster NAME SIGNATURE`: a django-q2 cluster that `manage.py work` can watch.

What it adds to `manage.py qcluster`, because a killed django-q2 process leaves a cluster that looks alive:

- A process of the cluster that is killed takes the whole cluster with it. It may have died holding the lock of a queue,
  which then waits for ever; no replacement helps. (django-q2 would put another in its place.)
- No process outlives the one that started it, up to the supervisor.
- Workers hear of a stop at once, and so end their work in order.
- The monitor answers heartbeat tasks, so that they prove the whole way of a task.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from multiprocessing.process import BaseProcess
from typing import Any

import django

from cwconnect.core import processes
from cwconnect.core.starting import start_quickly, started

log = logging.getLogger("polling.workers.cluster")


def main(name: str, signature: str) -> None:
    """Run the cluster called `name`, its leases signed so, until SIGTERM or the death of whoever started it."""
    processes.follow_parent()
    processes.tie_forks()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cwconnect.settings")
    start_quickly()
    django.setup()

    # django_q reads the settings when it is imported, hence here.
    from django_q import cluster as django_q_cluster
    from django_q.signals import post_execute

    from polling.workers import heartbeats, queue_guard
    from polling.workers.stopping import stop_on

    class Guard(django_q_cluster.Sentinel):  # type: ignore[misc]  # django_q has no types
        """A sentinel that ends the cluster when one of its processes was killed or hangs."""

        def spawn_cluster(self) -> None:
            """Let the processes about to be forked hear of a stop."""
            stop_on(self.stop_event)
            super().spawn_cluster()

        def reincarnate(self, process: BaseProcess) -> None:
            """Replace a process that ended by itself; for any other, end the cluster."""
            if is_past_help(process):
                log.critical("A process of the cluster was killed or hangs; the cluster ends, to be started anew.")
                os.killpg(os.getpgrp(), signal.SIGKILL)
            super().reincarnate(process)

    def answer(task: dict[str, Any], **_: Any) -> None:
        if task["func"] == queue_guard.BEAT and task["success"]:
            heartbeats.beat(heartbeats.Part.ANSWER, task["result"])

    heartbeats.join_cluster(name, signature)
    post_execute.connect(answer, weak=False, dispatch_uid="polling.workers.cluster")
    django_q_cluster.Sentinel = Guard
    started()
    django_q_cluster.Cluster().start()


def is_past_help(process: BaseProcess) -> bool:
    """Whether a signal ended it, or it is a worker whose task ran past the time-out: neither may be replaced."""
    # Ended by an exception, it has given back its locks, and can be replaced.
    killed = process.exitcode is not None and process.exitcode < 0
    timer = getattr(process, "timer", None)  # that django-q2 counts down to nought
    hangs = timer is not None and timer.value == 0
    return killed or hangs


if __name__ == "__main__":
    main(*sys.argv[1:3])
