"""How an instance's registrations stand, in words for people: the pages, `/v1` and whoever else shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cwconnect.connectwise.callbacks.types import type_of_path
from instances.configuration.callback_address import NEEDED, callback_base
from instances.configuration.polls import plan_of
from instances.models import Instance
from polling.models import CallbackEndpoint, CallbackRegistration


@dataclass(frozen=True)
class RegistrationRow:
    """One callback type: the resources that it announces, how it stands (CallbackRegistration.Status), and since when.

    `problem` is why it is refused, a sentence; blank else. `silent_since`: the first of several changes that no
    callback announced; None while the type is heard.
    """

    type: str
    resources: list[str]
    status: CallbackRegistration.Status
    since: datetime | None
    problem: str
    silent_since: datetime | None


@dataclass(frozen=True)
class RegistrationReport:
    """All of an instance's. `problem`: why they can't be compared, or what is refused; blank where all is well.

    `key_problem`: why ConnectWise's signing key can't be had. `without` are the polled resources of which ConnectWise
    has no callbacks.
    """

    rows: list[RegistrationRow]
    without: list[str]
    problem: str
    compared_at: datetime | None
    next_compare_at: datetime | None
    key_problem: str

    @property
    def all_active(self) -> bool:
        """Whether each type that is wanted is registered."""
        return all(row.status == CallbackRegistration.Status.ACTIVE for row in self.rows)


def report_registrations(instance: Instance) -> RegistrationReport | None:
    """Return how they stand; None where callbacks are off and nothing is registered any more."""
    endpoint = CallbackEndpoint.objects.filter(instance=instance).first()
    if endpoint is None:
        return None
    resources: dict[str | None, list[str]] = {}
    for poll in instance.resource_polls.filter(enabled=True).order_by("name"):
        type_ = type_of_path(plan_of(poll.name, poll.configuration).hub.path)
        resources.setdefault(type_, []).append(poll.name)
    rows = [
        RegistrationRow(
            row.type,
            resources.get(row.type, []),
            CallbackRegistration.Status(row.status),
            row.active_since,
            row.error,
            row.silent_since,
        )
        for row in CallbackRegistration.objects.filter(instance=instance).order_by("type")
    ]
    lacking = instance.callbacks_enabled and not callback_base()
    problem = f"This {NEEDED}." if lacking else endpoint.error
    times = endpoint.compared_at, endpoint.next_compare_at
    return RegistrationReport(rows, resources.get(None, []), problem, *times, endpoint.key_error)
