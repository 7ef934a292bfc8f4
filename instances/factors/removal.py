"""For somebody who can't get in any more: their factors taken away, by whoever runs the service."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.db import transaction

from instances.sign_ins import end_sessions, live_sign_ins


def remove_all(account: User) -> int:
    """Take all second factors of an account away and end its sessions; return how many factors there were.

    What somebody else may have begun with them ends too.
    """
    with transaction.atomic():
        found = list(Authenticator.objects.select_for_update().filter(user_id=account.pk))
        for factor in found:
            factor.delete()
        if live := live_sign_ins(account):
            end_sessions(account, live)
    return len(found)
