"""Routes about events and their delivery."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, re_path

from polling.api.compatible import deliveries, history

_EVENTS = r"instances/(?P<number>[0-9]+)/events"
_OWN_EVENTS = r"instances/events"  # those of the Element token's instance

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(rf"^{_EVENTS}/?$", history.EventsView.as_view(), name="events"),
    re_path(rf"^{_EVENTS}/analytics/?$", history.AnalyticsView.as_view(), name="events-analytics"),
    re_path(rf"^{_EVENTS}/(?P<event>[0-9]+)/?$", history.EventView.as_view(), name="event"),
    re_path(rf"^{_OWN_EVENTS}/?$", history.EventsView.as_view(), name="own-events"),
    re_path(rf"^{_OWN_EVENTS}/analytics/?$", history.AnalyticsView.as_view(), name="own-events-analytics"),
    re_path(rf"^{_OWN_EVENTS}/(?P<event>[0-9]+)/?$", history.EventView.as_view(), name="own-event"),
    re_path(
        r"^notifications/subscriptions/deliveries/?$", deliveries.DeliveriesView.as_view(), name="queued-deliveries"
    ),
    path("", include("polling.api.bulk_urls")),
    path("v1/", include("polling.api.v1.urls")),
]
