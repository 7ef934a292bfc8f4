"""Registrations in the foreground: compared now, listed with whose they are, and removed, what was left behind too."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from django.db.models import QuerySet
from django.utils import timezone

from cwconnect.connectwise.callbacks.registrations import Entry
from cwconnect.connectwise.errors import ConnectWiseError
from instances import audit
from instances.configuration.callback_address import callback_base
from instances.models import Instance
from instances.secrets import hash_token
from polling.callbacks.comparison import bears_address, token_in
from polling.callbacks.registration_job import RegistrationJob, claim_comparisons, registrations_of, words_of
from polling.models import CallbackEndpoint, CallbackRegistration, Site

PATIENCE = 30.0  # seconds
_LOOK_SECONDS = 0.2
_MOST_PAGES = 100


class Owner(StrEnum):
    """Whose an entry of the list is."""

    OURS = "this instance's"
    ANOTHERS = "another instance's"
    LEFT = "left behind"
    ELSEWHERE = "somebody else's"


@dataclass(frozen=True)
class Listed:
    """An entry that ConnectWise lists, and whose it is."""

    entry: Entry
    owner: Owner

    @property
    def place(self) -> str:
        """Where it calls, as it may be shown: without path and query, which may be secrets."""
        try:
            parts = urlsplit(self.entry.url)
            return f"{parts.scheme}://{(parts.hostname or '') + (f':{parts.port}' if parts.port else '')}/…"
        except ValueError:
            return "no URL"


class NotNowError(Exception):
    """A comparison can't be made at present, in words."""


@dataclass(frozen=True)
class Outcome:
    """What a comparison did, and what ConnectWise refused; each in words."""

    done: list[str]
    refused: list[str]


def compare_here(instance: Instance, *, removing: bool = False) -> Outcome:
    """Compare the registrations of an instance now; `removing`: remove them all, whatever is configured.

    Raises NotNowError, also where ConnectWise's answer ended it; then it is tried again as by the workers.
    """
    mine = CallbackEndpoint.objects.filter(pk=instance.pk)
    if not mine.exists():
        raise NotNowError("Callbacks are not switched on there, and nothing of it is registered.")
    if Site.objects.filter(key__in=mine.values("site"), blocked_until__gt=timezone.now()).exists():
        raise NotNowError("ConnectWise asked for a pause; the worker compares when it is over.")
    job = _claim(mine, instance, removing=removing)
    try:
        while job.commit(job.request()()):
            pass
    except ConnectWiseError as error:
        job.fail(error)
        raise NotNowError(words_of(error)) from None
    refused = CallbackRegistration.objects.filter(instance=instance, status=CallbackRegistration.Status.REFUSED)
    return Outcome(job.done, [f"{row.type}: {row.error}" for row in refused.order_by("type")])


def _claim(mine: QuerySet[CallbackEndpoint], instance: Instance, *, removing: bool) -> RegistrationJob:
    """Claim the comparison; one that a worker has under way is waited for."""
    until = time.monotonic() + PATIENCE
    while not (jobs := claim_comparisons(mine, [instance.pk], removing=removing)):
        if time.monotonic() >= until:
            error = mine.values_list("error", flat=True).first()
            raise NotNowError(error or "A worker compares it just now, and takes long.")
        time.sleep(_LOOK_SECONDS)
    return jobs[0]


def list_here(instance: Instance) -> list[Listed]:
    """Return what ConnectWise lists, and whose each entry is; ConnectWiseError, SecretUnreadableError."""
    registrations, entries = registrations_of(instance), dict[int, Entry]()
    for number in range(1, _MOST_PAGES + 1):
        page = registrations.page(number)
        entries |= {entry.id: entry for entry in page.entries}
        if page.is_last:
            break
    # Read after the list: whoever is registered by then has its endpoint.
    hashes = {entry.id: hash_token(token) for entry in entries.values() if (token := token_in(entry.url))}
    known = CallbackEndpoint.objects.filter(token_hash__in=hashes.values()).values_list("token_hash", "pk")
    owners = {number: dict(known).get(found) for number, found in hashes.items()}
    return [Listed(entry, _owner(entry, owners.get(number), instance)) for number, entry in sorted(entries.items())]


def _owner(entry: Entry, known: int | None, instance: Instance) -> Owner:
    if known is not None:
        return Owner.OURS if known == instance.pk else Owner.ANOTHERS
    return Owner.LEFT if bears_address(entry.url, callback_base()) else Owner.ELSEWHERE


def remove_left(instance: Instance, left: Collection[Listed]) -> None:
    """Delete entries that were left behind, by the login of this instance of the same company; ConnectWiseError."""
    registrations = registrations_of(instance)
    ids = [each.entry.id for each in left if each.owner == Owner.LEFT]
    audit.record(audit.Action.REMOVE_CALLBACKS, instance, organization=instance.organization, details={"entries": ids})
    for number in ids:
        registrations.delete(number)
