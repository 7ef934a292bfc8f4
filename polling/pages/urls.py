"""Routes of the pages about what changed and who was notified: `/`, and below `/app/`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from polling.pages import (
    alerts,
    attempts,
    banner,
    bulk,
    deliveries,
    delivery_list,
    events,
    instance,
    instances,
    overview,
    replay_these,
    search,
    verify,
)

_INSTANCE = "app/instances/<int:number>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", overview.overview, name="overview"),
    path("app/engine", banner.engine_banner, name="engine-banner"),
    path("app/instances", instances.instances, name="instances-page"),
    path("app/jobs", bulk.bulk_jobs, name="bulk-jobs"),
    path("app/jobs/start", bulk.start, name="start-bulk-job"),
    path("app/jobs/<int:number>", bulk.bulk_job, name="bulk-job"),
    path("app/jobs/<int:number>/stop", bulk.stop, name="stop-bulk-job"),
    path(_INSTANCE, instance.instance_page, name="instance-page"),
    path(f"{_INSTANCE}/events", instance.instance_events, name="instance-events"),
    path(f"{_INSTANCE}/callbacks", instance.instance_callbacks, name="instance-callbacks"),
    path(f"{_INSTANCE}/stream", instance.instance_stream, name="instance-stream"),
    path(f"{_INSTANCE}/polls/<int:poll>", instance.poll_page, name="poll-page"),
    path(f"{_INSTANCE}/polls/<int:poll>/run", instance.poll_now, name="poll-now"),
    path(f"{_INSTANCE}/polls/<int:poll>/progress", instance.poll_progress, name="poll-progress"),
    path(f"{_INSTANCE}/polls/<int:poll>/backfill", instance.backfill, name="backfill"),
    path(f"{_INSTANCE}/polls/<int:poll>/held", deliveries.held, name="held-deletes"),
    path(f"{_INSTANCE}/delivery", deliveries.instance_delivery, name="instance-delivery"),
    path(f"{_INSTANCE}/delivery/test", deliveries.try_receiver, name="try-receiver"),
    path(f"{_INSTANCE}/release", deliveries.release, name="release-delivery"),
    path(f"{_INSTANCE}/release/progress", deliveries.release_progress, name="release-progress"),
    path(f"{_INSTANCE}/replay", deliveries.replay, name="replay"),
    path(f"{_INSTANCE}/verify", verify.verify_page, name="verify-page"),
    path(f"{_INSTANCE}/verify/<int:poll>", verify.verify_poll, name="verify-poll"),
    path("app/instances/new/send-test", deliveries.try_draft, name="try-draft"),
    path("app/alerts", alerts.alerts, name="alerts-page"),
    path("app/alerts/add", alerts.add_destination, name="add-alert-destination"),
    path("app/alerts/destinations/<int:number>", alerts.edit_destination, name="alert-destination"),
    path("app/alerts/destinations/<int:number>/test", alerts.test_destination, name="test-alert-destination"),
    path("app/alerts/destinations/<int:number>/remove", alerts.remove_destination, name="remove-alert-destination"),
    path("app/alerts/mute", alerts.mute, name="mute-alerts"),
    path("app/alerts/mutes/<int:number>/end", alerts.unmute, name="unmute-alerts"),
    path("app/alerts/<int:number>/acknowledge", alerts.acknowledge, name="acknowledge-alert"),
    path("app/deliveries/dismiss", deliveries.dismiss, name="dismiss-given-up"),
    path("app/deliveries", deliveries.deliveries, name="deliveries-page"),
    path("app/deliveries.csv", delivery_list.deliveries_csv, name="deliveries-csv"),
    path("app/replays/<int:number>", deliveries.replay_progress, name="replay-progress"),
    path("app/replay-these", replay_these.replay_these, name="replay-these"),
    path("app/search", search.search, name="search"),
    path("app/events", events.events, name="events-page"),
    path("app/events.csv", events.events_csv, name="events-csv"),
    path("app/events/<int:number>", events.event_page, name="event-page"),
    path("app/attempts/<int:number>/curl", attempts.attempt_curl, name="attempt-curl"),
    path("app/events/<int:number>/replay", events.replay_event, name="replay-event"),
]
