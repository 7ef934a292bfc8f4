"""Routes of the guidance: below `/app/` for people signed in, whatever their role; the documents for anybody."""

from __future__ import annotations

from django.urls import URLPattern, path
from django.views.generic import RedirectView

from cwconnect.site.guide import catalogue_pages, help_pages, receiver_pages

documents: list[URLPattern] = [
    path("help", help_pages.documents_page, name="help-home"),
    path("help/", RedirectView.as_view(pattern_name="help-home")),
    path("help/<slug:document>", help_pages.document_page, name="help-document"),
    path("help/files/<path:file>", help_pages.file_page, name="help-file"),
]
urlpatterns: list[URLPattern] = [
    path("help", help_pages.help_page, name="help"),
    path("help/documents/<slug:document>", RedirectView.as_view(pattern_name="help-document")),  # where they were
    path("help/events", catalogue_pages.catalogue, name="event-catalogue"),
    path("help/events/<slug:resource>", catalogue_pages.resource_page, name="event-catalogue-resource"),
    path("help/events/<slug:resource>/watch", catalogue_pages.watch, name="watch-resource"),
    path("help/receivers", receiver_pages.receiver_code, name="receiver-code"),
    path("instances/<int:number>/receiver", receiver_pages.instance_receiver_code, name="instance-receiver-code"),
]
