"""What changed, and who was told: polls and their runs, known records, events, notifications, attempts."""

from polling.models.counters import Tally
from polling.models.deliveries import Alert, DeliveryAttempt, DeliveryState, Notification, Receiver, Replay
from polling.models.events import Event, LogPosition
from polling.models.heartbeats import Heartbeat
from polling.models.idempotency import IdempotentAnswer
from polling.models.leased import Leased
from polling.models.polls import Absence, Health, KnownBody, KnownRecord, PollRun, PollState, Site
from polling.models.verifications import Repair, Verification

__all__ = [
    "Absence",
    "Alert",
    "DeliveryAttempt",
    "DeliveryState",
    "Event",
    "Health",
    "Heartbeat",
    "IdempotentAnswer",
    "KnownBody",
    "KnownRecord",
    "Leased",
    "LogPosition",
    "Notification",
    "PollRun",
    "PollState",
    "Receiver",
    "Repair",
    "Replay",
    "Site",
    "Tally",
    "Verification",
]
