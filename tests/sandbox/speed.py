"""How fast a running sandbox serves its contacts, forward-only and 1,000 a page; from a process of its own:

python -m tests.sandbox.speed 8100 "lastUpdated > [2016-08-20T18:04:26Z]"
"""

from __future__ import annotations

import http.client
import re
import sys
import time
from dataclasses import dataclass
from urllib.parse import quote

from tests.sandbox.caller import BASE, CONTACTS, basic


@dataclass(frozen=True)
class Pace:
    """What was read, and in how many seconds."""

    records: int
    size: int
    seconds: float


def measure(port: int, conditions: str = "") -> Pace:
    """Page through all contacts with `acme+PUB:PRIV`; the bodies are read and counted, not parsed."""
    headers = {"Authorization": basic("acme+PUB:PRIV"), "clientId": "any", "pagination-type": "forward-only"}
    target = f"{BASE}{CONTACTS}?pageSize=1000&conditions={quote(conditions)}&pageId="
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    records = size = 0
    last, began = "0", time.perf_counter()
    while last:
        connection.request("GET", target + last, headers=headers)
        response = connection.getresponse()
        body = response.read()
        records, size = records + body.count(b'"_info":{"lastUpdated"'), size + len(body)
        following = re.search(r"pageId=(\d+)", response.headers["Link"] or "")
        last = following[1] if following else ""
    seconds = time.perf_counter() - began
    connection.close()
    return Pace(records, size, seconds)


if __name__ == "__main__":
    pace = measure(int(sys.argv[1]), *sys.argv[2:])
    rate = pace.records / pace.seconds
    sys.stdout.write(f"{pace.records} records, {pace.size / 1e6:.0f} MB, {pace.seconds:.2f} s, {rate:,.0f} records/s\n")
