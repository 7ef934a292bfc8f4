"""Many companies of one ConnectWise that announce their changes: `python -m tests.long.benchmarks.announcing_sites N`.

A sandbox with the companies company0 … companyN-1, of 20 contacts each; it prints its base URL.
"""

from __future__ import annotations

import sys
import threading

from cwconnect.core.processes import follow_parent
from cwconnect.sandbox import SandboxServer

CONTACTS = 20


def company(number: int) -> str:
    """Return the name of one of the companies."""
    return f"company{number}"


def main() -> None:
    """Serve until the process is ended."""
    follow_parent()
    first, *others = (company(number) for number in range(int(sys.argv[1])))
    with SandboxServer(company=first, more_companies=others, records={"contacts": CONTACTS}) as sandbox:
        sys.stdout.write(f"{sandbox.url}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
