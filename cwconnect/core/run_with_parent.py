"""`python -m cwconnect.core.run_with_parent COMMAND …`: a management command that ends when its parent is gone."""

from __future__ import annotations

import os
import signal
import sys

from django.core.management import execute_from_command_line

from cwconnect.core import processes
from cwconnect.core.layout import PROGRAM
from cwconnect.core.starting import ends_in_words, leave_quickly, start_quickly

if __name__ == "__main__":
    processes.follow_parent(signal.SIGTERM)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cwconnect.settings")
    start_quickly()
    leave_quickly()
    with ends_in_words(exit_code=1):
        execute_from_command_line([PROGRAM, *sys.argv[1:]])
