"""All that the service shows: every route there is, asked for by its callers and looked at by its people."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from django.apps import apps
from django.test import Client

from cwconnect.core.paths import is_page
from instances.models import Instance
from tests.conftest import Tenant
from tests.support.page_views import body_of
from tests.support.routes import VALUES, filled, templates

_ENDS = re.compile(r"signout|logout|^/static/|^/app/signin")


def _ids() -> list[int]:
    """Return the newest key of every table of ours: whatever a route's argument means, one of them is it."""
    models = [model for name in ("instances", "polling") for model in apps.get_app_config(name).get_models()]
    newest = [model._default_manager.order_by("-pk").values_list("pk", flat=True).first() for model in models]
    return sorted({key for key in newest if isinstance(key, int)})


def every_path() -> list[str]:
    """Return the paths of every route, its arguments filled in with all that they may mean."""
    instance = Instance.objects.get()
    poll = instance.resource_polls.values_list("pk", flat=True)[0]
    ours: dict[str, object] = {"poll": poll, "name": "contacts", **VALUES}
    found, numbers = set[str](), _ids()
    for template in templates():
        of_instance = {"number": instance.pk} if "instances" in template else {}
        found |= {filled(template, _value_of(ours | of_instance, number)) for number in numbers}
    return sorted(path for path in found if not _ENDS.search(path))


def _value_of(values: Mapping[str, object], other: int) -> Callable[[str], object]:
    return lambda name: values.get(name, other)


def everything_shown(tenant: Tenant, token: str, person: Client) -> dict[tuple[str, str], str]:
    """Return what each route answers to a GET, by caller and path, its headers included.

    The callers are the tenant's program, the same with an Element `token`, and a `person` who may see everything.
    """
    program = Client(headers={"Authorization": tenant.auth})
    element = Client(headers={"Authorization": f"{tenant.auth}, Element {token}"})
    shown = {}
    for path in every_path():
        for name, client in (("person", person),) if is_page(path) else (("program", program), ("element", element)):
            answer = client.get(path, raise_request_exception=False)
            body = body_of(answer).decode(errors="replace")
            shown[name, path] = f"{answer.status_code} {dict(answer.headers)} {body}"
    return shown
