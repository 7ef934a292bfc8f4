"""What is to go wrong with the next callbacks. How a test asks for it stands in the package's docstring."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cwconnect.sandbox.parts import Draw

_FINE = 1_000_000


@dataclass(frozen=True)
class CallbackFault:
    """What happens to one callback; as it is made, nothing."""

    drop: bool = False
    duplicate: int = 0
    fresh_ids: bool = False
    delay: float = 0.0
    reorder: bool = False
    early: float = 0.0
    close: Literal["", "midway", "after"] = ""
    sign_with: str = ""
    sign_as: str = ""
    invalid_utf8: bool = False
    poison: bool = False
    members: Mapping[str, Any] = field(default_factory=dict)


NO_FAULT = CallbackFault()


@dataclass
class _Order:
    fault: CallbackFault
    left: int | None
    share: float
    skip: int
    kind: str
    action: str


class CallbackFaults:
    """The faults still to come, in the order they were asked for; the draw is seeded."""

    def __init__(self, seed: int) -> None:
        self._orders: list[_Order] = []
        self._draw = Draw(seed, 0xCA11BAC, 0)
        self._lock = threading.Lock()

    def order(
        self, fault: CallbackFault, *, times: int | None, share: float, skip: int, kind: str, action: str
    ) -> None:
        """Ask for `fault` in the next `times` callbacks, after `skip`, or in all (None); in a `share` of them."""
        if not 0 < share <= 1:
            raise ValueError("A share is more than 0 and at most 1.")
        if fault.close not in ("", "midway", "after"):
            raise ValueError(f"A connection is closed midway or after, and not {fault.close!r}.")
        with self._lock:
            self._orders.append(_Order(fault, times, share, skip, kind, action))

    def clear(self) -> None:
        """Forget all that were asked for."""
        with self._lock:
            self._orders.clear()

    def take(self, kind: str, action: str, *, early: bool = False) -> CallbackFault:
        """Return what goes wrong with a callback; or with all of a change that begins now, if they are to be early."""
        with self._lock:
            for order in self._orders:
                concerned = order.kind in ("", kind) and order.action in ("", action)
                if not concerned or bool(order.fault.early) != early:
                    continue
                if order.skip > 0:
                    order.skip -= 1
                elif self._draw.below(_FINE) < order.share * _FINE:
                    return self._use(order)
        return NO_FAULT

    def _use(self, order: _Order) -> CallbackFault:
        if order.left is not None:
            order.left -= 1
            if order.left <= 0:
                self._orders.remove(order)
        return order.fault
