"""What the attacks are made on: an instance that is watched, beside its own ConnectWise."""

from tests.polling.conftest import sandbox, world

__all__ = ["sandbox", "world"]
