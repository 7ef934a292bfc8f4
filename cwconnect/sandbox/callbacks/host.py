"""What the companies of one host share: the keys, since each may sign what another is sent, and the threads."""

from __future__ import annotations

from dataclasses import dataclass, field

from cwconnect.sandbox.callbacks.keys import Keyring
from cwconnect.sandbox.callbacks.lanes import Lanes


@dataclass(frozen=True)
class Host:
    """The keys of all companies, and the lanes in which the callbacks of all are sent."""

    keyring: Keyring = field(default_factory=Keyring)
    lanes: Lanes = field(default_factory=Lanes)
