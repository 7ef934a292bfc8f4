"""How long a request may take, and how long its answer may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Seconds to connect, between two bytes and in total; and the longest body, in bytes after decompression."""

    connect: float
    read: float
    total: float
    body: int


NOTIFICATION_LIMITS = Limits(connect=5, read=15, total=15, body=64 * 1024)
CONNECTWISE_LIMITS = Limits(connect=10, read=60, total=120, body=64 * 1024 * 1024)
