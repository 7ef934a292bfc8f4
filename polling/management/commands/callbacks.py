"""`manage.py callbacks`: what is registered at ConnectWise for an instance, compared now, listed or removed."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from cwconnect.connectwise.errors import ConnectWiseError
from cwconnect.core import terminal
from cwconnect.core.text import counted
from instances.configuration.callback_address import callback_base
from instances.models import Instance
from instances.secrets import SecretUnreadableError
from polling.callbacks.foreground import Listed, NotNowError, Owner, compare_here, list_here, remove_left
from polling.models import CallbackEndpoint


class Command(terminal.Command):
    """Compare an instance's registrations with what is wanted, list what ConnectWise has, or remove them."""

    help = "Compare an instance's callbacks at ConnectWise with what is wanted. Exit code 1 if anything is refused."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare whose callbacks, and what is to be done."""
        parser.add_argument("instance_id", type=int)
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--list", action="store_true", help="show what ConnectWise lists, and whose it is")
        what.add_argument("--remove", action="store_true", help="remove this instance's, and ask for those left behind")
        parser.add_argument("--yes", action="store_true", help="remove those left behind without asking")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, and say what was done."""
        instance = _chosen(options["instance_id"])
        try:
            if options["list"]:
                self._show(list_here(instance))
            elif options["remove"]:
                self._remove(instance, yes=options["yes"])
            else:
                self._compare(instance)
        except (NotNowError, ConnectWiseError, SecretUnreadableError) as error:
            raise CommandError(str(error)) from None

    def _compare(self, instance: Instance, *, removing: bool = False) -> None:
        outcome = compare_here(instance, removing=removing)
        for line in outcome.done or ["Nothing was to be done."]:
            self.stdout.write(line)
        if outcome.refused:
            raise CommandError("\n".join(outcome.refused))

    def _show(self, listed: list[Listed]) -> None:
        for each in listed:
            state = "on" if each.entry.active else "off"
            self.stdout.write(f"{each.entry.id}  {each.entry.type}  {state}  {each.owner}  {each.place}")
        self.stdout.write(f"{counted(len(listed), 'callback')} listed.")

    def _remove(self, instance: Instance, *, yes: bool) -> None:
        if CallbackEndpoint.objects.filter(pk=instance.pk).exists():
            self._compare(instance, removing=True)
            if instance.callbacks_enabled and instance.watching:
                self.stdout.write("They are registered again within the hour, unless callbacks are switched off.")
        left = [each for each in list_here(instance) if each.owner == Owner.LEFT]
        if not left:
            self.stdout.write("Nothing was left behind.")
            return
        self._show(left)
        self.stdout.write(
            f"No instance of this database knows these, though they call {callback_base()}. If another installation "
            "stands behind that name, they may be its."
        )
        agreed = yes or (sys.stdin.isatty() and input("Remove them? [y/N] ").strip().lower() in ("y", "yes"))
        if not agreed:
            raise CommandError("They stay. --yes removes them.")
        remove_left(instance, left)
        self.stdout.write(f"{counted(len(left), 'callback')} removed.")


def _chosen(instance_id: int) -> Instance:
    """Return the instance, a deleted one too while something of it is registered."""
    instance = Instance.objects.select_related("organization").filter(pk=instance_id).first()
    deleted = instance is not None and instance.organization_id is None
    if instance is None or (deleted and not CallbackEndpoint.objects.filter(pk=instance_id).exists()):
        raise CommandError(f"There is no instance {instance_id}.")
    return instance
