"""ConnectWise's callbacks as the sandbox sends them (docs/connectwise.md#callbacks), and how to have them go wrong.

A client registers itself by `POST /system/callbacks`; from then on each change of a record, by whatever way, is sent to
it, signed, from threads of the sandbox's own. `store.callbacks` looks on and interferes; what it does stands under
`/_sandbox/` too, by the names in brackets.

    callbacks = sandbox.store.callbacks
    callbacks.fail(3, drop=True)                        # the next three are not sent     [fail_callbacks]
    callbacks.fail(None, share=0.1, drop=True)          # each tenth, until `clear_faults` [clear_callback_faults]
    callbacks.fail(type="ticket", action="deleted", skip=2, delay=3.0)   # which, and after how many

| Asked for with `fail(…)` | What happens |
|---|---|
| drop=True | it is not sent |
| duplicate=2 | it is sent three times, the same byte for byte; with fresh_ids=True each with a MessageId of its own |
| delay=3.0 | it is sent so many seconds late |
| reorder=True | it is sent after the registration's next one, or after a second (`delay`); several come back to front |
| early=2.0 | it is sent at once, and the change can be read so many seconds later only; a deleted record still can be |
| close="midway" / "after" | the connection is closed inside the body / after it, without waiting for the answer |
| sign_with="Other" | it is signed with that company's key, and names ours: the signature is wrong |
| sign_as="Other" | it is signed by that company, and `key_url` names it: valid, and none of ours |
| invalid_utf8=True | bytes in MemberId and Entity are no UTF-8; the signature is right |
| poison=True | Entity has the record's id and recordType, and content that no record ever had (`messages.POISON`) |
| members={"CompanyId": "x"} | members of the body are these, signed as they are |

`callbacks.settings` [settings, each name with `callback_` before it] says how they are sent: `timeout`, `repeat_after`,
`switch_off_after` (losses in a row, then the registration's inactiveFlag is true), `via` (connect there in place of the
registered origin, as the proxy before it would), `site` (the origin in key_url), `key_needs_login`,
`fresh_message_ids`, `most_waiting`, `poison` (every body is, whatever else goes wrong). With `hold` nothing is sent:
`take_held()` returns the requests, for a test that brings them itself, in its own order. `attempts` and `summary()`
[GET callbacks] say what became of each, `wait_idle()` waits for the end, `rotate_key()` [rotate_signing_key] changes
the key, also `same_id=True` in place. `keyring.current(company)` and `messages.signature` are for a test that forges.

Each company of the host (`SandboxServer(more_companies=["b", "c"])`) has registrations and faults of its own, under
`sandbox.companies.store("b").callbacks`; keys and threads are shared, so `wait_idle()` waits for those of all.

Registrations are records of the list `callbacks`. So `store.change("callbacks", 3, {"inactiveFlag": True})` switches
one off, and `store.create("callbacks", {"url": …})` makes somebody else's, off unless said. `store.forbid("callbacks")`
has the role refused (403), `store.withdraw("callbacks")` has the site without the route (404), and
`store.fail_next(method="POST", path="callbacks", drop="after")` makes the registration and loses the answer. The key
route is a path as others: `store.fail_next(path="callbackkey", delay=20)`. `store.add_note("incidents", 5)` writes
beneath a ticket that stands still; a time entry charged to a ticket does too.
"""

from cwconnect.sandbox.callbacks.company import Callbacks
from cwconnect.sandbox.callbacks.faults import CallbackFault
from cwconnect.sandbox.callbacks.host import Host
from cwconnect.sandbox.callbacks.messages import POISON, POISON_NUMBER, Message, signature
from cwconnect.sandbox.callbacks.sender import Attempt, Settings

__all__ = [
    "POISON",
    "POISON_NUMBER",
    "Attempt",
    "CallbackFault",
    "Callbacks",
    "Host",
    "Message",
    "Settings",
    "signature",
]
