"""The page *Copies* of an instance: a resource copied as a whole, followed while it is read, and downloaded."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from cwconnect.connectwise.catalogue import DEFAULT_RESOURCES
from cwconnect.core.errors import DomainError
from instances.models import Instance
from instances.pages.access import PageRequest, operator_page, page
from instances.pages.field_names import usual_fields
from polling.copies import files
from polling.copies.asking import cancel_copy, copies_of, start_copy, state_in_words
from polling.copies.watched import watched
from polling.models import Copy
from polling.pages.copy_form import CopyForm
from polling.pages.refreshing import refreshed_part
from polling.reports.instance_status import instance_status_of

SHOWN = 25
KINDS = {kind.ending: kind for kind in (files.Kind.CSV, files.Kind.JSON, files.Kind.LINES)}


@page
def copies(request: PageRequest, number: int) -> HttpResponse:
    """Show an instance's copies with the form for another; begin it."""
    instance = request.person.instance(number)
    form = CopyForm(instance, request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            start_copy(instance, form.query)
            return redirect("copies-page", number)
        except DomainError as error:
            form.add_error(None, error.message)
    rows = [_row(copy) for copy in copies_of(instance)[:SHOWN]]
    context = {"instance": instance, "rows": rows, "kinds": KINDS}
    if request.htmx:
        return refreshed_part(request, "polling/parts/copies.html", context)
    around = {
        "form": form,
        "known": usual_fields(str(form["resource"].value() or DEFAULT_RESOURCES[0])),
        "status": instance_status_of(instance, timezone.now()),
        "tab": "copies",
    }
    return render(
        request, "polling/copies.html", context | around | {"here": "instances"}, status=422 if form.errors else 200
    )


@require_GET
@operator_page
def copy_file(request: PageRequest, number: int, copy: int) -> HttpResponseBase:
    """Return a complete copy as a file, in the form `as`; what people download is in the audit log."""
    kind = KINDS.get(request.GET.get("as", "csv"))
    if kind is None:
        raise Http404
    try:
        return files.download(_own_copy(request.person.instance(number), copy), kind)
    except DomainError as error:
        messages.error(request, error.message)
        return redirect("copies-page", number)


@require_POST
@operator_page
def cancel(request: PageRequest, number: int, copy: int) -> HttpResponse:
    """End a copy where it stands, or drop a complete one's records."""
    cancel_copy(_own_copy(request.person.instance(number), copy))
    return redirect("copies-page", number)


def _own_copy(instance: Instance, number: int) -> Copy:
    found = copies_of(instance).filter(pk=number).first()
    if found is None:
        raise Http404
    return found


def _row(copy: Copy) -> dict[str, object]:
    return {"copy": copy, "watched": watched(copy), "words": state_in_words(copy)}
