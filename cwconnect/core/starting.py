"""Starts and ends: quick ones, and what a start that the settings don't allow says, which is never a traceback."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ImproperlyConfigured

from cwconnect.core.database_lock import InUseError
from cwconnect.core.text import literal

_USUAL, _SELDOM = gc.get_threshold()[0], 50_000  # new objects between two searches for garbage

NOT_LOADED = 4  # by this exit code of a worker gunicorn knows that the application can't be loaded, and tries no more


@contextmanager
def ends_in_words(exit_code: int = NOT_LOADED) -> Iterator[None]:
    """Run the block; where it finds the settings wrong, or a restore under way, say so and exit with that code."""
    try:
        yield
    except ImproperlyConfigured as error:
        words = f"The settings are wrong: {error}"
    except InUseError as error:
        words = str(error)
    else:
        return
    sys.stderr.write(f"{literal(words)}\n")
    sys.exit(exit_code)


def leave_quickly() -> None:
    """Have this process end without one more search for garbage: half a second of CPU, of a whole Django.

    Where cores are shared by many, that half-second is several, of the ten that SIGTERM has.
    """
    atexit.register(gc.freeze)


def start_quickly() -> None:
    """Have this process hardly search for garbage until `started()`: modules and classes, which stay, are most of it.

    A fifth of a start's CPU went there, a quarter of a second.
    """
    gc.set_threshold(_SELDOM)


def started() -> None:
    """Have searches be as usual from now on, and pass over what is there; does nothing after no `start_quickly()`."""
    if gc.get_threshold()[0] == _SELDOM:
        gc.freeze()
        gc.set_threshold(_USUAL)
