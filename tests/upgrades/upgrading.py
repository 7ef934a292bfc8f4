"""A restored dump with a ConnectWise and a receiver around it, as every test of upgrades wants it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.receivers import Receiver
from tests.support.services import ROOT
from tests.upgrades.site import Site

RUN = """
import sys, django
django.setup()
from django.core.management import call_command
for command in sys.argv[1:]:
    call_command(*command.split())
"""
KILLED = """
import os, signal, sys, django
django.setup()
from django.core.management import call_command
from instances import secrets
seal, left = secrets.seal, [int(sys.argv[1])]
def sealed(*args):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    return seal(*args)
secrets.seal = sealed
call_command("migrate", verbosity=0)
"""


@dataclass(frozen=True)
class Upgrade:
    """A restored dump, and what is around it."""

    release: str
    folder: Path
    environment: dict[str, str]
    site: Site
    receiver: Receiver
    delivered: list[str] = field(repr=False)

    def manage(self, *commands: str, may_fail: bool = False) -> str:
        """Run commands of this version in one process, one after the other; give what they print."""
        program = [sys.executable, "-c", RUN, *commands]
        done = subprocess.run(program, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=150)
        assert may_fail or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def migrate_until(self, sealed: int) -> int:
        """Run `migrate` until it has sealed so many secrets, and kill it; give its exit code."""
        program = [sys.executable, "-c", KILLED, str(sealed)]
        return subprocess.run(program, cwd=ROOT, env=self.environment, timeout=150, check=False).returncode

    def migrate_past_stops(self) -> None:
        """Migrate as far as what needs old processes stopped: whoever knows that may go on beside the rest."""
        found = json.loads(self.manage("upgrade --check --json", may_fail=True))
        stops = {step["app"]: step["name"] for step in found["migrations"] if step["breaks"]}
        self.manage(*(f"migrate {app} {name} -v0" for app, name in stops.items()))

    def settle(self) -> None:
        """Poll and deliver until all is delivered: a record's events follow one another, and so do a cut-off poll's."""
        self.manage(*["poll -v0"] * 2, *["deliver -v0"] * 3)
