"""Chips: what a list is narrowed to, each with a link that takes it off (templates/parts/chips.html)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chip:
    """One thing that a list is narrowed to, in words, and the URL of the list without it."""

    label: str
    without: str
