"""What a migration does, in a sentence: its own docstring's first, else what its operations come to."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable

from django.db.migrations import Migration

from cwconnect.site.upgrading.judgement import Effect

_FEW = 3


def sentence_of(migration: Migration, effects: Iterable[Effect]) -> str:
    """Return what it does."""
    if text := " ".join((sys.modules[type(migration).__module__].__doc__ or "").split()):
        return text.partition(". ")[0].rstrip(".") + "."
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    every = list(effects)
    # Of a table that the upgrade itself makes, that it does is enough.
    for effect in [one for one in every if not one.new or one.what == "table"] or every:
        kind, _, name = effect.what.partition(" ")
        if effect.what == "table":
            found[effect.verb, "table"].append(effect.table)
        elif effect.verb == "describes":
            found["describes", "what is stored with other words"] = []
        else:
            found[effect.verb, f"{kind}s of {effect.table}" if effect.table else kind].append(name)
    parts = [_part(verb, what, names) for (verb, what), names in found.items()]
    text = "; ".join(parts) or "changes nothing in the database"
    return f"{text[0].upper()}{text[1:]}."


def _part(verb: str, what: str, names: list[str]) -> str:
    kind, _, place = what.partition(" of ")
    if what == "table":
        return f"{verb} the {_many('table', names)}"
    if not place:
        return f"{verb} {what}"
    return f"{verb} the {_many(kind.removesuffix('s'), names)} of {place}"


def _many(kind: str, names: list[str]) -> str:
    if len(names) == 1:
        return f"{kind} {names[0]}"
    plural = {"index": "indexes"}.get(kind, f"{kind}s")
    shown = ", ".join(names[:_FEW])
    return f"{plural} {shown}" + (f" and {len(names) - _FEW} more" if len(names) > _FEW else "")
