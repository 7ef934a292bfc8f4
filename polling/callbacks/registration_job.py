"""Registrations as the workers compare them: beside the polls, under the endpoint's lease, a request a step.

Each comparison begins with the whole list, and each step is written before the next is asked. So whatever a crash or a
lost answer leaves, the next comparison finds. What ConnectWise refuses of one type holds up no other; what it refuses
altogether is shown, and tried again each hour. Nothing of it concerns the polls, but for a rate limit, which is theirs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from cwconnect.connectwise.callbacks.registrations import Entry, EntryPage, Registrations
from cwconnect.connectwise.client import Client
from cwconnect.connectwise.errors import (
    AlreadyExists,
    BadAnswer,
    ConnectWiseError,
    Forbidden,
    NotFound,
    Rejected,
    ServerFault,
)
from instances.configuration.callback_address import callback_base
from instances.connections import credentials_of, outbound_client
from instances.models import Instance
from instances.secrets import SecretUnreadableError
from polling.callbacks.comparison import NOT_OURS, Adopt, Create, Delete, Refuse, Step, SwitchOn, compare
from polling.callbacks.endpoints import callback_url, close_endpoint, is_over, wanted_types
from polling.callbacks.registration_rows import note_active, note_refused, note_wanted
from polling.detection.failures import decide_retry
from polling.detection.jobs import LEASE, Work
from polling.detection.outcomes import block_site, sentence_of
from polling.models import CallbackEndpoint, CallbackRegistration
from polling.workers.due import may_compare
from polling.workers.leases import claim, end_lease, fence, free

log = logging.getLogger(__name__)

AT_A_TIME = 2  # a worker's: each keeps one request under way, beside those of polls
COMPARE_EVERY = timedelta(hours=1)
LONGEST_REMOVAL = timedelta(days=1)  # that a deleted instance's login is kept for it
_MOST_PAGES = 100
_OF_ONE_STEP = (Forbidden, NotFound, Rejected, ServerFault, BadAnswer)
_HELP: Mapping[type[ConnectWiseError], str] = {
    Forbidden: "The API member's role may not read or create callbacks; integrators ask for System › Table Setup. ",
    NotFound: "This ConnectWise has no callbacks, or none at this address. ",
}


class RegistrationJob(Work):
    """A claimed comparison; `removing`: nothing is wanted, whatever is configured. `done` says what was done."""

    row = CallbackEndpoint

    def __init__(self, endpoint: CallbackEndpoint, token: str, *, removing: bool = False) -> None:
        self.endpoint, self.instance, self.removing = endpoint, endpoint.instance, removing
        self.key, self.token = endpoint.pk, token
        self.site, self.host = endpoint.site, urlsplit(self.instance.base_url).netloc.lower()
        self.secret = endpoint.token.reveal()
        self.registrations = registrations_of(self.instance, hidden=self.secret)
        self.base, self.url = callback_base(), callback_url(self.secret)
        self.wanted = set() if removing else wanted_types(self.instance)
        self.done: list[str] = []
        self.refused: dict[str, ConnectWiseError] = {}
        self._left: list[ConnectWiseError] = []  # why entries could not be deleted
        self._exists: set[str] = set()  # types of which ConnectWise says that an entry is there
        self._unseen: set[str] = set()  # those of them that are still to be looked for in the list
        self._replaced: set[int] = set()
        self._begin_list()

    @property
    def subject(self) -> str:
        """What log lines call it."""
        return str(self.endpoint)

    @property
    def about(self) -> Mapping[str, int | None]:
        """The instance."""
        return {"instance_id": self.key}

    def request(self) -> Callable[[], Any]:
        """Return the next request: a page of the list, and then step by step."""
        if not self._complete:
            return partial(self.registrations.page, self._pages + 1)
        return partial(_ask, self.registrations, self._steps[0], self.url)

    def commit(self, answer: EntryPage | Entry | ConnectWiseError | None) -> bool:
        """Write what a request brought; give whether there is more to ask."""
        with transaction.atomic():
            now = timezone.now()
            fence(CallbackEndpoint, self.key, self.token, lease_until=now + LEASE)
            if isinstance(answer, EntryPage):
                self._take_page(answer)
            else:
                self._take(self._steps.pop(0), answer, now)
            if _was_asked(self.endpoint):
                end_lease(CallbackEndpoint, self.key, self.token)
                return False
            if self._goes_on(now):
                return True
            self._end(now)
            return False

    def fail(self, error: Exception) -> None:
        """Write that it did not go on, and when it is tried again."""
        fail(self.endpoint, self.token, error)

    def _begin_list(self) -> None:
        self._steps: list[Step] = []
        self._listed: dict[int, Entry] = {}
        self._pages, self._complete = 0, False
        self._unseen.clear()

    def _take_page(self, page: EntryPage) -> None:
        """Take a page; one that brings nothing new is the last, whatever it says."""
        new = {entry.id: entry for entry in page.entries if entry.id not in self._listed}
        self._listed |= new
        self._pages += 1
        if page.is_last or not new or self._pages >= _MOST_PAGES:
            self._complete = True
            listed, exists = self._listed.values(), self._exists
            self._steps = compare(self.wanted, listed, url=self.url, token=self.secret, exists=exists)
            note_wanted(self.key, self.wanted)

    def _take(self, step: Step, answer: Entry | ConnectWiseError | None, now: datetime) -> None:
        """Write what became of a step that was asked."""
        if isinstance(answer, ConnectWiseError):
            self._take_refusal(step, answer)
        elif isinstance(step, Delete):
            self.done.append(f"{step.type}: deleted")
        elif isinstance(step, SwitchOn) and not (answer and answer.active):
            self._replace(step, Rejected("ConnectWise keeps the callback switched off."))
        elif answer is not None:
            note_active(self.key, step.type, answer.id, now)
            self.done.append(f"{step.type}: {'switched on' if isinstance(step, SwitchOn) else 'registered'}")

    def _take_refusal(self, step: Step, error: ConnectWiseError) -> None:
        if isinstance(step, Delete):
            self._left.append(error)
        elif isinstance(step, SwitchOn) and not error.retryable:
            self._replace(step, error)
        elif isinstance(error, AlreadyExists) and step.type not in self._exists:
            self._exists.add(step.type)
            self._unseen.add(step.type)
        else:
            self._refuse(step.type, Rejected(NOT_OURS) if isinstance(error, AlreadyExists) else error)

    def _replace(self, step: SwitchOn, error: ConnectWiseError) -> None:
        """Have an entry that can't be switched on deleted and made anew; once, then it is refused."""
        if step.entry.id in self._replaced:
            return self._refuse(step.type, error)
        self._replaced.add(step.entry.id)
        self._steps[:0] = [Delete(step.entry), Create(step.type)]
        return None

    def _refuse(self, type_: str, error: ConnectWiseError) -> None:
        self.refused[type_] = error
        note_refused(self.key, type_, words_of(error))
        log.warning("%s: %s is refused: %s", self.endpoint, type_, error)

    def _goes_on(self, now: datetime) -> bool:
        """Do the steps that ask nothing; give whether there is a request to make."""
        while self._complete and self._steps:
            step = self._steps[0]
            if isinstance(step, Refuse):
                self._refuse(step.type, Rejected(step.words))
            elif type(step) is Adopt:
                note_active(self.key, step.type, step.entry.id, now)
            elif not (isinstance(step, Delete) and self._is_all_there_is(step)):
                return True
            self._steps.pop(0)
        if self._complete and self._unseen:
            self._begin_list()
        return not self._complete

    def _is_all_there_is(self, step: Delete) -> bool:
        """Whether an entry at a former address stays for now, since the one in its place can't be made yet."""
        return step.type in self.wanted and (step.type in self.refused or step.type in self._unseen)

    def _end(self, now: datetime) -> None:
        CallbackRegistration.objects.filter(instance_id=self.key).exclude(type__in=self.wanted).delete()
        problems = [*self.refused.values(), *self._left]
        if waiting := [error for error in problems if error.retryable]:
            return self.fail(waiting[0])
        if is_over(self.instance) and not problems:
            close_endpoint(self.endpoint, self.token)
            return None
        words = " ".join(dict.fromkeys(map(words_of, problems)))
        again = now + COMPARE_EVERY if self.wanted or problems or self.removing else None
        changes: dict[str, Any] = {"compared_at": now, "failures": 0, "error": words, "url": self.base}
        end_lease(CallbackEndpoint, self.key, self.token, next_compare_at=again, **changes)
        return None


def registrations_of(instance: Instance, *, hidden: str = "") -> Registrations:
    """Return the registrations at an instance's site; no error shows what is `hidden`. SecretUnreadableError."""
    login = replace(credentials_of(instance), hidden=(hidden,) if hidden else ())
    return Registrations(Client(login, outbound_client()))


def _ask(registrations: Registrations, step: Step, url: str) -> Entry | ConnectWiseError | None:
    """Ask for one step, and return what came of it: a refusal too, where it concerns that step alone. In a thread."""
    try:
        if isinstance(step, Create):
            return registrations.create(step.type, url, f"cwconnect: {step.type}")
        if isinstance(step, SwitchOn):
            return registrations.switch_on(step.entry)
        if isinstance(step, Delete):
            registrations.delete(step.entry.id)
    except _OF_ONE_STEP as error:
        return error
    return None


def words_of(error: Exception) -> str:
    """Return what people read of a refusal, with what may help."""
    reason = error if isinstance(error, ConnectWiseError) else None
    help_ = next((words for kind, words in _HELP.items() if isinstance(error, kind)), "")
    return help_ + sentence_of(reason, error)


def _was_asked(endpoint: CallbackEndpoint) -> bool:
    """Whether another comparison was asked for since this one was claimed; to be asked under the row's lock."""
    claimed = endpoint.next_compare_at
    stored = CallbackEndpoint.objects.values_list("next_compare_at", flat=True).get(pk=endpoint.pk)
    return stored is not None and (claimed is None or stored > claimed)


def fail(endpoint: CallbackEndpoint, token: str, error: Exception) -> None:
    """Write that a comparison did not go on, and when it is tried again; what is written of it stays."""
    now, failures = timezone.now(), endpoint.failures + 1
    reason = error if isinstance(error, ConnectWiseError) else None
    decision = decide_retry(reason, failures)
    if decision.site_waits:
        block_site(endpoint.site, now + decision.wait)
    with transaction.atomic():
        fence(CallbackEndpoint, endpoint.pk, token, lease_until=now + LEASE)
        if _is_given_up(endpoint, reason, now):
            log.warning("%s can't be removed, and are left behind: %s", endpoint, error)
            close_endpoint(endpoint, token)
            return
        changes: dict[str, Any] = {"failures": failures, "error": words_of(error), "url": callback_base()}
        changes |= {} if _was_asked(endpoint) else {"next_compare_at": now + decision.wait}
        end_lease(CallbackEndpoint, endpoint.pk, token, **changes)


def _is_given_up(endpoint: CallbackEndpoint, reason: ConnectWiseError | None, now: datetime) -> bool:
    """Whether nothing more is tried: a day after the deletion, or where callbacks are refused and none is known."""
    instance = endpoint.instance
    if instance.organization_id is None and now - instance.updated_at >= LONGEST_REMOVAL:
        return True
    known = CallbackRegistration.objects.filter(instance=instance, entry_id__isnull=False)
    return is_over(instance) and isinstance(reason, Forbidden | NotFound) and not known.exists()


def claim_registrations(capacity: int, running: Collection[Work]) -> list[Work]:
    """Claim comparisons that are due, a few at a time, the longest due first."""
    capacity = min(capacity, AT_A_TIME - sum(isinstance(job, RegistrationJob) for job in running))
    now = timezone.now()
    due = may_compare(now).filter(next_compare_at__lte=now)
    keys = due.filter(free(now)).order_by("next_compare_at").values_list("pk", flat=True)[: max(capacity, 0)]
    return list[Work](claim_comparisons(due, list(keys)))


def claim_comparisons(
    due: QuerySet[CallbackEndpoint], keys: Collection[int], *, removing: bool = False
) -> list[RegistrationJob]:
    """Claim those of these that nobody holds."""
    if not keys:
        return []
    token, claimed = claim(due, keys, now=timezone.now(), length=LEASE)
    rows = CallbackEndpoint.objects.filter(pk__in=claimed).select_related("instance")
    return [job for row in rows if (job := _start(row, token, removing=removing)) is not None]


def _start(endpoint: CallbackEndpoint, token: str, *, removing: bool) -> RegistrationJob | None:
    try:
        return RegistrationJob(endpoint, token, removing=removing)
    except SecretUnreadableError as error:
        fail(endpoint, token, error)
        return None
