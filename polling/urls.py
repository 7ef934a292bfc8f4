"""Routes about events and their delivery."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, re_path

from polling import deliveries_api, history_api

_EVENTS = r"instances/(?P<number>[0-9]+)/events"
_OWN_EVENTS = r"instances/events"  # those of the Element token's instance

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(rf"^{_EVENTS}/?$", history_api.EventsView.as_view(), name="events"),
    re_path(rf"^{_EVENTS}/analytics/?$", history_api.AnalyticsView.as_view(), name="events-analytics"),
    re_path(rf"^{_EVENTS}/(?P<event>[0-9]+)/?$", history_api.EventView.as_view(), name="event"),
    re_path(rf"^{_OWN_EVENTS}/?$", history_api.EventsView.as_view(), name="own-events"),
    re_path(rf"^{_OWN_EVENTS}/analytics/?$", history_api.AnalyticsView.as_view(), name="own-events-analytics"),
    re_path(rf"^{_OWN_EVENTS}/(?P<event>[0-9]+)/?$", history_api.EventView.as_view(), name="own-event"),
    re_path(
        r"^notifications/subscriptions/deliveries/?$", deliveries_api.DeliveriesView.as_view(), name="queued-deliveries"
    ),
    path("v1/", include("polling.v1.urls")),
]
