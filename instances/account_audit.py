"""What accounts do, in the audit log: sign-ins and their failures, sign-outs, new accounts, changed passwords.

Heard from Django's signals, so that no way to do it is left out: pages, the admin, commands.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from allauth.account.internal.flows.login import get_authentication_records
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import post_save, pre_save
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from cwconnect.core.client_ip import client_address
from instances import audit
from instances.audit import Action
from instances.models import AuditEntry, Organization

# The audit log is kept for ever and anybody may fail to sign in: so many an hour are written, then one that says so.
MOST_FAILURES = 100
_STEPS = {"socialaccount": "issuer", "mfa": "second factor"}
_HOUR = timedelta(hours=1)
_LOOKED_AT = 1000


@receiver(user_logged_in)
def _signed_in(sender: object, request: HttpRequest, user: User, **_: Any) -> None:
    steps = [_STEPS.get(step["method"], step["method"]) for step in get_authentication_records(request, user)]
    details = _from(request) | ({"by": " and ".join(dict.fromkeys(steps))} if steps else {})
    audit.record(Action.SIGN_IN, _named(user), organization=organization_of(user), details=details)


@receiver(user_logged_out)
def _signed_out(sender: object, request: HttpRequest, user: User | None, **_: Any) -> None:
    if user is not None:
        audit.record(Action.SIGN_OUT, _named(user), organization=organization_of(user), details=_from(request))


@receiver(user_login_failed)
def _failed(sender: object, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    user = User.objects.filter(username=str(credentials.get("username", ""))[:150]).first()
    # What names no account is not written: passwords are typed into the wrong field at times.
    record_failure("an account that does not exist" if user is None else _named(user), user, request)


def record_failure(subject: str, user: User | None, request: HttpRequest | None) -> None:
    """Record a failed sign-in, unless there were very many within the hour."""
    written = _failures_of_the_hour()
    if written > MOST_FAILURES:
        return
    if written == MOST_FAILURES:
        words = "further ones: they are not recorded until there are fewer an hour"
        audit.record(Action.SIGN_IN_FAILED, words, organization=None)
        return
    organization = None if user is None else organization_of(user)
    audit.record(Action.SIGN_IN_FAILED, subject, organization=organization, details=_from(request))


def _failures_of_the_hour() -> int:
    """Count those among the newest entries: the log has no end, and no index of times."""
    newest = AuditEntry.objects.order_by("-pk").values_list("action", "at")[:_LOOKED_AT]
    since = timezone.now() - _HOUR
    return sum(action == Action.SIGN_IN_FAILED and at >= since for action, at in newest)


@receiver(pre_save, sender=User)
def _changed(sender: object, instance: User, raw: bool = False, update_fields: Any = None, **_: Any) -> None:
    # A sign-in may hash the same password anew, and writes that column alone.
    if raw or instance.pk is None or update_fields is not None:
        return
    before = User.objects.filter(pk=instance.pk).values_list("password", flat=True).first()
    if before is not None and before != instance.password:
        audit.record(Action.CHANGE_PASSWORD, _named(instance), organization=organization_of(instance))


@receiver(post_save, sender=User)
def _created(sender: object, instance: User, created: bool, raw: bool = False, **_: Any) -> None:
    if created and not raw:
        audit.record(Action.CREATE_ACCOUNT, _named(instance), organization=None)


def _named(user: User) -> str:
    return f"account {user.get_username()}"


def organization_of(user: User) -> Organization | None:
    """Return the organization whose log it is written to: the account's first, and none for an operator without one."""
    return Organization.objects.filter(memberships__account=user).order_by("memberships__pk").first()


def _from(request: HttpRequest | None) -> dict[str, str]:
    return {} if request is None else {"address": client_address(request)}
