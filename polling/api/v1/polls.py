"""`/v1/instances/{id}/polls`: what is polled, how it fares, what may be asked of it. Rules: `poll_changes`, `due`."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from django.utils import timezone
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core.errors import ConflictError, DomainError
from cwconnect.core.openapi import Operation, described
from instances.api.permission import MANAGES
from instances.models import Instance, ResourcePoll
from instances.poll_changes import add_poll, change_poll
from polling.api.v1.base import (
    POLLS,
    Moment,
    Strict,
    Text,
    V1View,
    answer,
    read_body,
)
from polling.api.v1.idempotency import ONCE, POSTED, idempotent
from polling.api.v1.poll_shapes import PollPage, PollShape, poll_shapes
from polling.detection.polls.backfill import request_backfill
from polling.models import PollState
from polling.workers.due import make_due

Configuration = dict[str, Any]


class NewPoll(Strict):
    """A resource to poll. `copy_of`: the resource whose poll is copied, its URL turned to the new one."""

    resource: Text
    copy_of: Text | None = None
    configuration: Configuration = Field(default_factory=dict)
    enabled: bool = True


class PollChange(Strict):
    """What is to change; `configuration` is merged, and null removes a key (RFC 7396)."""

    configuration: Configuration = Field(default_factory=dict)
    enabled: bool | None = None


class Backfill(Strict):
    """The window to read again: from `since` on, by ConnectWise's clock."""

    since: Moment


class InstancePollsView(V1View):
    """What the routes share."""

    def poll(self, instance: Instance, number: str) -> ResourcePoll:
        """Return a poll of the instance; 404."""
        found = ResourcePoll.objects.filter(instance=instance, pk=number).first()
        if found is None:
            raise Http404
        found.instance = instance
        return found

    def shown(self, poll: ResourcePoll, status: int = 200) -> Response:
        """Answer a poll as it is now."""
        (shape,) = poll_shapes(ResourcePoll.objects.filter(pk=poll.pk), timezone.now())
        return answer(shape, status)


class PollsView(InstancePollsView):
    """`/v1/instances/{id}/polls`."""

    scopes = MANAGES

    @described(Operation(POLLS, "List an instance's polls and how they fare", PollPage, errors=(400,)))
    def get(self, request: Request, number: str) -> Response:
        """List the instance's polls."""
        self.no_query()
        found = ResourcePoll.objects.filter(instance=self.instance(number)).order_by("pk")
        return answer(PollPage(items=poll_shapes(found, timezone.now())))

    @described(
        Operation(
            POLLS,
            "Poll one more resource, as another one if copy_of names it",
            PollShape,
            201,
            body=NewPoll,
            headers=ONCE,
            errors=(403, 500, *POSTED),
            body_examples={"copy": {"resource": "incidents", "copy_of": "contacts"}},
        )
    )
    @idempotent
    def post(self, request: Request, number: str) -> Response:
        """Poll one more resource."""
        instance, body = self.instance(number), read_body(NewPoll, request.data)
        source = None
        if body.copy_of is not None:
            source = ResourcePoll.objects.filter(instance=instance, name=body.copy_of).first()
            if source is None:
                raise DomainError(f"copy_of: no resource {body.copy_of} is polled.")
        _check(body.configuration)
        made = add_poll(instance, body.resource, copy_of=source, patch=body.configuration, enabled=body.enabled)
        return self.shown(made, 201)


class PollView(InstancePollsView):
    """`/v1/instances/{id}/polls/{poll}`."""

    scopes = MANAGES

    @described(Operation(POLLS, "Show one poll", PollShape, errors=(400,)))
    def get(self, request: Request, number: str, poll: str) -> Response:
        """Show one poll."""
        self.no_query()
        return self.shown(self.poll(self.instance(number), poll))

    @described(
        Operation(
            POLLS,
            "Change a poll's configuration, or switch it on or off",
            PollShape,
            body=PollChange,
            body_required=False,
            errors=(403, 409, 500),
            body_examples={"off": {"enabled": False}, "configuration": {"configuration": {"pageSize": None}}},
        )
    )
    def patch(self, request: Request, number: str, poll: str) -> Response:
        """Change the configuration, or switch the poll on or off."""
        found, body = self.poll(self.instance(number), poll), read_body(PollChange, request.data)
        _check(body.configuration)
        return self.shown(change_poll(found, patch=body.configuration, enabled=body.enabled))


class RunView(InstancePollsView):
    """`/v1/instances/{id}/polls/{poll}/run`."""

    scopes = MANAGES

    @described(Operation(POLLS, "Poll now", PollShape, 202, headers=ONCE, errors=POSTED))
    @idempotent
    def post(self, request: Request, number: str, poll: str) -> Response:
        """Make the poll due at once; 202."""
        found = self.poll(self.instance(number), poll)
        if not make_due(PollState.objects.filter(pk=found.pk)):
            raise ConflictError("The poll is paused: the instance or the resource is disabled, or events are off.")
        return self.shown(found, 202)


class BackfillView(InstancePollsView):
    """`/v1/instances/{id}/polls/{poll}/backfill`."""

    scopes = MANAGES

    @described(
        Operation(
            POLLS,
            "Read a window again: what was missed becomes events",
            PollShape,
            202,
            body=Backfill,
            headers=ONCE,
            errors=POSTED,
        )
    )
    @idempotent
    def post(self, request: Request, number: str, poll: str) -> Response:
        """Read a window again; what was missed becomes events; 202."""
        found, body = self.poll(self.instance(number), poll), read_body(Backfill, request.data)
        if body.since > timezone.now():
            raise DomainError("since: is in the future.")
        states = PollState.objects.filter(pk=found.pk)
        if not make_due(states):
            raise ConflictError("The poll is paused: the instance or the resource is disabled, or events are off.")
        request_backfill(states, body.since)
        return self.shown(found, 202)


def _check(configuration: Configuration) -> None:
    if "enabled" in configuration:
        raise DomainError("configuration.enabled: stands beside the configuration here.")
