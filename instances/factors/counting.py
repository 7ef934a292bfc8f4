"""Guesses at second factors, counted as guesses.py counts: of an account, or of a browser that it is known by.

Whoever gets as far as to guess has the password. The account's own browsers have a count of their own each, so that
somebody else's guesses don't have its owner wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone

from cwconnect.core.client_ip import client_network
from instances import audit, guesses
from instances.account_audit import record_failure
from instances.known_browsers import known_browser
from instances.sign_in_lock import too_many_guesses


@contextmanager
def counted(account: User | None) -> Iterator[None]:
    """Have the block, which raises ValidationError for a wrong guess, wait its turn; else it is answered 429."""
    request, now = context.request, timezone.now()
    key = _key_of(request, account)
    if wait := guesses.take_turn(key, now):
        raise ImmediateHttpResponse(too_many_guesses(request, wait))
    try:
        yield
    except ValidationError:
        if account is not None:
            record_failure(audit.named(account.get_username()), account, request)
        if wait := guesses.note_failure(key, now):
            raise ImmediateHttpResponse(too_many_guesses(request, wait)) from None
        raise


def _key_of(request: HttpRequest, account: User | None) -> str:
    if account is None:  # a passkey alone: nobody is named yet
        return guesses.key_of(guesses.PASSKEY, client_network(request))
    browser = known_browser(request, account.get_username())
    return guesses.key_of(guesses.SECOND_FACTOR, f"{account.pk} {browser or ''}")
