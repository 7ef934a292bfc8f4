"""Codes that people type: of an authenticator app (RFC 6238), or recovery codes. Each is taken once.

What was taken last is kept with the factor, in the database, which all processes share: a code that was seen over
somebody's shoulder is refused, and so is each that is older. The clocks may differ by one step of 30 seconds.
"""

from __future__ import annotations

import logging

from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.utils import decrypt
from django.contrib.auth.models import User
from django.db import transaction

from instances.factors.adapter import is_own
from instances.factors.notices import note_used_code
from instances.secrets import SecretUnreadableError

log = logging.getLogger(__name__)

_LAST = "last_step"  # in an app's data: the step of the last code that was taken


def take_code(account: User, code: str) -> Authenticator | None:
    """Return the account's factor that the code is of; None where it is of none, or was taken before."""
    for kind in (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES):
        with transaction.atomic():
            factor = Authenticator.objects.select_for_update().filter(user_id=account.pk, type=kind).first()
            if factor is not None and _takes(factor, code):
                return factor
    return None


def step_of(secret: str, code: str) -> int | None:
    """Return the step of an app's code within what the clocks may differ; None where it is no code of this time."""
    for step in totp.yield_hotp_counters_from_time():
        if compare_user_code(actual=code, expected=totp.format_hotp_value(totp.hotp_value(secret, step))):
            return int(step)
    return None


def note_step(factor: Authenticator, step: int) -> None:
    """Have codes of this step, and of those before it, refused from now on."""
    factor.data[_LAST] = step
    factor.save(update_fields=["data"])


def _takes(factor: Authenticator, code: str) -> bool:
    if not is_own(factor):
        log.error("A second factor of user %s names a secret that is another's: no code is taken.", factor.user_id)
        return False
    try:
        if factor.type == Authenticator.Type.RECOVERY_CODES:
            return _takes_recovery_code(factor, code)
        step = step_of(decrypt(factor.data["secret"]), code)
    except SecretUnreadableError as error:
        log.error("A second factor of user %s can't be checked: %s", factor.user_id, error)
        return False
    if step is None or step <= factor.data.get(_LAST, 0):
        return False
    note_step(factor, step)
    return True


def _takes_recovery_code(codes: Authenticator, code: str) -> bool:
    codes = codes.wrap()
    if not codes.validate_code(code):
        return False
    note_used_code(codes.instance)
    return True
