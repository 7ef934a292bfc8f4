"""Transformations kept, changed and deleted, each change in the audit log; what polls make of them is left whole."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import Http404

from cwconnect.core.errors import ConflictError, DomainError
from instances import audit
from instances.audit import Action
from instances.configuration.polls import plan_of
from instances.hub.mappings import vendor_path_of
from instances.hub.transformation_body import Body, read_body, read_name
from instances.models import Instance, Transformation
from instances.signals import mapping_in_use

MOST = 100  # of an instance


def list_transformations(instance: Instance) -> list[dict[str, Any]]:
    """Return an instance's transformations as they are shown, by name."""
    return [shown(row) for row in Transformation.objects.filter(instance=instance).order_by("name")]


def get_transformation(instance: Instance, name: str) -> dict[str, Any]:
    """Return one transformation as it is shown. Http404."""
    return shown(_stored(instance, name))


def put_transformation(instance: Instance, name: str, data: object) -> dict[str, Any]:
    """Keep a transformation, in the place of the former of its name; return it as it is shown.

    Raises DomainError that names the field at fault; ConflictError where a poll of the name reads another list.
    """
    name = read_name(name)
    body = read_body(data, name)
    with transaction.atomic():
        current = _locked(instance)
        before = Transformation.objects.filter(instance=current, name=name).first()
        _check_room(current, before)
        _check_polled(current, name, vendor_path_of(body.vendor_name))
        row = _write(before or Transformation(instance=current, name=name), body)
        current.save(update_fields=["updated_at"])  # a change of the configuration under way was read before this
        details = {"transformation": name, "vendor": body.vendor_name, "fields": len(body.fields)}
        audit.record(Action.PUT_TRANSFORMATION, current, organization=current.organization, details=details)
    return shown(row)


def delete_transformation(instance: Instance, name: str) -> None:
    """Delete a transformation. Http404; ConflictError where a poll, or something else, goes by it."""
    with transaction.atomic():
        current = _locked(instance)
        row = _stored(current, name)
        _check_unused(current, name)
        row.delete()
        current.save(update_fields=["updated_at"])
        details = {"transformation": name}
        audit.record(Action.DELETE_TRANSFORMATION, current, organization=current.organization, details=details)


def shown(row: Transformation) -> dict[str, Any]:
    """Return a transformation as the API shows it, which is how it is given."""
    return {
        "name": row.name,
        "level": "instance",
        "vendorName": row.vendor_name,
        "fields": row.fields,
        "configuration": row.configuration,
    }


def _write(row: Transformation, body: Body) -> Transformation:
    row.vendor_name, row.fields, row.configuration = body.vendor_name, body.fields, body.configuration
    row.save()
    return row


def _locked(instance: Instance) -> Instance:
    found = Instance.objects.select_for_update(no_key=True).filter(pk=instance.pk, organization__isnull=False).first()
    if found is None:
        raise Http404
    return found


def _stored(instance: Instance, name: str) -> Transformation:
    row = Transformation.objects.filter(instance=instance, name=name).first()
    if row is None:
        raise Http404
    return row


def _check_room(instance: Instance, before: Transformation | None) -> None:
    if before is None and Transformation.objects.filter(instance=instance).count() >= MOST:
        raise DomainError(f"An instance has {MOST} transformations at most.")


def _check_polled(instance: Instance, name: str, vendor_path: str) -> None:
    """Refuse a mapping of another list than a poll of its name reads."""
    for poll in instance.resource_polls.filter(name=name):
        path = plan_of(poll.name, poll.configuration).hub.path
        if path.lower() != vendor_path.lower():
            raise ConflictError(f"vendorName: the poll {name} reads {path}; remove that resource first.")


def _check_unused(instance: Instance, name: str) -> None:
    if instance.resource_polls.filter(name=name).exists():
        raise ConflictError(f"The poll {name} has its events by it; remove that resource first.")
    if used := [words for _, words in mapping_in_use.send(Instance, instance=instance, name=name) if words]:
        raise ConflictError(f"{used[0]} goes by it; change that first.")
