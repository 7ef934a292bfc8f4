"""The app of who we connect to, and what they asked for."""

from django.apps import AppConfig


class InstancesConfig(AppConfig):
    """Instances, organizations and their secrets."""

    name = "instances"
