"""The REST routes of a hub: `/hubs/{hub}/{resource}[/{id}]`, with an Element token.

The rules are in `instances.hub`; what is added here is that the polls bring one's own write at once.
"""

from __future__ import annotations

import logging

from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone
from rest_framework.exceptions import APIException, MethodNotAllowed
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core.json_body import BoundedJSONParser
from instances.api.hubs import HubReads
from instances.credentials.limits import limits_of_key
from instances.hub.paths import allowed_verbs, find_path, lists_of
from instances.hub.writes import Written, check_right, write
from instances.models import Instance
from polling.api.v1.idempotency import idempotent_write
from polling.callbacks.waking import expect_written
from polling.workers.queue import wake_on_commit
from polling.workers.wakeups import Kind

log = logging.getLogger(__name__)


class BodyTooLongError(APIException):
    """A body that is longer than any record."""

    status_code = 413


class RecordParser(BoundedJSONParser):
    """Reads the body of a write: at most 1 MiB."""

    longest = 1024 * 1024

    def too_long(self) -> APIException:
        """Return a 413."""
        return BodyTooLongError(f"The body is longer than {self.longest:,} bytes.")


class HubView(HubReads):
    """Reads and writes through the Element token's instance. A list and a record of it take verbs of their own."""

    parser_classes = (RecordParser,)

    @property
    def allowed_methods(self) -> list[str]:
        """The verbs of this path, for the header Allow; of a view that answers no request, all."""
        return list(allowed_verbs(self.kwargs["resource"])) if hasattr(self, "kwargs") else super().allowed_methods

    @idempotent_write
    def post(self, request: Request, resource: str, hub: str = "") -> Response:
        """Create a record: 200, with the record."""
        return self._write(request, resource, hub)

    @idempotent_write
    def put(self, request: Request, resource: str, hub: str = "") -> Response:
        """Replace a record: 200, with the record."""
        return self._write(request, resource, hub)

    @idempotent_write
    def patch(self, request: Request, resource: str, hub: str = "") -> Response:
        """Change what the body names: 200, with the record."""
        return self._write(request, resource, hub)

    @idempotent_write
    def delete(self, request: Request, resource: str, hub: str = "") -> Response:
        """Delete a record: 200."""
        return self._write(request, resource, hub)

    def _write(self, request: Request, resource: str, hub: str) -> Response:
        del hub
        method = str(request.method)
        if method not in self.allowed_methods:
            raise MethodNotAllowed(method)
        data = request.data  # a body that can't be read is refused first, as by every route
        instance = self.instance(None)
        check_right(instance, key_writes=limits_of_key(self.caller.user).writes)
        target = find_path(instance, resource)
        if method not in target.verbs:
            raise MethodNotAllowed(method)  # of a field mapping's list, which only its row says
        written = write(instance, target, method, data, request.query_params.dict())
        _expect(instance, written, deleted=method == "DELETE")
        return Response(written.record)


def _expect(instance: Instance, written: Written, *, deleted: bool) -> None:
    """Have the polls bring what was written. Where that can't be noted just now, they bring it in their own time."""
    places = lists_of(written.path, written.record_id)
    try:
        with transaction.atomic():
            expect_written(instance.pk, places, timezone.now(), deleted=deleted)
            wake_on_commit(Kind.POLL)
    except (OperationalError, InterfaceError) as error:
        log.warning("%s: what was written is polled for in its own time: %s", instance, error)
