"""Field names offered where a poll is edited or a copy asked for.

They are those of the table of fields, and with an instance those of its ConnectWise too.
"""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from cwconnect.connectwise.errors import ConnectWiseError
from cwconnect.core.errors import DomainError
from instances.configuration.polls import plan_of
from instances.hub.discovery import fields_for, list_path
from instances.hub.known_fields import KnownField, table_fields
from instances.models import Instance
from instances.pages.access import PageRequest, operator_page


@require_GET
@operator_page
def field_names(request: PageRequest, number: int) -> HttpResponse:
    """Return the names of the fields of the resource `name`, or `resource`.

    Where ConnectWise does not tell, they are those of the table, with the reason.
    """
    instance, wrong = request.person.instance(number), ""
    name = request.GET.get("name", "") or request.GET.get("resource", "")  # as the page's field for it is called
    path = _path(instance, name)
    try:
        fields = fields_for(instance, path) if path else []
    except (ConnectWiseError, DomainError) as error:
        fields, wrong = table_fields(path), error.message
    context = {"names_id": request.GET.get("id", ""), "known": filterable(fields), "wrong": wrong}
    return render(request, "parts/field_names.html", context)


def usual_fields(name: str) -> list[KnownField]:
    """Return what the table knows of a resource's fields that a condition may name; none of an unknown one."""
    try:
        return filterable(table_fields(list_path(name)))
    except Http404:
        return []


def filterable(fields: list[KnownField]) -> list[KnownField]:
    """Return the fields that a condition may name, by their names."""
    return sorted((field for field in fields if field.filterable), key=lambda field: field.name)


def _path(instance: Instance, name: str) -> str:
    """Return the list of a resource: the one that its poll reads, or that of its name; "" where there is none."""
    poll = instance.resource_polls.filter(name=name).first()
    try:
        return plan_of(name, poll.configuration).hub.path if poll else list_path(name)
    except (Http404, DomainError):
        return ""
