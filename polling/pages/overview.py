"""The overview: is everything well?"""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from instances.access import PageRequest, page


@page
def overview(request: PageRequest) -> HttpResponse:
    """Show how the organization's instances fare."""
    return render(request, "polling/overview.html")
