"""A first load under fire: `python -m tests.long.first_load [--records 100000] [--rate 50] [--kills 2]`, by hand.

A sandbox in this process has so many contacts, and changes, creates and deletes so many a second. A worker of its own
process polls them (every ten seconds) and copies them; it is killed (-9) while the copy is read, and another goes on.
Then the writes stop, one poll and one sweep are made, and what a program holds that began with the copy and went by
the events is compared with the source, record by record. Prints the figures; exit code 1 where anything differs.

On SQLite in a folder of its own, unless CWCONNECT_DATABASE_URL names an empty database.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cwconnect.sandbox import SandboxServer

if TYPE_CHECKING:
    from instances.models import Instance
    from polling.models import Copy

WORKER = """
import sys, time, django
django.setup()
from polling.detection.poll_loop import poll_due
from polling.workers.heartbeats import join_cluster
join_cluster("first-load", sys.argv[1])
while True:
    poll_due(deadline=time.monotonic() + 60)
    time.sleep(0.05)
"""
POLL_EVERY = 10.0
LONGEST = 3600.0


class Worker:
    """A worker's process, and the most memory that it has had."""

    def __init__(self, number: int) -> None:
        self.signature = f"{number:012x}"
        self.process = subprocess.Popen([sys.executable, "-c", WORKER, self.signature])
        self.peak = 0

    def look(self) -> None:
        """Note its memory (KiB)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        self.peak = max(self.peak, int(lines.get("VmHWM", "0 kB").split()[0]))

    def kill(self) -> None:
        """Kill it, and free what it held, as its supervisor does."""
        from polling.workers.heartbeats import release_dead_cluster

        self.process.kill()
        self.process.wait()
        release_dead_cluster("first-load", self.signature)


class Writer(threading.Thread):
    """Changes contacts at a rate: of ten writes eight change, one creates, one deletes."""

    def __init__(self, server: SandboxServer, rate: float) -> None:
        super().__init__()
        self.store, self.rate, self.ended = server.store, rate, threading.Event()
        self.written: Counter[str] = Counter()
        self._random = random.Random(1)

    def run(self) -> None:
        """Write until `ended` is set."""
        began, done = time.monotonic(), 0
        ids = self.store.ids("contacts")
        while not self.ended.wait(max(0.0, began + done / self.rate - time.monotonic())):
            done += 1
            kind = self._random.choice(["change"] * 8 + ["create", "delete"])
            self.written[kind] += 1
            if kind == "create":
                ids.append(self.store.create("contacts")["id"])
                continue
            at = self._random.randrange(len(ids))
            if kind == "change":
                self.store.change("contacts", ids[at], {"title": f"Title {done}"})
            else:
                ids[at], ids[-1] = ids[-1], ids[at]
                self.store.delete("contacts", ids.pop())


def main() -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--kills", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, SandboxServer(records={"contacts": options.records}) as server:
        os.environ |= {"CWCONNECT_DATA_DIR": folder, "DJANGO_SETTINGS_MODULE": "cwconnect.settings"}
        os.environ |= {"CWCONNECT_CONNECTWISE_CLIENT_ID": "a-client-id", "CWCONNECT_PRIVATE_NETWORKS": "127.0.0.0/8"}
        os.environ |= {"CWCONNECT_LOG_LEVEL": "ERROR"}
        return _load(server, options)


def _load(server: SandboxServer, options: argparse.Namespace) -> int:
    import django

    django.setup()
    from django.core.management import call_command

    from polling.copies.asking import start_copy
    from tests.support.first_load import held_by_a_program, without_nulls

    call_command("migrate", verbosity=0)
    instance = _watching_instance(server)
    asked: Counter[str] = Counter()
    server.store.on_request(lambda request: asked.update([_kind_of(request)]))
    writer = Writer(server, options.rate)
    began = time.monotonic()
    writer.start()
    try:
        copy = start_copy(instance, "select * from contacts")
        workers = _read_with_deaths(copy, options.kills)
        seconds = time.monotonic() - began
    finally:
        writer.ended.set()
        writer.join()
    done = _settle(copy, workers)
    source = {number: server.store.get("contacts", number) for number in server.store.ids("contacts")}
    held = held_by_a_program(done)
    wrong = [number for number in source.keys() | held.keys() if held.get(number) != without_nulls(source.get(number))]
    for line in _figures(done, writer, asked, workers, seconds):
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"source {len(source):,}, held {len(held):,}, different {len(wrong)} {wrong[:10]}\n")
    return 1 if wrong else 0


def _kind_of(request: Any) -> str:
    if request.path.endswith("/count"):
        return "count"
    if "pageSize" not in request.query:
        return "one record"
    return "page of ids" if request.query.get("fields") == "id" else f"page of a {_who(request)}"


def _who(request: Any) -> str:
    return "poll" if "conditions" in request.query else "copy"


def _watching_instance(server: SandboxServer) -> Instance:
    from instances.configuration.config_keys import InstanceConfig
    from instances.configuration.wire import read_configuration
    from instances.credentials.issuing import issue_secrets
    from instances.models import Organization
    from instances.provisioning import create_instance
    from tests.seed import example_body

    issue_secrets(organization_name="First load", user_name="alice")
    organization = Organization.objects.get()
    body = example_body(server.url, event__notification__callback__url="http://127.0.0.1:9/")["configuration"]
    body["event.poller.configuration"]["contacts"] |= {"detectDeletes": True}
    config = read_configuration(body, base=InstanceConfig())
    user = organization.api_users.get()
    return create_instance(organization=organization, user=user, name="First load", tags=[], config=config)[0]


def _read_with_deaths(copy: Copy, kills: int) -> list[Worker]:
    """Have the copy read, and its worker killed so many times in between; return the workers, the last one alive."""
    workers, polled_at, end = [Worker(0)], 0.0, time.monotonic() + LONGEST
    while True:
        copy.refresh_from_db()
        workers[-1].look()
        if not copy.is_open:
            return workers
        assert time.monotonic() < end, f"not copied within {LONGEST} s: {copy.status}, {copy.error}"
        if len(workers) <= kills and copy.records >= (copy.total or 1) * len(workers) // (kills + 1) > 0:
            workers[-1].kill()
            workers.append(Worker(len(workers)))
        if time.monotonic() > polled_at + POLL_EVERY:
            polled_at = time.monotonic()
            _make_due()
        time.sleep(0.02)


def _make_due(**changes: Any) -> None:
    from django.utils import timezone

    from polling.models import PollState

    PollState.objects.update(next_poll_at=timezone.now(), **changes)


def _settle(copy: Copy, workers: list[Worker]) -> Copy:
    """Have one poll and then one sweep made that begin after the last write; return the copy as it is read."""
    from django.utils import timezone

    from polling.models import Copy, PollRun

    time.sleep(2)  # stamps are whole seconds
    for kind in (PollRun.Kind.POLL, PollRun.Kind.SWEEP):
        after = timezone.now()
        found = PollRun.objects.filter(kind=kind, started_at__gte=after, status=PollRun.Status.COMPLETE)
        while not found.exists():
            _make_due(**({"next_sweep_at": timezone.now()} if kind == PollRun.Kind.SWEEP else {}))
            workers[-1].look()
            time.sleep(2)
    workers[-1].kill()
    return Copy.objects.select_related("instance", "watched_poll").get(pk=copy.pk)


def _figures(
    copy: Copy, writer: Writer, asked: Counter[str], workers: list[Worker], seconds: float
) -> list[str]:  # fmt: skip
    from polling.models import Event

    peaks = [f"{each.peak / 1024:.0f} MiB" for each in workers]
    events = Counter(Event.objects.values_list("kind", flat=True))
    return [
        f"copy: {copy.status}, {copy.records:,} records in {copy.pages} pages, {copy.size / 1e6:.1f} MB kept",
        f"read within {seconds:.1f} s beside {writer.written.total():,} writes {dict(writer.written)}",
        f"{len(workers) - 1} workers killed; peaks of memory: {', '.join(peaks)}",
        f"requests: {dict(asked)}",
        f"events: {dict(events)}",
    ]


if __name__ == "__main__":
    sys.exit(main())
