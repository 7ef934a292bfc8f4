"""Saving and removing a person's own views of lists."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from cwconnect.core.errors import DomainError
from instances.models import SavedView
from instances.pages.access import AccountRequest, account_page
from instances.saved_views import PAGES, save_view


@require_POST
@account_page
def save(request: AccountRequest) -> HttpResponse:
    """Keep `query` of the list `page` under `name`."""
    page, query = request.POST.get("page", ""), request.POST.get("query", "")
    if request.person is None or page not in PAGES:
        raise Http404
    try:
        view = save_view(
            request.account.pk,
            request.person.organization,
            page=page,
            name=request.POST.get("name", ""),
            query=query.replace("\x00", ""),
        )
    except DomainError as error:
        messages.error(request, f"The view was not saved. {error.message}")
        return redirect(_list_of(page, query))
    messages.success(request, f"Saved as “{view.name}”: it stands above this list, for you alone.")
    return redirect(_list_of(page, view.query))


@require_POST
@account_page
def remove(request: AccountRequest, number: int) -> HttpResponse:
    """Remove one's own view; 404 for anybody else's."""
    view = SavedView.objects.filter(account=request.account, pk=number).first()
    if view is None:
        raise Http404
    view.delete()
    messages.success(request, f"The view “{view.name}” is removed.")
    return redirect(_list_of(view.page, view.query))


def _list_of(page: str, query: str) -> str:
    return f"{reverse(PAGES[page])}?{query}" if query else reverse(PAGES[page])
