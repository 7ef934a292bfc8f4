"""What is wanted × what ConnectWise lists → what is to be done, step by step. Pure.

An entry is ours if its URL ends in this instance's token, whatever the host: our address may have been another. Nobody
else's is touched, those of another installation behind the same host name included. What lacks is made before what is
not wanted any more goes, so that a changed address leaves no gap.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from cwconnect.connectwise.callbacks.registrations import Entry
from instances.configuration.callback_address import CALLBACK_PATH

NOT_OURS = (
    "ConnectWise says that a matching callback exists already, and lists none that is this instance's. Another program "
    "may have registered it."
)


@dataclass(frozen=True)
class Create:
    """Register for a type."""

    type: str


@dataclass(frozen=True)
class Adopt:
    """Take an entry that is there as it is; nothing is asked."""

    entry: Entry

    @property
    def type(self) -> str:
        """What it announces."""
        return self.entry.type


@dataclass(frozen=True)
class SwitchOn(Adopt):
    """Have an entry that ConnectWise switched off announce again."""


@dataclass(frozen=True)
class Delete(Adopt):
    """Delete an entry of ours."""


@dataclass(frozen=True)
class Refuse:
    """Say that a type can't be registered; nothing is asked."""

    type: str
    words: str


Step = Create | Adopt | Refuse


def compare(
    wanted: Collection[str], listed: Iterable[Entry], *, url: str, token: str, exists: Collection[str] = ()
) -> list[Step]:
    """Return the steps to exactly one active entry at `url` for each type that is wanted, and none else of ours.

    `exists` are the types of which ConnectWise said that a matching entry is there, though none at `url` was listed.
    """
    own = [entry for entry in listed if token_in(entry.url) == token]
    steps: list[Step] = []
    for type_ in sorted(wanted):
        steps += _of_type(type_, [entry for entry in own if entry.type == type_], url, known_to_exist=type_ in exists)
    settled = {step.entry.id for step in steps if isinstance(step, Adopt)}
    return steps + [Delete(entry) for entry in sorted(own, key=lambda entry: entry.id) if entry.id not in settled]


def _of_type(type_: str, own: list[Entry], url: str, *, known_to_exist: bool) -> list[Step]:
    right = [entry for entry in own if entry.of_all_records and _same(entry.url, url)]
    if right:
        kept = min(right, key=lambda entry: (not entry.active, entry.id))
        return [Adopt(kept) if kept.active else SwitchOn(kept)]
    if not known_to_exist:
        return [Create(type_)]
    # What matches at ConnectWise is an entry of ours at another address, or somebody else's.
    return [*map(Delete, own), Create(type_)] if own else [Refuse(type_, NOT_OURS)]


def token_in(url: str) -> str:
    """Return the token that a URL of our form bears, whoever's it is; blank for any other URL."""
    parts = _split(url)
    _, found, token = parts.path.rpartition(CALLBACK_PATH) if parts else ("", "", "")
    return token if found and "/" not in token else ""


def bears_address(url: str, base: str) -> bool:
    """Whether a URL of our form begins with just this address of ours: scheme, host and port, and no path before it."""
    parts, token = _split(url), token_in(url)
    if parts is None or not (base and token):
        return False
    return parts.path == CALLBACK_PATH + token and _same(f"{parts.scheme}://{parts.netloc}", base)


def _same(one: str, other: str) -> bool:
    """Whether two URLs call the same, in any spelling of the host."""
    first, second = _split(one), _split(other)
    return first is not None and second is not None and _origin_and_rest(first) == _origin_and_rest(second)


def _origin_and_rest(parts: SplitResult) -> tuple[str, str, int, str, str]:
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, parts.hostname or "", port, parts.path, parts.query


def _split(url: str) -> SplitResult | None:
    """Return a URL's parts; None for what is none, or has a port that is none."""
    try:
        parts = urlsplit(url)
        return parts if parts.port is None or parts.port > 0 else None
    except ValueError:
        return None
