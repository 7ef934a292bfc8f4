"""A sample notification in each form, as people see it who choose one: an event of docs/wire-contract.md#forms."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Final

from instances.models import Instance
from polling.delivery.forms import Form, render, sent_of
from polling.models import NewEvent

_CHANGED: Final = datetime(2018, 7, 31, 19, 39, 46, tzinfo=UTC)
_POLLED: Final = datetime(2018, 7, 31, 19, 40, 36, tzinfo=UTC)
_RECORD: Final = '{"id":17,"firstName":"Ruth","lastName":"Berg","_info":{"lastUpdated":"2018-07-31T19:39:46Z"}}'
_EVENT: Final = NewEvent(
    object_type="contacts",
    object_id="17",
    record_id=17,
    kind="UPDATED",
    occurred_at=_CHANGED,
    polled_at=_POLLED,
    record=_RECORD,
    id=35149,
)


@cache
def samples() -> list[tuple[str, str, str]]:
    """Return of each form its name for people, the content type, and a body as JSON text."""
    instance = Instance(pk=523232, name="API_Polling", organization_id=81, created_by_id=2034)
    written = {form: render(form, instance, [sent_of(_EVENT, form)], created_at=_POLLED) for form in Form}
    return [
        (str(form.label), rendered.content_type or "application/json", rendered.body.decode())
        for form, rendered in written.items()
    ]
