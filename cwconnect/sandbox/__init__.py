"""A ConnectWise to develop, demonstrate and test against, good enough to fool real clients.

`SandboxServer` runs it in a thread of this process, `manage.py sandbox` alone. It shares no code with
`cwconnect.connectwise`, so that a misreading of the vendor's rules is not made twice and found never.

    with SandboxServer(records={"contacts": 1000}) as sandbox:
        sandbox.url                                     # http://127.0.0.1:PORT/v4_6_release/apis/3.0
        sandbox.store.change("contacts", 17, {"title": "Owner"})
        sandbox.store.fail_next(2, status=429, path="contacts")

It sends callbacks to those who register for them; `cwconnect.sandbox.callbacks` says how to have them go wrong.
What can be done through `sandbox.store` can be done by JSON under `sandbox.control_url` too; the table of operations
is in `cwconnect.sandbox.control`.
"""

from cwconnect.sandbox.catalogue import CATALOGUE, DEFAULT_RECORDS
from cwconnect.sandbox.server import SandboxServer
from cwconnect.sandbox.store import SeenRequest, Store

__all__ = ["CATALOGUE", "DEFAULT_RECORDS", "SandboxServer", "SeenRequest", "Store"]
