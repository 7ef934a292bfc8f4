"""`/v1/instances/{id}/subscriptions`: the receivers of an instance. Rules: `polling/subscriptions`."""

from __future__ import annotations

from django.http import Http404
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core.openapi import Operation, described
from instances.api.permission import MANAGES
from polling.api.v1.base import SUBSCRIPTIONS, V1View, answer, read_body
from polling.api.v1.idempotency import ONCE, POSTED, idempotent
from polling.api.v1.subscription_shapes import (
    NewSubscription,
    SubscriptionChange,
    SubscriptionPage,
    SubscriptionShape,
    subscription_shape,
)
from polling.delivery.first_subscriptions import find_subscription
from polling.models import Subscription
from polling.subscriptions.beginnings import read_beginning
from polling.subscriptions.changes import change_subscription, create_subscription, delete_subscription
from polling.subscriptions.status import statuses, statuses_of

_NEW = {
    "name": "Closed tickets",
    "url": "https://receiver.example/closed",
    "filter": {"resources": ["incidents"], "changed": ["status"], "to": {"status.name": "Closed"}},
    "form": "cloudevents",
    "begin": "2026-01-31T12:00:00Z",
}


class OneSubscriptionView(V1View):
    """What the routes about one subscription share."""

    def subscription(self, number: str, subscription: str) -> Subscription:
        """Return a subscription of an instance of the caller's; 404."""
        found = find_subscription(self.instance(number), int(subscription))
        if found is None:
            raise Http404
        return found


def shown(subscription: Subscription, status: int = 200) -> Response:
    """Answer a subscription as it is now."""
    (found,) = statuses([subscription])
    return answer(subscription_shape(found), status)


class SubscriptionsView(V1View):
    """`/v1/instances/{id}/subscriptions`."""

    scopes = MANAGES

    @described(
        Operation(SUBSCRIPTIONS, "List an instance's subscriptions and how they stand", SubscriptionPage, errors=(400,))
    )
    def get(self, request: Request, number: str) -> Response:
        """List the instance's subscriptions, the first one first."""
        self.no_query()
        found = statuses_of(self.instance(number))
        return answer(SubscriptionPage(items=[subscription_shape(each) for each in found]))

    @described(
        Operation(
            SUBSCRIPTIONS,
            "Have a further receiver hear of an instance's events",
            SubscriptionShape,
            201,
            body=NewSubscription,
            headers=ONCE,
            errors=POSTED,
            body_examples={"closed tickets": _NEW, "everything": {"name": "All", "url": "https://receiver.example/"}},
        )
    )
    @idempotent
    def post(self, request: Request, number: str) -> Response:
        """Make a further subscription."""
        instance, body, now = self.instance(number), read_body(NewSubscription, request.data), timezone.now()
        since = read_beginning(body.begin, instance, now)
        return shown(create_subscription(instance, body.given(), now, since=since), 201)


class SubscriptionView(OneSubscriptionView):
    """`/v1/instances/{id}/subscriptions/{subscription}`."""

    scopes = MANAGES

    @described(Operation(SUBSCRIPTIONS, "Show one subscription", SubscriptionShape, errors=(400,)))
    def get(self, request: Request, number: str, subscription: str) -> Response:
        """Show one subscription."""
        self.no_query()
        return shown(self.subscription(number, subscription))

    @described(
        Operation(
            SUBSCRIPTIONS,
            "Change a subscription, or switch it on or off",
            SubscriptionShape,
            body=SubscriptionChange,
            body_required=False,
            errors=(409,),
            description="What is left out stays; an empty value takes away. Masks keep what is stored, as long as the "
            "URL leads to the same scheme, host and port. Of the first subscription URL, headers, login, signature key "
            "and whether it is enabled are the instance's own, changed by its configuration.",
            body_examples={"off": {"enabled": False}, "on": {"enabled": True, "begin": "where_it_was"}},
        )
    )
    def patch(self, request: Request, number: str, subscription: str) -> Response:
        """Change a subscription."""
        found, body = self.subscription(number, subscription), read_body(SubscriptionChange, request.data)
        return shown(change_subscription(found, body.given(), timezone.now(), goes_on=body.begin))

    @described(
        Operation(
            SUBSCRIPTIONS,
            "Delete a further subscription; what is not delivered is discarded",
            status=204,
            errors=(409,),
        )
    )
    def delete(self, request: Request, number: str, subscription: str) -> Response:
        """Delete a further subscription."""
        delete_subscription(self.subscription(number, subscription), timezone.now())
        return Response(status=204)
