"""How a start that the settings don't allow ends: in a sentence that names the setting, never in a traceback."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ImproperlyConfigured

from cwconnect.core.database_lock import InUseError
from cwconnect.core.text import literal

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
