"""The event catalogue: each resource with its events, fields and poll, and the way to watch it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from cwconnect.connectwise.catalogue import find_resource, further_by_module
from cwconnect.connectwise.common_resources import COMMON_RESOURCES
from cwconnect.connectwise.only_per_record import all_per_record
from cwconnect.connectwise.resource import Resource
from cwconnect.site.guide.highlight import highlighted
from cwconnect.site.guide.notification_fields import NOTIFICATION_FIELDS
from cwconnect.site.guide.resource_guide import guide_of
from cwconnect.site.guide.samples import SAMPLE_KEY, sample_of
from instances.models import Instance
from instances.pages.access import PageRequest, Person, operator_page, page
from instances.templatetags.cw import pretty_json
from polling.delivery.forms import Form

MOST_INSTANCES = 100  # to choose from; who has more opens the instance itself


@require_GET
@page
def catalogue(request: PageRequest) -> HttpResponse:
    """List the resources; `q` narrows by name, alias or path."""
    text = request.GET.get("q", "").strip().lower()[:200]
    words = text.split()
    further = {module: _found(resources, words) for module, resources in further_by_module().items()}
    context = {
        "guides": [guide_of(resource) for resource in _found(COMMON_RESOURCES, words)],
        "further": {module: resources for module, resources in further.items() if resources},
        "beneath": [each for each in all_per_record() if all(word in each.searched for word in words)],
        "text": text,
        "fields": NOTIFICATION_FIELDS,
        "here": "help",
    }
    return render(request, "guide/catalogue.html", context)


def _found(resources: Iterable[Resource], words: Sequence[str]) -> list[Resource]:
    """Return the resources that have all of the words in their name, aliases or path."""
    texts = {each: " ".join((each.name, *each.aliases, each.path)).lower() for each in resources}
    return [each for each, text in texts.items() if all(word in text for word in words)]


@require_GET
@page
def resource_page(request: PageRequest, resource: str) -> HttpResponse:
    """Explain one resource, with a notification of the kind in `kind` and the form in `form`.

    404 for one that the catalogue lacks.
    """
    guide = guide_of(_resource(resource))
    watching = _instances(request.person).filter(resource_polls__name=guide.resource.name)[:MOST_INSTANCES]
    chosen = guide.kind(request.GET.get("kind", ""))
    form = next((each for each in Form if each == request.GET.get("form")), Form.ELEMENTS)
    sample = sample_of(guide.resource.name, chosen.kind, form)
    context = {
        "guide": guide,
        "chosen": chosen,
        "forms": list(Form),
        "form": form,
        "sample": sample,
        "body": highlighted(pretty_json(sample.body), "json"),
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
