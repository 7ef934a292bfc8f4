"""`manage.py let_in`: a link by which somebody who can't sign in any more chooses a new password; break-glass."""

from __future__ import annotations

from typing import Any

from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from django.urls import reverse

from cwconnect.core import terminal
from instances import audit, mails
from instances.account_audit import organization_of
from instances.audit import Action
from instances.factors.removal import remove_all
from instances.factors.rule import has_factor


class Command(terminal.Command):
    """Prints a link that is good once, and takes second factors away where that is asked for."""

    help = "Print a link by which somebody who can't sign in any more chooses a new password. It is good once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the account's name, and whether its factors go."""
        parser.add_argument("username", metavar="USER", help="whose, by user name")
        parser.add_argument(
            "--without-factors",
            action="store_true",
            help="take second factors and recovery codes away, and end all sessions",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Record it and print; exit code 1 where there is no such account, or it is disabled."""
        account = User.objects.filter(username=options["username"]).first()
        if account is None:
            raise CommandError(f"There is nobody called {options['username']}.")
        if not account.is_active:
            raise CommandError(f"{account.get_username()} is disabled; enable them in the admin first.")
        self.stdout.write("\n".join(_let_in(account, without_factors=options["without_factors"])))


def _let_in(account: User, *, without_factors: bool) -> list[str]:
    """Do it; return the lines to print."""
    name = account.get_username()
    with transaction.atomic():
        removed = remove_all(account) if without_factors else 0
        details = {"factor": "all taken away" if without_factors else "kept"}
        audit.record(Action.LET_IN, audit.named(name), organization=organization_of(account), details=details)
    hours = settings.PASSWORD_RESET_TIMEOUT // 3600
    lines = [f"{name} chooses a new password here, once and within {hours} hours:", _link(account)]
    if not settings.PUBLIC_URL:
        lines.append("(below the address of this service: CWCONNECT_PUBLIC_URL does not say it)")
    if without_factors:
        lines.append(f"Second factors taken away: {removed}. All sessions have ended.")
    elif has_factor(account):
        lines.append("Then the second factor is asked for; --without-factors takes all factors away.")
    return lines


def _link(account: User) -> str:
    key = f"{user_pk_to_url_str(account)}-{default_token_generator.make_token(account)}"
    return f"{mails.link_to(reverse('new-password'))}#{key}"
