"""The page *Help*, for people signed in, and the documents as pages, for anybody: also where there is no internet."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from cwconnect.site.guide.documents import DOCUMENTS, HOME, address_of, find_document, rendered
from cwconnect.site.guide.files import code_of_file, find_file
from instances.pages.access import PageRequest, page, person_of


@require_GET
@page
def help_page(request: PageRequest) -> HttpResponse:
    """Say where to look for what, and what to do when events stop."""
    documents = [(document, address_of(document.name)) for document in DOCUMENTS]
    return render(request, "guide/help.html", {"documents": documents, "here": "help"})


@require_GET
def documents_page(request: HttpRequest) -> HttpResponse:
    """Show the document that leads to all others."""
    return _show_document(request, HOME)


@require_GET
def document_page(request: HttpRequest, document: str) -> HttpResponse:
    """Show a document; 404 for what is none."""
    return _show_document(request, document)


@require_GET
def file_page(request: HttpRequest, file: str) -> HttpResponse:
    """Show a file that documents lead to, by its path in the checkout; 404 for any other."""
    found = find_file(file)
    if found is None:
        raise Http404
    return _show(request, "guide/file.html", {"title": file, "code": code_of_file(file, found)})


def _show_document(request: HttpRequest, name: str) -> HttpResponse:
    found = find_document(name)
    if found is None:
        raise Http404
    return _show(request, "guide/document.html", {"document": found, "sections": rendered(found.name)})


def _show(request: HttpRequest, template: str, context: dict[str, object]) -> HttpResponse:
    if request.user.is_authenticated:
        request.person = person_of(request)  # type: ignore[attr-defined]  # as pages have it, for the bar
    return render(request, template, {**context, "here": "help"})
