"""The `cwconnect` command, which is `manage.py` in a checkout: Django's command line for the service's settings.

`cwconnect up --demo` starts everything; docs/operations.md#commands has the rest.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from django.core.management import execute_from_command_line

from cwconnect import __version__
from cwconnect.core.starting import ends_in_words, leave_quickly, start_quickly

_VERSION = (["--version"], ["version"])  # Django would answer both with its own


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name (default: the process's own, the program's name first).

    Exits with 1, after a sentence that names the setting, where the settings are wrong.
    """
    arguments = list(sys.argv if arguments is None else arguments)
    if arguments[1:] in _VERSION:
        sys.stdout.write(f"cwconnect {__version__}\n")
        return
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cwconnect.settings")
    start_quickly()
    leave_quickly()
    with ends_in_words(exit_code=1):
        execute_from_command_line(arguments)
