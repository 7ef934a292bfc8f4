"""Several child processes as one service: until a signal ends it, or until the first of them is gone.

Knows nothing of Django or of what the children do.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType

from cwconnect.core.processes import Child, adopt_orphans

_SLICE = 0.1


class ProcessGroup:
    """Children that live and end together. `stopping` becomes true with the first SIGTERM or SIGINT."""

    def __init__(self) -> None:
        self.stopping = False
        self._children: dict[str, Child] = {}

    def catch_signals(self) -> None:
        """Take SIGTERM and SIGINT (Ctrl-C) as the wish to stop; to be called in the main thread."""
        adopt_orphans()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def start(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        quiet: bool = False,
    ) -> None:
        """Start a child, called `name` in messages, with Python and these arguments; `quiet` drops what it prints."""
        self._children[name] = Child(arguments, environment=environment, pass_fds=pass_fds, quiet=quiet)

    def gone(self) -> str:
        """Give in words which child has ended; empty while all live."""
        for name, child in self._children.items():
            if (code := child.exit_code()) is not None:
                return f"{name} ended with exit code {code}" if code >= 0 else f"{name} was killed by signal {-code}"
        return ""

    def wait(self, done: Callable[[], bool] = lambda: False, *, seconds: float = float("inf")) -> bool:
        """Wait until `done()`; False if the wish to stop, a child's end or the time was first."""
        end = time.monotonic() + seconds
        while not self.stopping and not self.gone() and time.monotonic() < end:
            if done():
                return True
            time.sleep(_SLICE)
        return False

    def end(self, grace: float) -> None:
        """Ask all to stop, and kill with all their descendants those that have not after `grace` seconds."""
        deadline = time.monotonic() + grace
        for child in self._children.values():
            child.ask_to_stop()
        for child in self._children.values():
            child.join(deadline)
        self._children.clear()
