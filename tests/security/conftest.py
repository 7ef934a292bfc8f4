"""What the attacks are made on: an instance that is watched, beside its own ConnectWise."""

from tests.polling.conftest import receiver, sandbox, telling, watched, world

__all__ = ["receiver", "sandbox", "telling", "watched", "world"]
