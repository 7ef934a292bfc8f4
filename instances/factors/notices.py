"""What follows when a second factor comes or goes: an audit entry, a mail to the person, other sessions that end.

Heard from the rows themselves, in the transaction that writes them, so that no way to do it is left out: pages,
commands, the admin. The first factor ends the account's other sessions: they began with a password alone.
"""

from __future__ import annotations

from typing import Any

from allauth.core import context
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from instances import audit, mails
from instances.account_audit import organization_of
from instances.audit import Action
from instances.factors.rule import PROPER
from instances.sign_ins import end_sessions, is_this_browser, live_sign_ins

_KINDS = {
    Authenticator.Type.TOTP: "authenticator app",
    Authenticator.Type.WEBAUTHN: "passkey",
    Authenticator.Type.RECOVERY_CODES: "recovery codes",
}


@receiver(post_save, sender=Authenticator)
def _added(sender: object, instance: Authenticator, created: bool, raw: bool = False, **_: Any) -> None:
    if raw or not created:
        return
    if instance.type not in PROPER:
        note(Action.MAKE_CODES, instance.user, instance)
        write(instance.user, "Recovery codes were made; any before them are not good any more")
        return
    note(Action.ADD_FACTOR, instance.user, instance)
    if Authenticator.objects.filter(user_id=instance.user_id, type__in=PROPER).count() == 1:
        _end_other_sessions(instance.user)
    write(instance.user, f"A second factor was added ({in_words(instance)})")


@receiver(post_delete, sender=Authenticator)
def _removed(sender: object, instance: Authenticator, origin: object = None, **_: Any) -> None:
    # Recovery codes go with the last factor, or for new ones; and a whole account says that it goes by itself.
    if instance.type not in PROPER or Authenticator not in (type(origin), getattr(origin, "model", None)):
        return
    note(Action.REMOVE_FACTOR, instance.user, instance)
    write(instance.user, f"A second factor was removed ({in_words(instance)})")


def _end_other_sessions(account: User) -> None:
    request = context.request
    live = live_sign_ins(account)
    others = live if request is None else [each for each in live if not is_this_browser(each, request)]
    if others:
        end_sessions(account, others)


def note_used_code(codes: Authenticator) -> None:
    """Tell of a recovery code that was taken."""
    left = len(codes.wrap().get_unused_codes())
    note(Action.USE_CODE, codes.user, codes, codes_left=left)
    write(codes.user, f"A recovery code was used; codes left: {left}")


def note(action: Action, account: User, factor: Authenticator, **details: Any) -> None:
    """Write the entry of what was done with an account's factor."""
    subject = audit.named(account.get_username())
    details = {"factor": in_words(factor), **details}
    audit.record(action, subject, organization=organization_of(account), details=details)


def in_words(factor: Authenticator) -> str:
    """Return what a factor is: a passkey by its name."""
    kind = _KINDS[factor.type]
    return f"{kind} “{factor.data.get('name', '')}”" if factor.type == Authenticator.Type.WEBAUTHN else kind


def write(account: User, what: str) -> None:
    """Mail the person once the transaction holds, where mail is sent and their address is known."""
    if not (account.email and mails.sends_mail()):
        return
    text = (
        f"{what}, for {account.get_username()} at {settings.PUBLIC_URL}.\n\n"
        "If it was not you, change your password there, look at your second factors, and tell whoever runs the "
        "service.\n"
    )
    address = account.email
    transaction.on_commit(lambda: mails.send_later(address, "Your second factors at cwconnect", text))
