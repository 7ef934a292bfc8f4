"""A mail server for the tests of pages that send mail, and the links in its mails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.mail_servers import MailServer
from tests.support.raw_servers import RawServer

PUBLIC_URL = "https://cw.example.com"


@contextmanager
def mail_server(settings: Any) -> Iterator[MailServer]:
    """Run one that the service knows, and have the service know its own address."""
    server = MailServer()
    with RawServer(server.handle) as running:
        settings.EMAIL_URL = f"smtp://127.0.0.1:{running.port}/?to=ops@example.com"
        settings.PUBLIC_URL = PUBLIC_URL
        yield server


def link_in(text: str) -> tuple[str, str]:
    """Return the address and the code of the one link with a code that a mail or a page holds."""
    ((address, code),) = set(re.findall(r"(https?://[^\s<\"#]+)#([\w-]+)", text))
    return address, code
