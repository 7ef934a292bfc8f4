#!/usr/bin/env python
"""Django's command line: `manage.py up --demo` starts everything; see the README for the rest."""

import os
import sys

from django.core.management import execute_from_command_line

from cwconnect.core.starting import ends_in_words

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cwconnect.settings")
    with ends_in_words(exit_code=1):
        execute_from_command_line(sys.argv)
