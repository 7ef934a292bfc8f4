"""Hints judged: pinned to the instance's own site, company and registration, their signature verified, polls woken.

Every customer of a cloud host signs validly, with a key of his own: what makes a callback this instance's is where its
key comes from. What is refused is counted by its reason and has no other effect; what is verified has no other than a
poll, or a read by id, that would have been made in a while anyway.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from cwconnect.connectwise.callbacks.announcements import Announcement, UnreadableBodyError, read_announcement
from cwconnect.connectwise.callbacks.signatures import KeyRefusedError, check_key_url, is_signed
from cwconnect.core.bulk_sql import update
from cwconnect.tracing import begin
from instances.models import Instance
from polling.callbacks.counts import RECEIVED, REFUSED, VERIFIED, Counted, add_counts
from polling.callbacks.signing_keys import claim_key, known_key, look_again
from polling.callbacks.waking import Announced, wake
from polling.detection.jobs import Work
from polling.models import CallbackHint, CallbackRegistration
from polling.workers.leases import DATABASE_DOWN

log = logging.getLogger(__name__)

AT_ONCE = 200  # hints of one transaction
MOST_BATCHES = 5  # of one look: polls are not kept waiting longer
KEY_WAIT = timedelta(minutes=10)  # how long a hint waits for its key; the poll has come round long since
LOOK_AGAIN = timedelta(seconds=5)
_Status = CallbackHint.Status
_JUDGED = ("status", "reason", "body", "signature", "digest", "type", "action", "record_id")


class RefusedError(Exception):
    """A hint that wakes nothing; `reason` is for counts."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class KeyMissingError(Exception):
    """A hint that can't be judged before the signing key of this URL was asked for."""

    def __init__(self, key_url: str) -> None:
        super().__init__(key_url)
        self.key_url = key_url


@dataclass
class Judged:
    """One hint with what it says, as far as that could be read, and why it was refused, if it was."""

    hint: CallbackHint
    said: Announcement | None = None
    reason: str = ""
    digest: str = ""

    @property
    def type(self) -> str:
        """The type that it says it is of, for counts: only one that is known there."""
        return self.said.type if self.said is not None and not self.reason else ""


def judge_hints(capacity: int, running: Collection[Work]) -> list[Work]:
    """Judge what waits, and wake polls; return jobs that fetch missing keys. A source of the workers' loop."""
    try:
        return _judge_hints(capacity)
    except DATABASE_DOWN:
        raise
    except Exception:  # a fault of ours here must not stop the polls, which are the truth
        log.exception("Callbacks could not be judged")
        return []


def _judge_hints(capacity: int) -> list[Work]:
    wanted: dict[int, tuple[Instance, str]] = {}
    for _ in range(MOST_BATCHES):
        hints = _waiting(timezone.now())
        if not hints:
            break
        missing = _judge_each(hints, timezone.now())
        wanted = missing | wanted
        if len(hints) < AT_ONCE:
            break
    jobs = [claim_key(instance, key_url) for instance, key_url in list(wanted.values())[: max(capacity, 0)]]
    return [job for job in jobs if job is not None]


def hints_to_judge(now: datetime) -> QuerySet[CallbackHint]:
    """Find the hints that wait and whose time has come."""
    return CallbackHint.objects.filter(status=_Status.WAITING, judge_at__lte=now)


def _waiting(now: datetime) -> list[CallbackHint]:
    """Return the hints to judge next; those of instances that went while they arrived are dropped."""
    hints = list(hints_to_judge(now).order_by("judge_at", "pk")[:AT_ONCE])
    instances = Instance.objects.in_bulk({hint.instance_id for hint in hints})
    orphans = [hint.pk for hint in hints if hint.instance_id not in instances]
    if orphans:
        CallbackHint.objects.filter(pk__in=orphans).delete()
        return _waiting(now)
    for hint in hints:
        hint.instance = instances[hint.instance_id]
    return hints


def _judge_each(hints: Sequence[CallbackHint], now: datetime) -> dict[int, tuple[Instance, str]]:
    """Judge these together; after a fault of ours each by itself, so that one holds up no other."""
    try:
        return _judge_batch(hints, now)
    except DATABASE_DOWN:
        raise
    except Exception:
        log.exception("%s callbacks could not be judged together", len(hints))
        if len(hints) == 1:
            _write([Judged(hints[0], reason="a fault of ours")], now)
            return {}
    missing: dict[int, tuple[Instance, str]] = {}
    for hint in hints:
        missing = _judge_each([hint], now) | missing
    return missing


def _judge_batch(hints: Sequence[CallbackHint], now: datetime) -> dict[int, tuple[Instance, str]]:
    """Judge these and write it; return, by instance, the key to ask for first."""
    registered = _registered({hint.instance_id for hint in hints})
    judged: list[Judged] = []
    missing: dict[int, tuple[Instance, str]] = {}
    waiting: list[int] = []
    for hint in hints:
        try:
            judged.append(_judge(hint, registered, now))
        except KeyMissingError as error:
            waiting.append(hint.pk)
            missing.setdefault(hint.instance_id, (hint.instance, error.key_url))
    _refuse_repeated(judged)
    # First woken, then written: after a crash in between they are judged, and polls woken, once more.
    wake([_announced(one) for one in judged if not one.reason], now)
    _write(judged, now)
    look_again(CallbackHint.objects.filter(pk__in=waiting), now + LOOK_AGAIN)
    return missing


def _registered(instance_ids: Collection[int]) -> dict[tuple[int, int], str]:
    """Return the type of each registration that these instances have at ConnectWise, by instance and entry."""
    rows = CallbackRegistration.objects.filter(instance_id__in=instance_ids)
    found = rows.values_list("instance", "entry_id", "type")
    return {(instance_id, entry): type_ for instance_id, entry, type_ in found if entry is not None}


def _judge(hint: CallbackHint, registered: Mapping[tuple[int, int], str], now: datetime) -> Judged:
    body = bytes(hint.body or b"")
    judged = Judged(hint, digest=sha256(body).hexdigest())
    try:
        judged.said = read_announcement(body)
        _check_pins(hint.instance, judged.said, registered)
        _check_signature(hint, body, judged.said.key_url, now)
    except UnreadableBodyError:
        judged.reason = "unreadable"
    except (RefusedError, KeyRefusedError) as error:
        judged.reason = error.reason
    return judged


def _check_pins(instance: Instance, said: Announcement, registered: Mapping[tuple[int, int], str]) -> None:
    if not (instance.callbacks_enabled and instance.watching):
        raise RefusedError("switched off")
    if said.company.lower() != instance.company.lower():
        raise RefusedError("another company")
    if registered.get((instance.pk, said.entry_id)) != said.type:
        raise RefusedError("unknown registration")
    check_key_url(said.key_url, base_url=instance.base_url, company=instance.company)


def _check_signature(hint: CallbackHint, body: bytes, key_url: str, now: datetime) -> None:
    """Return if the signature fits; else RefusedError, or KeyMissingError where another key might fit."""
    if not hint.signature:
        raise RefusedError("no signature")
    known = known_key(key_url)
    if known is not None:
        key, old = known
        if is_signed(body, hint.signature, key):
            return
        if not old:
            raise RefusedError("wrong signature")
    if now - hint.received_at > KEY_WAIT:
        raise RefusedError("no signing key")
    raise KeyMissingError(key_url)


def _refuse_repeated(judged: Sequence[Judged]) -> None:
    """Refuse what says word for word what was verified before: sent again by ConnectWise, or by somebody else."""
    good = [one for one in judged if not one.reason]
    earlier = CallbackHint.objects.filter(
        status=_Status.VERIFIED,
        instance__in={one.hint.instance_id for one in good},
        digest__in={one.digest for one in good},
    )
    seen = set(earlier.values_list("instance_id", "digest")) if good else set()
    for one in good:
        key = (one.hint.instance_id, one.digest)
        if key in seen:
            one.reason = "repeated"
        seen.add(key)


def _announced(one: Judged) -> Announced:
    assert one.said is not None  # noqa: S101  (only what could be read is verified)
    said = one.said
    return Announced(
        one.hint.instance_id, said.type, said.record_id, said.record_type, one.hint.received_at, deleted=said.deleted
    )


def _write(judged: Sequence[Judged], now: datetime) -> None:
    """Write what became of these hints, and count them: each once, whoever else judges them meanwhile."""
    with transaction.atomic():
        ours = _still_waiting([one.hint.pk for one in judged])
        written = [one for one in judged if one.hint.pk in ours]
        update(CallbackHint, _JUDGED, [(*_outcome(one), one.hint.pk) for one in written], key="id")
        counted: Counter[Counted] = Counter()
        for one in written:
            instance_id = one.hint.instance_id
            counted[instance_id, one.type, RECEIVED] += 1
            counted[instance_id, one.type, REFUSED + one.reason if one.reason else VERIFIED] += 1
        add_counts(counted, now)
    for one in written:
        if one.hint.traceparent and (judged_span := begin("judge callback", _said(one), parent=one.hint.traceparent)):
            judged_span.end()


def _said(one: Judged) -> dict[str, str | int]:
    """Return what a span says of a judged hint."""
    return {
        "cwconnect.instance_id": one.hint.instance_id,
        "cwconnect.callback_type": one.type,
        "cwconnect.outcome": one.reason or "verified",
    }


def _still_waiting(keys: Sequence[int]) -> set[int]:
    """Lock those of these hints that nobody has judged, or is about to; return them."""
    rows = CallbackHint.objects.filter(pk__in=keys, status=_Status.WAITING).order_by("pk")
    locked = rows.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
    return set(locked.values_list("pk", flat=True))


def _outcome(one: Judged) -> tuple[object, ...]:
    """Return what becomes of a hint's columns `_JUDGED`: of its body and signature nothing is left."""
    if one.reason:
        return (_Status.REFUSED.value, one.reason, None, "", "", "", "", None)
    assert one.said is not None  # noqa: S101  (as above)
    said = one.said
    return (_Status.VERIFIED.value, "", None, "", one.digest, said.type, said.action, said.record_id)
