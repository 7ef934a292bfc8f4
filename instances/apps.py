"""The app of who we connect to, and what they asked for."""

from django.apps import AppConfig


class InstancesConfig(AppConfig):
    """Instances, organizations and their secrets."""

    name = "instances"

    def ready(self) -> None:
        """Begin to hear what accounts do."""
        from instances import account_audit, sign_ins  # noqa: F401  (models can be imported from now on)
        from instances.factors import adapter, notices  # noqa: F401  (as above)
        from instances.openid import links, second_factor  # noqa: F401  (as above)
