"""`python -m cwconnect.core.init PROGRAM …`: the first process of a container, as an operating system has its init.

The kernel keeps from process 1 every signal that it doesn't catch, SIGTERM during its start among them, and makes it
the parent of every process whose own has died. So it is none of the service's: it starts the program, passes signals
on, and waits for whatever ends. Knows nothing of Django, and needs nothing but the standard library.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_NOT_FOUND = 127  # as shells say it


def run(command: Sequence[str]) -> int:
    """Run `command` to its end; return its exit code, 128 and the signal's number where one ended it, as shells do.

    To be called in the main thread. Signals meanwhile go to the program alone, which ends what it has started itself.
    """
    waited_for = {*PASSED_ON, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)  # from here on none is lost: they wait for sigwait
    try:
        try:
            program = os.posix_spawnp(command[0], list(command), os.environ, setsigmask=before)
        except OSError as error:
            sys.stderr.write(f"{command[0]} can't be started: {error.strerror}.\n")
            return _NOT_FOUND
        while (code := _reap(program)) is None:
            if (number := signal.sigwait(waited_for)) != signal.SIGCHLD:
                os.kill(program, number)
        return code
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _reap(program: int) -> int | None:
    """Take leave of all that have ended; return the program's exit code if it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if not pid:
            return code
        if pid == program:
            ended = os.waitstatus_to_exitcode(status)
            code = ended if ended >= 0 else 128 - ended


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
