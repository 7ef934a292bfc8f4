"""The supervisor behind `manage.py work`: starts the cluster, sees that it lives, ends it in order.

Its own thread of control looks at processes and signals only; what needs the database is the watchdog's, in another
thread. A cluster that ended, or that shows no sign of life, is killed as a whole and started anew: at once, then after
growing pauses while new ones don't last either.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import chain, repeat
from types import FrameType

from django.conf import settings

from cwconnect.core.processes import Child, adopt_orphans
from polling.workers import heartbeats
from polling.workers.supervisor_slot import SupervisorSlot
from polling.workers.watchdog import Timings, Watchdog

log = logging.getLogger(__name__)

_SLICE = 0.1
_SOUND_AFTER = 60.0
_ORPHANS_GRACE = 5.0
_LAST_SCAN = 0.7
_PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)


def pauses() -> Iterator[float]:
    """Return the seconds to wait before each further start of a cluster that does not last."""
    return chain(_PAUSES, repeat(_PAUSES[-1]))


class Supervisor:
    """One supervised cluster of this machine. `run` returns when a signal asked it to stop.

    `repair_clock_skew` is called at the start and when our clock was set back.
    """

    def __init__(
        self, *, workers: int, repair_clock_skew: Callable[[datetime], object], timings: Timings | None = None
    ) -> None:
        self._post = SupervisorSlot(settings.DATA_DIR)
        self.name = f"{socket.gethostname()[:64]}-{self._post.number}"
        self.timings = timings or Timings()
        self._workers = workers
        self._watchdog = Watchdog(self.name, repair_clock_skew, self.timings)
        self._parent = os.getppid()
        self._stop = False
        self._cluster_gone = threading.Event()
        self._pauses = pauses()

    def catch_signals(self) -> None:
        """Have SIGTERM and SIGINT end `run`; to be called in the main thread, before `run`."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def run(self) -> None:
        """Supervise until SIGTERM or SIGINT."""
        adopt_orphans()
        heartbeats.join_cluster(self.name, heartbeats.new_signature())
        if predecessor := self._post.last_signature():
            self._watchdog.cluster_ended(predecessor)
        thread = threading.Thread(target=self._look_after_work, name="watchdog", daemon=True)
        thread.start()
        while not self._stop:
            self._keep_one_cluster()
        self._cluster_gone.set()
        thread.join(_LAST_SCAN)
        self._post.leave()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop = True

    def _keep_one_cluster(self) -> None:
        started = time.monotonic()
        signature = heartbeats.new_signature()
        self._post.sign_with(signature)
        environment = {"CWCONNECT_WORKERS": str(self._workers)}
        cluster = Child(["-m", "polling.workers.cluster", self.name, signature], environment=environment)
        self._watchdog.start_over()
        try:
            why = self._watch(cluster)
        finally:
            if self._stop:
                # An orphan has less time: whoever killed its parent expects everything to be gone soon.
                grace = self.timings.grace
                cluster.stop(grace if os.getppid() == self._parent else min(grace, _ORPHANS_GRACE))
            else:
                cluster.kill()
        self._watchdog.cluster_ended(signature)
        if self._stop:
            return
        log.error("The cluster is started anew: %s.", why)
        if time.monotonic() - started > _SOUND_AFTER:
            self._pauses = pauses()
        self._rest(next(self._pauses))

    def _watch(self, cluster: Child) -> str:
        """Watch until there is a reason to end the cluster; give it in words."""
        while not self._stop:
            if (code := cluster.exit_code()) is not None:
                return f"it ended with exit code {code}"
            if why := self._watchdog.frozen():
                return why
            time.sleep(_SLICE)
        return "asked to stop"

    def _rest(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._stop and time.monotonic() < end:
            time.sleep(_SLICE)

    def _look_after_work(self) -> None:
        while not self._stop:
            self._watchdog.look()
            self._rest(self.timings.look)
        self._cluster_gone.wait()
        self._watchdog.end()
