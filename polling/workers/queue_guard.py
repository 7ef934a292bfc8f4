"""What the queue may hold: wake-up calls of ours, as plain values. Importing this module has django-q2 keep to it.

django-q2 pickles. Its messages are signed, what it keeps of failed tasks in the database is not, and a schedule, a hook
or a message may name any function to run. So who writes to the database, or has Redis and the secret key, could have
code run by workers and by the admin's pages. Here no task is signed or taken but those of `polling/tasks.py`, and no
pickle is opened that names a class or a function, but for the times in messages. So django-q2's own monitors (`qinfo`
and its like) can't open the status of a cluster, and show none; `/metrics` says what is to be known.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Collection, Mapping
from typing import Any

import picklefield.fields
from django.dispatch import receiver
from django_q.signals import pre_enqueue
from django_q.signing import BadSignature, PickleSerializer

from polling.workers.wakeups import Kind

BEAT = "polling.tasks.beat"
_TASKS = frozenset([BEAT, "polling.tasks.tick", *(f"polling.tasks.{kind}" for kind in Kind)])
_DO_MORE = ("hook", "chain", "sync")  # what has further functions run, or runs the task where it is queued
_IN_MESSAGES = frozenset([("datetime", "datetime"), ("datetime", "timedelta"), ("datetime", "timezone")])


class ForeignTaskError(Exception):
    """A task that is none of ours: somebody wrote it into the queue's tables."""


def is_foreign(task: Mapping[str, Any]) -> bool:
    """Return whether a task is none of ours, or has more run than itself."""
    return task.get("func") not in _TASKS or any(task.get(name) for name in _DO_MORE)


@receiver(pre_enqueue, dispatch_uid="polling.workers.queue_guard")
def refuse_foreign(task: Mapping[str, Any], **_: Any) -> None:
    """Refuse to sign a task that is none of ours, such as a schedule's that somebody wrote into the database."""
    if is_foreign(task):
        raise ForeignTaskError(f"{str(task['func'])[:100]!r} is no task of this service.")


class _PlainUnpickler(pickle.Unpickler):
    """Opens numbers, text, lists and the like, and of classes and functions only those that are named."""

    def __init__(self, data: bytes, named: Collection[tuple[str, str]] = ()) -> None:
        super().__init__(io.BytesIO(data))
        self._named = named

    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in self._named:
            raise pickle.UnpicklingError(f"{module}.{name} is not opened.")
        return super().find_class(module, name)


def open_kept(data: bytes) -> Any:
    """Open a value that a task has left in the database."""
    return _PlainUnpickler(data).load()


def open_message(data: bytes) -> Any:
    """Open a message whose signature is good; BadSignature, as for one that is not, where it is none of ours."""
    try:
        message = _PlainUnpickler(data, _IN_MESSAGES).load()
    except pickle.UnpicklingError as error:
        raise BadSignature(str(error)) from error
    if isinstance(message, dict) and is_foreign(message):
        raise BadSignature(f"{str(message.get('func'))[:100]!r} is no task of this service.")
    return message


picklefield.fields.loads = open_kept  # what this does not open, the field shows as it stands
PickleSerializer.loads = staticmethod(open_message)
