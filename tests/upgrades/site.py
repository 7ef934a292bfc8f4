"""A ConnectWise of one list whose every record is ours: nothing of it may change with the version of the service."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

ZONE = "%Y-%m-%dT%H:%M:%SZ"


class Site:
    """The records, by id. `cut`: pages behind the first are refused, as when it dies while it is read."""

    def __init__(self) -> None:
        self.records: dict[int, dict[str, Any]] = {}
        self.cut = False

    def write(self, number: int, name: str, at: datetime) -> None:
        """Make or change a record."""
        entered = self.records.get(number, {"_info": {"dateEntered": at.strftime(ZONE)}})["_info"]["dateEntered"]
        stamps = {"lastUpdated": at.strftime(ZONE), "dateEntered": entered}
        self.records[number] = {"id": number, "firstName": name, "_info": stamps}

    def answer(self, url: str) -> tuple[int, Any]:
        """Return status and body of a request: a page by id, the newest id, or one record."""
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        number = parts.path.rpartition("/")[2]
        if number.isdigit():
            found = self.records.get(int(number))
            return (200, found) if found else (404, {"code": "NotFound", "message": "Contact not found"})
        after, size = int(query.get("pageId", 0)), int(query["pageSize"])
        if after and self.cut:
            return 503, {"code": "ConnectWiseApi", "message": "gone"}
        ids = sorted(self.records, reverse="desc" in query.get("orderBy", ""))
        return 200, [self.records[one] for one in ids if one > after][:size]

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """Make the handler of a server."""
        site = self

        class Handler(BaseHTTPRequestHandler):
            """Answers any login."""

            def do_GET(self) -> None:
                """Answer one request."""
                status, found = site.answer(self.path)
                body = json.dumps(found).encode()
                self.send_response_only(status)
                self.send_header("Date", format_datetime(datetime.now(UTC), usegmt=True))
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Be quiet."""

        return Handler


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Run a server on a free port; give the port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
