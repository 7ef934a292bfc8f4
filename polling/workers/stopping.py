"""Whether this process is to end: known to all that works in it, said by its cluster."""

from __future__ import annotations

from multiprocessing.synchronize import Event


class _Stop:
    """The event by which this process's cluster says that it is to end; none in a cluster not started by `work`."""

    event: Event | None = None


def stop_on(event: Event) -> None:
    """Have `stopping()` follow the cluster's stop event, in this process and those forked from it."""
    _Stop.event = event


def stopping() -> bool:
    """Whether the cluster is ending: claim nothing more, end what is in flight within 8 s, free the rest."""
    return _Stop.event is not None and _Stop.event.is_set()
