"""Times in queries and bodies: ISO 8601, UTC unless they say otherwise."""

from __future__ import annotations

from datetime import UTC, datetime

from cwconnect.core.errors import DomainError


def parse_time(text: str, name: str) -> datetime:
    """Give the time that `text` writes, aware and in UTC; a Refusal that names the parameter if it writes none."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise DomainError(f"{name} must be a time like 2026-01-31T12:00:00Z.") from None
