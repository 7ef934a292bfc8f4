"""Sign-ins to the pages, and the sessions they began: from where, with which browser, when last seen; how they end.

A row knows its session by the key as it is stored (a hash: cwconnect/core/sessions.py); whoever reads both tables can
take no session over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.db import DatabaseError, transaction
from django.dispatch import receiver
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from cwconnect.core.client_ip import client_address, client_network
from cwconnect.core.plain_cache import PlainMemoryCache
from cwconnect.core.sessions import SessionStore, stored_key
from instances import audit
from instances.account_audit import organization_of
from instances.audit import Action
from instances.known_browsers import ADDRESS_AGE, remember_browser
from instances.models import SignIn

log = logging.getLogger(__name__)

_ROW = "sign_in"  # in the session's data: it finds its row again when its key changed
_SEEN_EVERY = 60  # seconds
# Each process knows by itself what it wrote: a Redis that hangs must not hold up pages for this.
_seen = PlainMemoryCache("sessions seen", {"OPTIONS": {"MAX_ENTRIES": 10_000}})


@receiver(user_logged_in)
def _signed_in(sender: object, request: HttpRequest, user: User, **_: Any) -> None:
    if request.session.session_key is None:
        request.session.create()
    request.session[_ROW] = _record(request, user.pk).pk
    _is_due(_stored_key(request.session))  # this was written just now
    request.signed_in_account = user.pk  # type: ignore[attr-defined]  # ours alone


def _record(request: HttpRequest, account: int) -> SignIn:
    now = timezone.now()
    return SignIn.objects.create(
        account_id=account,
        session_key=_stored_key(request.session),
        at=now,
        last_seen_at=now,
        address=client_address(request)[:45],
        network=client_network(request),
        browser=request.headers.get("User-Agent", "")[:300],
    )


def _stored_key(session: SessionBase) -> str:
    return stored_key(session.session_key or "")


class SignInMiddleware:
    """Has browsers known to the accounts that signed in, and notes once a minute that a session is in use."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer one request."""
        response = self.get_response(request)
        account = getattr(request, "signed_in_account", None)
        if account is not None:
            remember_browser(response, account)
        elif request.session.accessed and SESSION_KEY in request.session:
            _note_use(request)
        return response


def _note_use(request: HttpRequest) -> None:
    key = _stored_key(request.session)
    if _is_due(key):
        try:
            _write_use(request, key)
        except DatabaseError:  # a page that only reads is shown all the same
            log.warning("The use of a session could not be noted.", exc_info=True)


def _is_due(key: str) -> bool:
    """Return whether a minute has gone since this process was last asked about the session."""
    return _seen.add(key, 1, _SEEN_EVERY)


def _write_use(request: HttpRequest, key: str) -> None:
    account, now = int(request.session[SESSION_KEY]), timezone.now()
    if SignIn.objects.filter(session_key=key).update(last_seen_at=now):
        return
    # A changed password gives the session another key; one of before this table was kept has no row at all.
    own = SignIn.objects.filter(pk=request.session.get(_ROW) or 0, account_id=account)
    if not own.update(session_key=key, last_seen_at=now):
        _record(request, account)


def live_sign_ins(account: User) -> list[SignIn]:
    """Return the sign-ins whose sessions are good still, those in use first."""
    found = SignIn.objects.filter(account_id=account.pk).order_by("-last_seen_at", "-pk")
    keys = found.values("session_key")
    sessions = Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
    live = {row.session_key for row in sessions if _is_good(row, account)}
    return [each for each in found if each.session_key in live]


def _is_good(row: Session, account: User) -> bool:
    """Return whether it is the account's, and of no password before the present one."""
    data = SessionStore().decode(row.session_data)
    own = data.get(SESSION_KEY) == str(account.pk)
    return own and constant_time_compare(data.get(HASH_SESSION_KEY, ""), account.get_session_auth_hash())


def sign_in_before(account: User, request: HttpRequest) -> SignIn | None:
    """Return the account's last sign-in before the one of this browser; None if there was none of late."""
    others = SignIn.objects.filter(account_id=account.pk).exclude(session_key=_stored_key(request.session))
    this = SignIn.objects.filter(session_key=_stored_key(request.session)).first()
    return (others if this is None else others.filter(pk__lt=this.pk)).order_by("-pk").first()


def end_sessions(account: User, sign_ins: Sequence[SignIn]) -> None:
    """End the sessions that these sign-ins of the account began, and record it."""
    with transaction.atomic():
        Session.objects.filter(session_key__in=[each.session_key for each in sign_ins]).delete()
        audit.record(
            Action.END_SESSIONS,
            f"account {account.get_username()}",
            organization=organization_of(account),
            details={"sessions": [{"address": each.address, "at": each.at.isoformat()} for each in sign_ins]},
        )


def is_this_browser(sign_in: SignIn, request: HttpRequest) -> bool:
    """Return whether it began the session that asks."""
    return sign_in.session_key == _stored_key(request.session)


def delete_old_sign_ins(now: datetime) -> int:
    """Delete what no longer makes an address known; give how many."""
    return SignIn.objects.filter(at__lt=now - ADDRESS_AGE).delete()[0]
