#!/usr/bin/env python
"""Django's command line: `manage.py up --demo` starts everything; see the README for the rest."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.umask(0o077)  # the database, its log and backups hold records of customers: for their owner alone
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cwconnect.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"The settings are wrong: {error}")
