"""Of which resources a filter has the earlier content kept, and how that is said (docs/wire-contract.md#filters)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from polling.filters.reading import Filter

_NAMED: Final = 5  # resources by name; there may be hundreds


def tracked_by(wanted: Filter, resources: Iterable[str]) -> list[str]:
    """Return those of these resources of which a filter has to know what changed, in their order.

    Only of an UPDATED event anything earlier is compared: a filter that wants none of them asks for nothing.
    """
    if not wanted.asks_of_changes or (wanted.kinds is not None and "UPDATED" not in wanted.kinds):
        return []
    return [name for name in resources if wanted.resources is None or name.lower() in wanted.resources]


def words_of_tracking(resources: Sequence[str]) -> str:
    """Return what it costs that these are tracked, as a sentence without its subject; blank where none is."""
    if not resources:
        return ""
    named = list(resources) if len(resources) <= _NAMED else resources[: _NAMED - 1]
    parts = [*named, f"{len(resources) - len(named)} others"] if len(named) < len(resources) else named
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"keeps the earlier content of {listed}: of each record that changes, as many bytes as it has"
