"""Routes under `/v1`. They end without a slash."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, re_path

from polling.api.v1 import (
    callbacks,
    deliveries,
    events,
    filters,
    held,
    polls,
    replays,
    secrets,
    sending,
    subscriptions,
    tokens,
    verifications,
)
from polling.api.v1 import subscription_actions as actions

_INSTANCE = r"instances/(?P<number>[0-9]{1,18})"
_SUBSCRIPTION = rf"{_INSTANCE}/subscriptions/(?P<subscription>[0-9]{{1,18}})"
_POLL = rf"{_INSTANCE}/polls/(?P<poll>[0-9]{{1,18}})"

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^events$", events.EventsView.as_view(), name="v1-events"),
    re_path(r"^events/(?P<event>[0-9]{1,18})$", events.EventView.as_view(), name="v1-event"),
    re_path(r"^deliveries$", deliveries.DeliveriesView.as_view(), name="v1-deliveries"),
    re_path(r"^deliveries/(?P<delivery>[0-9]{1,18})$", deliveries.DeliveryView.as_view(), name="v1-delivery"),
    re_path(r"^deliveries/(?P<delivery>[0-9]{1,18})/replay$", replays.DeliveryReplayView.as_view(), name="v1-resend"),
    re_path(r"^secrets$", secrets.SecretsView.as_view(), name="v1-secrets"),
    re_path(r"^secrets/(?P<secret>[0-9]{1,18})$", secrets.SecretView.as_view(), name="v1-secret"),
    re_path(rf"^{_INSTANCE}/polls$", polls.PollsView.as_view(), name="v1-polls"),
    re_path(rf"^{_POLL}$", polls.PollView.as_view(), name="v1-poll"),
    re_path(rf"^{_POLL}/run$", polls.RunView.as_view(), name="v1-poll-run"),
    re_path(rf"^{_POLL}/backfill$", polls.BackfillView.as_view(), name="v1-poll-backfill"),
    re_path(rf"^{_POLL}/held-deletes$", held.HeldDeletesView.as_view(), name="v1-held-deletes"),
    re_path(rf"^{_POLL}/held-deletes/release$", held.ReleaseDeletesView.as_view(), name="v1-held-release"),
    re_path(rf"^{_POLL}/held-deletes/dismiss$", held.DismissDeletesView.as_view(), name="v1-held-dismiss"),
    re_path(rf"^{_POLL}/verifications$", verifications.VerificationsView.as_view(), name="v1-verifications"),
    re_path(
        rf"^{_POLL}/verifications/(?P<verification>[0-9]{{1,18}})$",
        verifications.VerificationView.as_view(),
        name="v1-verification",
    ),
    re_path(rf"^{_INSTANCE}/try-filter$", filters.TryFilterView.as_view(), name="v1-try-filter"),
    re_path(rf"^{_INSTANCE}/callbacks$", callbacks.CallbacksView.as_view(), name="v1-callbacks"),
    re_path(rf"^{_INSTANCE}/replays$", replays.ReplaysView.as_view(), name="v1-replays"),
    re_path(rf"^{_INSTANCE}/replays/(?P<replay>[0-9]{{1,18}})$", replays.ReplayView.as_view(), name="v1-replay"),
    re_path(rf"^{_INSTANCE}/test-notification$", sending.TestNotificationView.as_view(), name="v1-test-notification"),
    re_path(rf"^{_INSTANCE}/subscriptions$", subscriptions.SubscriptionsView.as_view(), name="v1-subscriptions"),
    re_path(rf"^{_SUBSCRIPTION}$", subscriptions.SubscriptionView.as_view(), name="v1-subscription"),
    re_path(rf"^{_SUBSCRIPTION}/test$", actions.SampleView.as_view(), name="v1-subscription-test"),
    re_path(rf"^{_SUBSCRIPTION}/rotate$", actions.RotateView.as_view(), name="v1-subscription-rotate"),
    re_path(rf"^{_SUBSCRIPTION}/pause$", actions.PauseView.as_view(), name="v1-subscription-pause"),
    re_path(rf"^{_SUBSCRIPTION}/release$", actions.ReleaseView.as_view(), name="v1-subscription-release"),
    re_path(rf"^{_SUBSCRIPTION}/replay$", actions.ReplaysView.as_view(), name="v1-subscription-replay"),
    re_path(rf"^{_SUBSCRIPTION}/try-filter$", actions.TryFilterView.as_view(), name="v1-subscription-try-filter"),
    re_path(rf"^{_SUBSCRIPTION}/held$", actions.HeldView.as_view(), name="v1-subscription-held"),
    re_path(rf"^{_INSTANCE}/token$", tokens.TokenView.as_view(), name="v1-token"),
    re_path(rf"^{_INSTANCE}/signature-key/rotate$", sending.SignatureKeyView.as_view(), name="v1-signature-key"),
]
