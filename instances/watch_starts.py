"""Where watching of a resource begins: ConnectWise is asked once per resource, before anything is stored.

The newest record gives the high-water id and ConnectWise's `Date` gives `since`. For a site that sends no usable Date
the newest stamp of the list stands for its clock. The same record shows which configured fields are missing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from cwconnect.connectwise.client import Client
from cwconnect.connectwise.errors import ConnectWiseError, Forbidden, Unauthorized
from cwconnect.core.errors import DomainError
from instances.configuration.config_keys import POLLS, InstanceConfig
from instances.configuration.polls import plan_of
from instances.connections import client_for, make_credentials
from instances.interactive import TooManyCallsError, side_by_side
from instances.missing_fields import fields_found, fields_named, still_missing
from instances.models import ResourcePoll
from instances.plans import AHEAD, Plan

BEFORE_ALL = datetime(2000, 1, 1, tzinfo=UTC)  # since when an empty list without a clock is watched: no row is older
_AT_A_TIME = 3  # requests to one ConnectWise, as polls have them
_NO_CLIENT_ID = (
    " No clientId was sent: set connectwise.clientID on the instance, or CWCONNECT_CONNECTWISE_CLIENT_ID for all."
)


class ConnectWiseRefusedError(DomainError):
    """ConnectWise did not accept what was asked for, so nothing was stored; `provider_message` has its words.

    `error` is what it was, asked for the list of `resource`, with a client id or without; `company` is who asked.
    """

    def __init__(
        self,
        message: str,
        *,
        error: ConnectWiseError,
        resource: str,
        company: str,
        sent_client_id: bool,
    ) -> None:
        super().__init__(message, provider_message="" if error.status is None else error.message)
        self.error, self.resource, self.company, self.sent_client_id = error, resource, company, sent_client_id


@dataclass(frozen=True)
class WatchStart:
    """Where watching of a resource begins: the largest id there is, and ConnectWise's time.

    `missing`: the configured fields that the record of that id does not have (missing_fields.py).
    """

    newest_id: int
    since: datetime
    missing: list[str] = field(default_factory=list)


def begins(
    poll: ResourcePoll | None, config: InstanceConfig, name: str, *, moved: bool = False, from_now: bool = False
) -> bool:
    """Return whether a resource's watching begins now, or anew: for another site, another list by its path, or asked.

    What is switched off is not asked for its newest id: its role may be the reason.
    """
    watched = config.events_enabled and config.polls[name].get("enabled", True)
    if poll is None or poll.since is None:
        return watched
    return moved or (from_now and watched) or _lists_another(name, poll.configuration, config.polls[name])


def _lists_another(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a configuration reads another list than before. To compile one costs as much as the rest of a change."""
    if before == {key: value for key, value in after.items() if key != "enabled"}:
        return False
    return _path(name, before).lower() != _path(name, after).lower()


def read_watch_starts(
    config: InstanceConfig, names: Iterable[str], *, must_prove: bool = True
) -> dict[str, WatchStart]:
    """Take the starts of the named resources, which proves the credentials; without any, prove them if asked to."""
    client = client_for(make_credentials(*config.connection))
    names = list(names)
    read = side_by_side(lambda name: _read_watch_start(client, config, name), names, _AT_A_TIME)
    starts = dict(zip(names, read, strict=True))
    if not starts and must_prove:
        _prove(client, config)
    return starts


def _read_watch_start(client: Client, config: InstanceConfig, name: str) -> WatchStart:
    plan = plan_of(name, config.polls[name])
    path, asked_at = plan.hub.path, timezone.now().replace(microsecond=0)
    try:
        newest = client.newest(path, _members(plan))
        date = newest.date
        if date is None:
            date = client.newest_stamp(path, latest=asked_at + AHEAD) if newest.last_id else BEFORE_ALL
    except ConnectWiseError as error:
        raise _refusal(error, config, name) from error
    return WatchStart(newest.last_id, date or asked_at, sorted(fields_found(newest.records, plan).absent))


def look_again(
    polls: Mapping[str, ResourcePoll], config: InstanceConfig, names: Collection[str]
) -> dict[str, list[str]]:
    """Return what is missing of each of these polls' fields, where a change names others: the newest record shows it.

    Where ConnectWise can't be asked, the next poll learns it: a change waits for nobody's answer.
    """
    found = {}
    for name in names:
        poll = polls[name]
        before, after = fields_named(poll.configuration, name), fields_named(config.polls[name], name)
        if before == after:
            continue
        plan = plan_of(name, config.polls[name])
        missing = [key for key in poll.missing_fields if before[key] == after[key]]
        with suppress(ConnectWiseError, TooManyCallsError):
            newest = client_for(make_credentials(*config.connection)).newest(plan.hub.path, _members(plan))
            missing = still_missing(missing, fields_found(newest.records, plan))
        found[name] = missing
    return found


def _members(plan: Plan) -> str:
    """Name the members of a record that hold the configured fields."""
    return ",".join(dict.fromkeys(name.split(".")[0] for name in ("id", *plan.needed_fields)))


def _prove(client: Client, config: InstanceConfig) -> None:
    """Read one resource that the role may read; which one does not matter as long as nothing is watched."""
    refusal: ConnectWiseRefusedError | None = None
    for name, configuration in config.polls.items():
        try:
            client.newest_id(_path(name, configuration))
        except Forbidden as error:
            refusal = refusal or _refusal(error, config, name)
        except ConnectWiseError as error:
            raise _refusal(error, config, name) from error
        else:
            return
    if refusal:
        raise refusal


def _refusal(error: ConnectWiseError, config: InstanceConfig, name: str) -> ConnectWiseRefusedError:
    sent_client_id = bool(make_credentials(*config.connection).client_id)
    hint = "" if sent_client_id else _NO_CLIENT_ID
    if error.status is None:
        message = f"Nothing was stored: {error.message}"
    elif isinstance(error, Forbidden):
        message = (
            f"{POLLS}.{name}: the security role of these keys may not read this resource; nothing was stored.{hint}"
        )
    elif isinstance(error, Unauthorized):
        message = f"ConnectWise refuses the credentials (company, public.key, private.key); nothing was stored.{hint}"
    else:
        message = f"{POLLS}.{name}: ConnectWise could not be read; nothing was stored."
    return ConnectWiseRefusedError(
        message, error=error, resource=name, company=config.company, sent_client_id=sent_client_id
    )


def _path(name: str, configuration: Mapping[str, Any]) -> str:
    return plan_of(name, configuration).hub.path
