"""`manage.py issue_secrets`: the User and Organization secrets for the REST API's Authorization header."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from cwconnect.core import terminal
from cwconnect.core.unseen import find_unseen_in_name, trim
from instances.credentials.issuing import IssuedSecrets, issue_secrets
from instances.credentials.limits import Limits, limits_of_key
from instances.management.limit_options import add_limit_options, limits_in
from instances.models import ApiUser


class Command(terminal.Command):
    """Makes what is missing and prints it once."""

    help = "Make the secrets of an organization and of one of its API users, and print them: they are shown only once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the names, the limits of the key, and the switches."""
        parser.add_argument("--organization", required=True, metavar="NAME")
        parser.add_argument("--user", required=True, metavar="NAME")
        parser.add_argument("--rotate", action="store_true", help="replace both secrets; the old ones end at once")
        add_limit_options(parser)
        parser.add_argument(
            "--may-write",
            action="store_true",
            help="a key that may manage also writes to ConnectWise, by hub routes of instances that allow it",
        )
        parser.add_argument("--json", action="store_true", help='print {"user": …, "organization": …}')

    def handle(self, *args: Any, **options: Any) -> None:
        """Issue and print; exit code 1 if there was nothing to issue."""
        organization, user = trim(options["organization"]), trim(options["user"])
        if not (0 < len(organization) <= 200 and 0 < len(user) <= 200):
            raise CommandError("The names must have 1 to 200 characters.")
        for option, name in (("--organization", organization), ("--user", user)):
            if unseen := find_unseen_in_name(name):
                raise CommandError(f"{option} holds {unseen}.")
        there = ApiUser.objects.filter(organization__name=organization, name=user).first()
        limits = limits_in(options, limits_of_key(there) if there else Limits(), timezone.now())
        issued = issue_secrets(organization_name=organization, user_name=user, rotate=options["rotate"], limits=limits)
        if issued.user is None and issued.organization is None:
            raise CommandError(
                f"{user} of {organization} has secrets already; they can't be shown again. --rotate replaces them."
            )
        self.stdout.write(json.dumps(_made(issued)) if options["json"] else _sentences(issued))


def _made(issued: IssuedSecrets) -> dict[str, str]:
    return {name: secret for name in ("user", "organization") if (secret := getattr(issued, name))}


def _sentences(issued: IssuedSecrets) -> str:
    lines = [f"{name} secret: {secret}" for name, secret in _made(issued).items()]
    if len(lines) == 2:
        lines.append(f"Authorization: User {issued.user}, Organization {issued.organization}")
    else:
        lines.append("The other secret exists already and can't be shown again; --rotate replaces both.")
    return "\n".join(line[:1].upper() + line[1:] for line in lines)
