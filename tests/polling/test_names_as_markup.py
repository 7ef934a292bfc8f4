"""Names and words of outside in what commands print: shown as they stand, taken neither for markup nor for orders."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

import cwconnect.management.commands
import instances.management.commands
import polling.management.commands
from cwconnect.core import terminal
from cwconnect.core.text import literal
from instances.models import Instance, ResourcePoll
from tests.support.polled_instance import PolledInstance

ODD = "[/x] [red]\x1b[31mcontacts\x9b2J\u202e"
SHOWN = "[/x] [red]\\x1b[31mcontacts\\x9b2J\\u202e"
WORDS = "[/b] \x1b]0;owned\x07 refused"
COMMANDS = [
    f"{package.__name__}.{module.name}"
    for package in (cwconnect.management.commands, instances.management.commands, polling.management.commands)
    for module in pkgutil.iter_modules(package.__path__)
]
OF_AN_INSTANCE = [
    *(["poll"], ["verify"], ["verify", "--repair"], ["deletes"], ["deletes", "--sweep"], ["deletes", "--release"]),
    *(
        ["callbacks"],
        ["callbacks", "--list"],
        ["deliver"],
        ["release"],
        ["replay", "--failed"],
        ["replay", "--resource", ODD, "--count"],
    ),
]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_writes_literally(name: str) -> None:
    command = import_module(name).Command
    assert issubclass(command, terminal.Command)
    out, err = StringIO(), StringIO()
    made = command(stdout=out, stderr=err)
    made.stdout.write(ODD)
    made.stderr.write(ODD)
    assert (out.getvalue(), SHOWN in err.getvalue()) == (f"{SHOWN}\n", True)


def test_commands_that_walk_instances_are_all_here() -> None:
    tried = {arguments[0] for arguments in OF_AN_INSTANCE}
    assert {name.rpartition(".")[2] for name in COMMANDS if name.startswith("polling.")} - tried == {"prune"}


@pytest.fixture
def odd(world: PolledInstance) -> PolledInstance:
    world.watch(poll={"detectDeletes": True})
    world.poll()
    Instance.objects.update(name=ODD)
    ResourcePoll.objects.filter(name="contacts").update(name=ODD)
    return world


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("arguments", OF_AN_INSTANCE, ids=lambda arguments: " ".join(arguments).replace(ODD, "ODD"))
def test_what_commands_of_an_instance_print(
    odd: PolledInstance, capfd: pytest.CaptureFixture[str], arguments: list[str], refused: bool
) -> None:
    if refused:
        odd.store.fail_next(9, status=400, body={"code": "X", "message": WORDS})
    out, said = StringIO(), ""
    try:
        call_command(arguments[0], str(odd.instance.pk), *arguments[1:], stdout=out)
    except CommandError as error:
        said = literal(str(error))  # as its output writes it

    everything = out.getvalue() + said + capfd.readouterr().err
    assert "\x9b" not in everything
    assert "\x1b]0;" not in everything
    assert "\x1b[31mcontacts" not in everything
    if arguments[0] in ("poll", "verify") and not refused:
        assert "[red]" in everything  # a table may break a name at a blank
