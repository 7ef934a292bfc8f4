"""How long what is replaced stays good beside what replaces it: signature keys and Element tokens."""

from __future__ import annotations

from datetime import timedelta

OVERLAP = timedelta(hours=24)  # unless whoever replaces it says otherwise
LONGEST_OVERLAP = timedelta(days=30)
