"""Routes of the pages about accounts and about what instances are; below `/app/`."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, URLResolver, path

from instances import new_views, resource_views, settings_views, views

_INSTANCE = "instances/<int:number>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("signin", views.SignInView.as_view(), name="signin"),
    path("signout", LogoutView.as_view(), name="signout"),
    path("password", views.PasswordView.as_view(), name="password"),
    path("start", views.first_start, name="first-start"),
    path("people", views.people, name="people"),
    path("organization", views.choose_organization, name="choose-organization"),
    path("instances/new", new_views.new_instance, name="new-instance"),
    path("instances/new/test", new_views.test_connection, name="test-connection"),
    path("instances/new/counts", new_views.resource_counts, name="resource-counts"),
    path("instances/new/options", new_views.resource_options, name="resource-options"),
    path(f"{_INSTANCE}/settings", settings_views.instance_settings, name="instance-settings"),
    path(f"{_INSTANCE}/settings/test", settings_views.test_stored_connection, name="test-stored-connection"),
    path(f"{_INSTANCE}/switch", settings_views.switch_events, name="switch-events"),
    path(f"{_INSTANCE}/enabled", settings_views.switch_instance, name="switch-instance"),
    path(f"{_INSTANCE}/delete", settings_views.delete, name="delete-instance"),
    path(f"{_INSTANCE}/resources/add", resource_views.add_resource, name="add-resource"),
    path(f"{_INSTANCE}/resources/edit/<path:name>", resource_views.edit_resource, name="edit-resource"),
]
