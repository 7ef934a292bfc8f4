"""The order in which notifications are sent again, so that no record's events arrive in another order. Pure.

A notification may follow one other at most. Those that share a record, directly or through others, are strung into one
chain: more order than records need, and the least that one link each can hold.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable


class Chains:
    """Strings notifications together as they come, oldest first. `follows` gives, by notification, the one before."""

    def __init__(self) -> None:
        self.follows: dict[int, int] = {}
        self._ends: dict[int, tuple[int, int]] = {}  # by chain: its first and its last
        self._parents: dict[int, int] = {}
        self._chain_of: dict[Hashable, int] = {}

    def add(self, notification: int, records: Iterable[Hashable]) -> None:
        """Take in the next notification and the records whose events it carries."""
        carried = list(records)
        met = sorted({self._root(self._chain_of[record]) for record in carried if record in self._chain_of})
        if not met:
            self._parents[notification] = notification
            self._ends[notification] = (notification, notification)
            chain = notification
        else:
            chain = self._join(met)
            first, last = self._ends[chain]
            self.follows[notification] = last
            self._ends[chain] = (first, notification)
        for record in carried:
            self._chain_of[record] = chain

    def _join(self, chains: Collection[int]) -> int:
        """Put chains behind each other; give the one that holds them all."""
        joined, *others = chains
        for other in others:
            first, last = self._ends[joined]
            other_first, other_last = self._ends.pop(other)
            self.follows[other_first] = last
            self._ends[joined] = (first, other_last)
            self._parents[other] = joined
        return joined

    def _root(self, chain: int) -> int:
        while (parent := self._parents[chain]) != chain:
            self._parents[chain] = chain = self._parents[parent]
        return chain
