"""`manage.py new_token`: a new Element token for an instance, printed once; the former one is good for a while."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from cwconnect.core import terminal
from instances.credentials.limits import limits_of_token
from instances.credentials.overlap import LONGEST_OVERLAP
from instances.credentials.tokens import replace_token
from instances.management.limit_options import add_limit_options, limits_in
from instances.models import Instance

_MOST_HOURS = LONGEST_OVERLAP // timedelta(hours=1)


class Command(terminal.Command):
    """Makes a token and prints it once."""

    help = "Give an instance a new Element token and print it: it is shown only once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the instance, and how long the former token is good."""
        parser.add_argument("instance_id", type=int)
        parser.add_argument(
            "--hours",
            type=int,
            default=24,
            help="how long the former token stays good: 24 unless given, 0 ends it",
        )
        add_limit_options(parser)
        parser.add_argument("--json", action="store_true", help='print {"token": …, "previous_token_until": …}')

    def handle(self, *args: Any, **options: Any) -> None:
        """Replace the token and print it; exit code 1 if there is no such instance."""
        instance = Instance.objects.filter(pk=options["instance_id"], organization__isnull=False).first()
        if instance is None:
            raise CommandError(f"There is no instance {options['instance_id']}.")
        if not 0 <= options["hours"] <= _MOST_HOURS:
            raise CommandError(f"--hours must be from 0 to {_MOST_HOURS}.")
        now = timezone.now()
        until = now + timedelta(hours=options["hours"])
        token = replace_token(instance, now, until=until, limits=limits_in(options, limits_of_token(instance), now))
        instance.refresh_from_db()
        ends = (instance.previous_token_until or until).isoformat(timespec="seconds")
        if options["json"]:
            self.stdout.write(json.dumps({"token": token, "previous_token_until": ends}))
        else:
            self.stdout.write(f"Element token: {token}\nThe former token is good until {ends}.")
