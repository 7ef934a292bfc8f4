"""The page *Help*, and the documents as pages."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from cwconnect.site.guide.documents import DOCUMENTS, find_document, rendered
from instances.pages.access import PageRequest, page


@require_GET
@page
def help_page(request: PageRequest) -> HttpResponse:
    """Say where to look for what, and what to do when events stop."""
    return render(request, "guide/help.html", {"documents": DOCUMENTS, "here": "help"})


@require_GET
@page
def document_page(request: PageRequest, document: str) -> HttpResponse:
    """Show a document; 404 for what is none."""
    found = find_document(document)
    if found is None:
        raise Http404
    context = {"document": found, "sections": rendered(found.name), "documents": DOCUMENTS, "here": "help"}
    return render(request, "guide/document.html", context)
