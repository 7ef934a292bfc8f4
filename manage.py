#!/usr/bin/env python
"""The `cwconnect` command in a checkout: `manage.py up --demo` starts everything; see the README for the rest."""

from cwconnect.command import main

if __name__ == "__main__":
    main()
