"""The site itself, as an app: commands, checks and templates, no models."""

from django.apps import AppConfig


class CwconnectConfig(AppConfig):
    """The site."""

    name = "cwconnect"
