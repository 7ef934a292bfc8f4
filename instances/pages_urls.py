"""Routes of the pages about accounts and about what instances are; below `/app/`."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, URLResolver, path

from instances import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("signin", views.SignInView.as_view(), name="signin"),
    path("signout", LogoutView.as_view(), name="signout"),
    path("start", views.first_start, name="first-start"),
    path("organization", views.choose_organization, name="choose-organization"),
]
