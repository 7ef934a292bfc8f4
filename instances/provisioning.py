"""Create and change instances: prove the credentials, take the high-water ids, then store, all or nothing.

ConnectWise is asked before the transaction begins and never inside one. Whatever is refused leaves everything as it
was. Where watching begins, `watch_starts` says. It goes on from there through every change of the configuration of the
same list.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from typing import Any

from django.db import transaction
from django.db.models import prefetch_related_objects
from django.utils import timezone

from cwconnect.core.errors import ConflictError
from instances import audit
from instances.audit import Action
from instances.configuration.config_keys import STORED_KEYS, InstanceConfig, Key
from instances.configuration.wire import config_of
from instances.credentials.overlap import OVERLAP
from instances.credentials.signature_keys import replace_key
from instances.credentials.tokens import put_token
from instances.interactive import interactive
from instances.models import ApiUser, Instance, Organization, ResourcePoll
from instances.secrets import Secret, hash_token, new_token
from instances.signals import instance_deleted, watching_changed
from instances.watch_starts import WatchStart, begins, look_again, read_watch_starts


def create_instance(
    *, organization: Organization, user: ApiUser, name: str, tags: Sequence[str], config: InstanceConfig
) -> tuple[Instance, str]:
    """Store a proven instance and begin to watch; give it with its token, which is not readable again.

    Raises ConnectWiseRefusedError, with nothing stored, when ConnectWise refuses the credentials or a resource.
    """
    with interactive(organization.pk):
        starts = read_watch_starts(config, [poll for poll in config.polls if begins(None, config, poll)])
    instance = Instance(organization=organization, created_by=user, name=name, tags=list(tags))
    token = put_token(instance)
    with transaction.atomic():
        _fill(instance, config, None)
        instance.save()
        begun, _ = _write_polls(instance, config, {}, starts, {})
        audit.record(Action.CREATE_INSTANCE, instance, organization=organization)
        watching_changed.send(Instance, instance=instance, begun=begun, reset=[])
        _read_whole(instance)
    return instance, token


def change_instance(
    instance: Instance,
    *,
    config: InstanceConfig,
    name: str | None = None,
    tags: Sequence[str] | None = None,
    from_now: Collection[str] = (),
) -> Instance:
    """Make an instance what is wanted, at once; None leaves name or tags as they are.

    New credentials are proven first, high-water ids are taken for what begins to be watched. `from_now` names resources
    that begin anew, if they are watched: what changed before is not recorded. Raises ConnectWiseRefusedError, or
    ConflictError when the instance has changed in the meantime; then everything stays as it was.
    """
    stored, read_at = config_of(instance), instance.updated_at
    polls = {poll.name: poll for poll in instance.resource_polls.all()}
    moved = stored.site != config.site
    fresh = [
        poll for poll in config.polls if begins(polls.get(poll), config, poll, moved=moved, from_now=poll in from_now)
    ]
    with interactive(instance.organization_id):
        starts = read_watch_starts(config, fresh, must_prove=stored.connection != config.connection)
        looked = look_again(polls, config, [poll for poll in config.polls if poll in polls and poll not in fresh])
    with transaction.atomic():
        current = Instance.objects.select_for_update(no_key=True).filter(pk=instance.pk, updated_at=read_at).first()
        if current is None:
            raise ConflictError("The instance was changed or deleted by somebody else meanwhile; nothing was done.")
        current.name, current.tags = name or current.name, current.tags if tags is None else list(tags)
        _fill(current, config, stored)
        current.save()
        details = audit.changes(stored, config) | named(instance, current)
        details |= {"from_now": sorted(from_now)} if from_now else {}
        audit.record(Action.CHANGE_INSTANCE, current, organization=current.organization, details=details)
        begun, reset = _write_polls(current, config, polls, starts, looked)
        former = stored if moved else None
        first_url = bool(config.callback_url and not stored.callback_url)
        watching_changed.send(Instance, instance=current, begun=begun, reset=reset, former=former, first_url=first_url)
        _read_whole(current)
    return current


def draft_instance(*, organization: Organization, name: str, config: InstanceConfig) -> Instance:
    """Return an instance that is stored nowhere, to try what is wanted with; its id is 0, which no other has."""
    instance = Instance(pk=0, organization=organization, name=name)
    _fill(instance, config, None)
    return instance


def changed_draft(instance: Instance, config: InstanceConfig) -> Instance:
    """Return the instance as a change to what is wanted would make it, a signature key's overlap included; unsaved."""
    draft = copy(instance)
    _fill(draft, config, config_of(instance))
    return draft


def set_enabled(instance: Instance, *, enabled: bool) -> Instance:
    """Let polling and delivery go on, or pause them; what comes meanwhile is kept."""
    with transaction.atomic():
        current = Instance.objects.select_for_update(no_key=True).get(pk=instance.pk)
        if current.disabled == enabled:
            current.disabled = not enabled
            current.save(update_fields=["disabled", "updated_at"])
            audit.record(Action.ENABLE if enabled else Action.DISABLE, current, organization=current.organization)
            watching_changed.send(Instance, instance=current, begun=[], reset=[])
        _read_whole(current)
    return current


@transaction.atomic
def set_tags(instance: Instance, tags: Sequence[str]) -> None:
    """Replace an instance's tags, and change nothing else: what is polled goes on as it does."""
    current = Instance.objects.select_for_update(no_key=True).get(pk=instance.pk)
    if current.tags != list(tags):
        details = {"tags": [current.tags, list(tags)]}
        current.tags = list(tags)
        current.save(update_fields=["tags", "updated_at"])
        audit.record(Action.CHANGE_INSTANCE, current, organization=current.organization, details=details)


def _read_whole(instance: Instance) -> None:
    """Read what shows the instance before its change is committed: nothing can fail between that and the answer."""
    prefetch_related_objects([instance], "resource_polls")


@transaction.atomic
def delete_instance(instance: Instance) -> None:
    """Make an instance nobody's: no page and no route shows it, its token is worth nothing, nothing is polled or sent.

    At once, however many its events: its rows go by and by (polling/maintenance/purge.py). Its secrets go now; the
    login to ConnectWise later, where a receiver of `instance_deleted` says that something is to be undone there.
    """
    current = Instance.objects.select_for_update(no_key=True).filter(pk=instance.pk, organization__isnull=False).first()
    if current is None:
        return  # by somebody else meanwhile
    audit.record(Action.DELETE_INSTANCE, current, organization=current.organization)
    current.organization, current.token_hash = None, hash_token(new_token())
    current.token = current.previous_token_hash = current.previous_token_until = None
    current.events_enabled, current.disabled, current.callback_url = False, True, ""
    current.signature_key = current.previous_signature_key = current.callback_headers = current.basic_password = None
    current.save()
    if not any(needed for _, needed in instance_deleted.send(Instance, instance=current)):
        forget_login(current)


def forget_login(instance: Instance) -> None:
    """Blank the keys to ConnectWise of a deleted instance."""
    instance.public_key = instance.private_key = Secret.of("")
    instance.save(update_fields=["public_key", "private_key"])


@transaction.atomic
def delete_organization(organization: Organization) -> None:
    """Delete an organization with all that is its own: its instances go as one that is deleted by itself does."""
    for instance in organization.instances.order_by("pk"):
        delete_instance(instance)
    organization.delete()


def named(before: Instance, after: Instance) -> dict[str, Any]:
    """Return what the audit log says of name and tags: `[old, new]` where they differ."""
    return {
        column: [old, new]
        for column in ("name", "tags")
        if (old := getattr(before, column)) != (new := getattr(after, column))
    }


def _fill(instance: Instance, config: InstanceConfig, stored: InstanceConfig | None) -> None:
    """Put the plain values into the row; a secret that is the same keeps its ciphertext."""
    for key in STORED_KEYS:
        value = getattr(config, key.field)
        if not key.secret:
            setattr(instance, key.field, value)
        elif stored is None or getattr(stored, key.field) != value:
            _fill_secret(instance, key, value)


def _fill_secret(instance: Instance, key: Key, value: Any) -> None:
    text = json.dumps(dict(value)) if value and key.kind == "json" else value
    if key.field == "signature_key":
        replace_key(instance, text, timezone.now() + OVERLAP)
    else:
        setattr(instance, key.field, Secret.of(text) if text else None)


def _write_poll(
    poll: ResourcePoll, configuration: Mapping[str, Any], start: WatchStart | None, missing: list[str] | None
) -> None:
    before = poll.configuration, poll.enabled, poll.missing_fields
    poll.configuration = {key: value for key, value in configuration.items() if key != "enabled"}
    poll.enabled = configuration.get("enabled", True)
    poll.missing_fields = poll.missing_fields if missing is None else missing
    if poll.pk and start is None and (poll.configuration, poll.enabled, poll.missing_fields) == before:
        return
    columns = ["configuration", "enabled", "missing_fields"]
    if start is not None:
        poll.high_water_id, poll.since, poll.missing_fields = start.newest_id, start.since, start.missing
        columns += ["high_water_id", "since"]
    poll.save(update_fields=columns if poll.pk else None)


def _write_polls(
    instance: Instance,
    config: InstanceConfig,
    polls: Mapping[str, ResourcePoll],
    starts: Mapping[str, WatchStart],
    missing: Mapping[str, list[str]],
) -> tuple[list[int], list[int]]:
    """Bring the rows to what is wanted; give the ids of those that begin, and of those whose open run is off.

    `starts` are there of those that begin, `missing` of those whose fields are others than before.
    """
    begun, reset = [], []
    instance.resource_polls.exclude(name__in=list(config.polls)).delete()
    for name, configuration in config.polls.items():
        poll = polls.get(name) or ResourcePoll(instance=instance, name=name)
        before = poll.configuration
        _write_poll(poll, configuration, starts.get(name), missing.get(name))
        if name in starts:
            begun.append(poll.pk)
        elif poll.configuration != before:
            reset.append(poll.pk)
    return begun, reset
