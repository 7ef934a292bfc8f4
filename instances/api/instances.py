"""The REST routes about instances. No rules here: they are in `provisioning` and `configuration`.

Source: docs/wire-contract.md#2-instances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar, cast

from django.db.models import QuerySet
from django.http import Http404
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cwconnect.core import paging
from cwconnect.core.errors import DomainError
from cwconnect.core.json_body import BoundedJSONParser
from instances import provisioning
from instances.api.authentication import Caller
from instances.api.permission import MANAGES
from instances.api.serializers import instance_body, read_body
from instances.configuration.config_keys import InstanceConfig
from instances.configuration.wire import config_of, read_configuration
from instances.connector import ELEMENT
from instances.credentials.tokens import readable_token
from instances.models import Instance
from instances.scopes import Scope

_SLICE = 1000
Row = TypeVar("Row")


class ApiView(APIView):
    """What every API route shares: bounded bodies, and the caller whose organization bounds every read.

    Each view declares in `scopes` what its methods take (see permission.py); here stands nothing, which is closed.
    """

    parser_classes = (BoundedJSONParser,)
    scopes: ClassVar[Mapping[str, Scope]] = {}

    @property
    def caller(self) -> Caller:
        """On whose behalf the request is made."""
        return cast(Caller, self.request.auth)

    def readable_body(self, instance: Instance) -> dict[str, Any]:
        """Return an instance as GET answers it: with its token where that may be read; never to an Element token."""
        return instance_body(instance, token=None if self.caller.instance else readable_token(instance))

    def instances(self) -> QuerySet[Instance]:
        """Return the instances that the caller's key reaches: what others have does not exist here."""
        ours = {"organization": self.caller.organization} | self._named("pk")
        return Instance.objects.filter(**ours).prefetch_related("resource_polls")

    def ours(self, column: str = "instance") -> dict[str, Any]:
        """Return the filter that keeps rows to what the caller's key reaches; `column` leads to their instance."""
        return {f"{column}__organization": self.caller.organization} | self._named(column)

    def needs_whole_organization(self) -> None:
        """Raise 403 for a key that is for some instances alone."""
        if self.caller.instance_ids is not None:
            raise PermissionDenied("This takes an API key for the whole organization; this one is for some instances.")

    def _named(self, column: str) -> dict[str, Any]:
        """Return the filter that keeps rows to the instances that the caller's key names, if it names any."""
        ids = self.caller.instance_ids
        return {} if ids is None else {f"{column}__in": ids}

    def instance(self, number: str | None) -> Instance:
        """Return the instance of an id in the path, or that of the Element token; 404."""
        if number is None:
            if self.caller.instance is None:
                raise DomainError("Without an id in the path, the Authorization header must hold an Element token.")
            return self.caller.instance
        found = self.instances().filter(pk=number).first() if len(number) <= 18 else None
        if found is None:
            raise Http404
        return found


class InstancesView(ApiView):
    """`/instances`: create, list, and by Element token change and delete."""

    scopes = MANAGES

    def post(self, request: Request, **_: str) -> Response:
        """Prove the credentials and create the instance: 200, with the token, shown here only."""
        self.needs_whole_organization()
        body = read_body(request.data)
        instance, token = provisioning.create_instance(
            organization=self.caller.organization,
            user=self.caller.user,
            name=body.name or ELEMENT["name"],
            tags=body.tags or [],
            config=read_configuration(body.configuration, base=InstanceConfig()),
        )
        return Response(instance_body(instance, token=token))

    def get(self, request: Request, **_: str) -> Response:
        """List the organization's instances, newest first."""
        query = request.query_params
        size, before = paging.page_size(query), paging.read_token(query)
        found = self.instances().order_by("-pk")
        if before is not None:
            found = found.filter(pk__lt=before)
        if text := query.get("searchText", "").strip():
            found = found.filter(name__icontains=text.replace("\x00", ""))
        tags = {tag for tag in query.getlist("tags[]") + query.getlist("tags") if tag}
        page = _tagged(found, tags, size + 1) if tags else list(found[: size + 1])
        return paged(page, size, self.readable_body)

    def put(self, request: Request) -> Response:
        """Replace the configuration, the name and the tags of the Element token's instance."""
        return replaced(self.instance(None), request)

    def patch(self, request: Request) -> Response:
        """Change the Element token's instance."""
        return patched(self.instance(None), request)

    def delete(self, request: Request) -> Response:  # Django's signature
        """Delete the Element token's instance."""
        provisioning.delete_instance(self.instance(None))
        return Response()


class InstanceView(ApiView):
    """`/instances/{id}`."""

    scopes = MANAGES

    def get(self, request: Request, number: str, **_: str) -> Response:  # Django's signature
        """Show one instance."""
        return Response(self.readable_body(self.instance(number)))

    def put(self, request: Request, number: str, **_: str) -> Response:
        """Replace the configuration, the name and the tags."""
        return replaced(self.instance(number), request)

    def patch(self, request: Request, number: str, **_: str) -> Response:
        """Merge the configuration; replace the name and the tags where they are given."""
        return patched(self.instance(number), request)

    def delete(self, request: Request, number: str, **_: str) -> Response:  # Django's signature
        """Delete the instance: 200, and its token is worth nothing from now on."""
        provisioning.delete_instance(self.instance(number))
        return Response()


class EnabledView(ApiView):
    """`/instances/{id}/enabled`."""

    scopes = MANAGES

    def put(self, request: Request, number: str | None = None) -> Response:  # Django's signature
        """Let polling and delivery go on."""
        return Response(instance_body(provisioning.set_enabled(self.instance(number), enabled=True)))

    def delete(self, request: Request, number: str | None = None) -> Response:  # Django's signature
        """Pause polling and delivery; nothing is lost."""
        return Response(instance_body(provisioning.set_enabled(self.instance(number), enabled=False)))


def paged(rows: Sequence[Row], size: int, shape: Callable[[Row], Any]) -> Response:
    """Return a page of the compatible API: `rows` holds one more than `size` if there are more."""
    page, following = paging.cut(rows, size)
    response = Response([shape(row) for row in page])
    response.headers[paging.COUNT_HEADER] = str(len(page))
    if following is not None:
        response.headers[paging.NEXT_PAGE_HEADER] = following
    return response


def replaced(instance: Instance, request: Request) -> Response:
    """Answer a PUT."""
    body = read_body(request.data)
    config = read_configuration(body.configuration, base=InstanceConfig(), stored=config_of(instance))
    name = body.name or ELEMENT["name"]
    return Response(
        instance_body(provisioning.change_instance(instance, config=config, name=name, tags=body.tags or []))
    )


def patched(instance: Instance, request: Request) -> Response:
    """Answer a PATCH."""
    body, stored = read_body(request.data), config_of(instance)
    config = read_configuration(body.configuration, base=stored, stored=stored)
    return Response(
        instance_body(provisioning.change_instance(instance, config=config, name=body.name, tags=body.tags))
    )


def _tagged(found: QuerySet[Instance], tags: Iterable[str], size: int) -> list[Instance]:
    """Return the first `size` instances that have all the tags. In slices here: SQLite can't look into JSON lists."""
    needed, chosen, last = set(tags), list[int](), None
    while len(chosen) < size:
        rest: Any = found if last is None else found.filter(pk__lt=last)
        rows = list(rest.prefetch_related(None).values_list("pk", "tags")[:_SLICE])
        chosen += [pk for pk, own in rows if needed <= set(own)]
        if len(rows) < _SLICE:
            break
        last = rows[-1][0]
    return list(found.filter(pk__in=chosen[:size]))
