"""The event catalogue: each resource with its events, fields and poll, and the way to watch it."""

from __future__ import annotations

from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from cwconnect.connectwise.catalogue import Resource, find_resource
from cwconnect.site.guide.highlight import highlighted
from cwconnect.site.guide.notification_fields import NOTIFICATION_FIELDS
from cwconnect.site.guide.resource_guide import guide_of, guides
from cwconnect.site.guide.samples import SAMPLE_KEY
from instances.models import Instance
from instances.pages.access import PageRequest, Person, operator_page, page
from instances.templatetags.cw import pretty_json

MOST_INSTANCES = 100  # to choose from; who has more opens the instance itself


@require_GET
@page
def catalogue(request: PageRequest) -> HttpResponse:
    """List the resources; `q` narrows by name, alias or path."""
    text = request.GET.get("q", "").strip().lower()[:200]
    found = [guide for guide in guides() if all(word in _words(guide.resource) for word in text.split())]
    context = {"guides": found, "text": text, "fields": NOTIFICATION_FIELDS, "here": "help"}
    return render(request, "guide/catalogue.html", context)


def _words(resource: Resource) -> str:
    return " ".join((resource.name, *resource.aliases, resource.path)).lower()


@require_GET
@page
def resource_page(request: PageRequest, resource: str) -> HttpResponse:
    """Explain one resource, with a notification of the kind in `kind`; 404 for one that the catalogue lacks."""
    guide = guide_of(_resource(resource))
    watching = _instances(request.person).filter(resource_polls__name=guide.resource.name)[:MOST_INSTANCES]
    chosen = guide.kind(request.GET.get("kind", ""))
    context = {
        "guide": guide,
        "chosen": chosen,
        "body": highlighted(pretty_json(chosen.sample.body), "json"),
        "configuration": highlighted(guide.configuration, "json"),
        "key": SAMPLE_KEY,
        "watching": watching,
        "instances": _without(request.person, guide.resource),
        "here": "help",
    }
    return render(request, "guide/resource.html", context)


@require_GET
@operator_page
def watch(request: PageRequest, resource: str) -> HttpResponse:
    """Lead to where the resource is added to the instance in `instance`, or to a new instance that watches it."""
    found = _resource(resource)
    number = request.GET.get("instance", "")
    if not number.isdecimal() or len(number) > 18:
        return redirect(f"{reverse('new-instance')}?{urlencode({'watch': found.name})}")
    instance = request.person.instance(int(number))
    return redirect(f"{reverse('add-resource', args=[instance.pk])}?{urlencode({'name': found.name})}")


def _resource(name: str) -> Resource:
    found = find_resource(name)
    if found is None:
        raise Http404
    return found


def _instances(person: Person) -> QuerySet[Instance]:
    return person.instances().order_by("name", "pk").only("pk", "name")


def _without(person: Person, resource: Resource) -> list[Instance]:
    """Return instances that do not watch a resource, by name; at most as many as can be chosen from."""
    return list(_instances(person).exclude(resource_polls__name=resource.name)[:MOST_INSTANCES])
