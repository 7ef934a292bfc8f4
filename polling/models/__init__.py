"""What changed, and who was notified: polls and their runs, snapshots, events, notifications, attempts."""

from polling.models.alerts import Alert, AlertDestination, AlertMute, AlertSend
from polling.models.bulk import BulkJob, BulkRefusal
from polling.models.callbacks import (
    AnnouncedRecord,
    CallbackCount,
    CallbackEndpoint,
    CallbackHint,
    CallbackRegistration,
)
from polling.models.copies import Copy, CopyPage
from polling.models.counters import InstanceHour, OrganizationHour, ReceiverHour, StoredCounter
from polling.models.deliveries import (
    DeliveryAttempt,
    DeliveryState,
    GivenUpDismissal,
    Notification,
    NotificationBody,
    Receiver,
    Replay,
)
from polling.models.events import Event, LogPosition, NewEvent
from polling.models.heartbeats import Heartbeat
from polling.models.idempotency import IdempotentAnswer
from polling.models.leased import Leased
from polling.models.locks import Lock
from polling.models.names import RecordWord
from polling.models.polls import Health, MissingRecord, PollRun, PollState, RecordSnapshot, Site, SnapshotBody
from polling.models.subscriptions import Subscription, SubscriptionEvent
from polling.models.verifications import Repair, Verification
from polling.models.walks import StoredWalk

__all__ = [
    "Alert",
    "AlertDestination",
    "AlertMute",
    "AlertSend",
    "AnnouncedRecord",
    "BulkJob",
    "BulkRefusal",
    "CallbackCount",
    "CallbackEndpoint",
    "CallbackHint",
    "CallbackRegistration",
    "Copy",
    "CopyPage",
    "DeliveryAttempt",
    "DeliveryState",
    "Event",
    "GivenUpDismissal",
    "Health",
    "Heartbeat",
    "IdempotentAnswer",
    "InstanceHour",
    "Leased",
    "Lock",
    "LogPosition",
    "MissingRecord",
    "NewEvent",
    "Notification",
    "NotificationBody",
    "OrganizationHour",
    "PollRun",
    "PollState",
    "Receiver",
    "ReceiverHour",
    "RecordSnapshot",
    "RecordWord",
    "Repair",
    "Replay",
    "Site",
    "SnapshotBody",
    "StoredCounter",
    "StoredWalk",
    "Subscription",
    "SubscriptionEvent",
    "Verification",
]
