"""The control API: the store's operations as JSON over HTTP, under `/_sandbox/`, without a login (see callers.py).

`GET /_sandbox/` gives the lists with their counts, the clock and the settings; `GET /_sandbox/requests` the log,
`GET /_sandbox/callbacks` what became of the callbacks.
`POST /_sandbox/{operation}` takes a JSON object and answers `{"result": …}`:

| Operation | Members |
|---|---|
| create | list, fields, stamp, visible_after, remove |
| change | list, id, fields, stamp, visible_after, remove |
| touch | list, id, stamp |
| delete, get | list, id |
| ids | list |
| fail_next | n, status, body, headers, delay, drop (true, "midway" or "after"), broken_json, late, path, method, skip |
| clear_faults, clear_requests, reveal | – |
| forbid, allow, withdraw, restore | list |
| add_note | list, id, text |
| fail_callbacks | n, share, skip, type, action, and what goes wrong (cwconnect.sandbox.callbacks) |
| clear_callback_faults, release_callbacks | – |
| rotate_signing_key | same_id |
| hide, show | list, ids |
| conceal_stamps | list, ids, concealed (true unless said) |
| garble | list, ids, text (NaN unless said, null for none) |
| set_keys | public, private |
| settings | clock_offset, date_offset, send_date_header, link_host, send_links, raw_controls |
| settings | largest_page, requests_per_minute, changes_per_minute, patch_needs_custom_fields |
| settings | callback_timeout, callback_repeat_after, callback_switch_off_after, callback_most_waiting, callback_via |
| settings | callback_site, callback_hold, callback_key_needs_login, callback_fresh_message_ids, callback_poison |

Of the settings those given are set. Where the host serves several companies, `company` (a member, or in the query of a
GET) names the one concerned, the first if left out. Stamps are texts (`2018-07-31T19:39:46Z`); `visible_after` is a
stamp or a number of seconds. What an operation can't do answers 400 with a `message`, a record or list that is not
there 404.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from cwconnect.sandbox.changer import Changer
from cwconnect.sandbox.companies import Companies
from cwconnect.sandbox.errors import Response, answer
from cwconnect.sandbox.jsontext import loads
from cwconnect.sandbox.store import Store
from cwconnect.sandbox.timestamps import to_text
from cwconnect.sandbox.wire import Request

PREFIX = "/_sandbox"
_RENAMED = {"list": "list_name", "id": "record_id"}
_OPERATIONS = (
    *("create", "change", "touch", "delete", "get", "ids", "reveal"),
    *("forbid", "allow", "withdraw", "restore", "hide", "show", "conceal_stamps", "garble", "set_keys", "add_note"),
    *("fail_next", "clear_faults", "clear_requests"),
)
_OF_CALLBACKS = {
    "fail_callbacks": "fail",
    "clear_callback_faults": "clear_faults",
    "release_callbacks": "release_held",
    "rotate_signing_key": "rotate_key",
}
_CALLBACK_SETTINGS: dict[str, tuple[type, ...]] = {
    "callback_timeout": (int, float),
    "callback_repeat_after": (list,),
    "callback_switch_off_after": (int, type(None)),
    "callback_most_waiting": (int,),
    "callback_via": (str, type(None)),
    "callback_site": (str, type(None)),
    "callback_hold": (bool,),
    "callback_key_needs_login": (bool,),
    "callback_fresh_message_ids": (bool,),
    "callback_poison": (bool,),
}
_STORE_SETTINGS: dict[str, tuple[type, ...]] = {
    "clock_offset": (int, float),
    "date_offset": (int, float),
    "send_date_header": (bool,),
    "link_host": (str, type(None)),
    "send_links": (bool,),
    "raw_controls": (bool,),
    "largest_page": (int,),
    "requests_per_minute": (int, type(None)),
    "patch_needs_custom_fields": (bool,),
}


def respond(companies: Companies, changer: Changer, request: Request) -> Response:
    """Answer one request of the control API."""
    operation = request.path.removeprefix(PREFIX).strip("/")
    try:
        if request.method not in ("GET", "POST"):
            return answer({"message": "Use GET or POST."}, 405)
        members = dict(request.query) if request.method == "GET" else _members(request)
        company = members.pop("company", None)
        store = companies.stores[0] if company is None else companies.store(str(company))
        if request.method == "GET":
            return _look(store, changer, operation)
        return answer({"result": _run(store, changer, operation, members)})
    except LookupError as error:
        return answer({"message": str(error.args[0])}, 404)
    except (TypeError, ValueError) as error:
        return answer({"message": str(error)}, 400)


def _look(store: Store, changer: Changer, operation: str) -> Response:
    if operation == "requests":
        return answer([{"method": r.method, "path": r.path, "query": r.query} for r in store.requests])
    if operation == "callbacks":
        return answer(store.callbacks.summary())
    if operation:
        raise LookupError(f"There is nothing at {PREFIX}/{operation}.")
    settings = {name: getattr(store, name) for name in _STORE_SETTINGS} | {"changes_per_minute": changer.rate}
    settings |= {f"callback_{name}": value for name, value in asdict(store.callbacks.settings).items()}
    return answer(
        {"lists": store.lists(), "now": to_text(store.now()), "settings": settings, "begun": to_text(int(store.begun))}
    )


def _members(request: Request) -> dict[str, Any]:
    members = loads(request.body or b"{}")
    if not isinstance(members, dict):
        raise TypeError("Send a JSON object.")
    return members


def _run(store: Store, changer: Changer, operation: str, members: dict[str, Any]) -> object:
    if operation == "settings":
        _set(store, changer, members)
        return None
    if operation not in _OPERATIONS and operation not in _OF_CALLBACKS:
        raise LookupError(f"There is no operation {operation!r}.")
    holder = store.callbacks if operation in _OF_CALLBACKS else store
    call: Callable[..., object] = getattr(holder, _OF_CALLBACKS.get(operation, operation))
    return call(**{_RENAMED.get(name, name): value for name, value in members.items()})


def _set(store: Store, changer: Changer, members: dict[str, Any]) -> None:
    for name, value in members.items():
        kinds = (int, float) if name == "changes_per_minute" else (_STORE_SETTINGS | _CALLBACK_SETTINGS).get(name)
        if kinds is None or not isinstance(value, kinds):
            raise ValueError(f"{name} can't be set to {value!r}.")
    for name, value in members.items():
        if name == "changes_per_minute":
            changer.set_rate(float(value))
        elif name in _CALLBACK_SETTINGS:
            setattr(store.callbacks.settings, name.removeprefix("callback_"), value)
        else:
            setattr(store, name, value)
