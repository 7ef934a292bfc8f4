"""`python -m tests.long.fuzz TARGET [--seconds 60] [--corpus FOLDER]`: fuzz a reader, guided by its branches.

Needs atheris (`pip install atheris`), which is no dependency: it is large, and there is not one for every Python. What
breaks a reader is printed, written to a file `crash-…` and ends the run with a code other than 0. `all` takes one
target after the other.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOLLOWED = ["cwconnect", "instances", "polling"]


def main() -> int:
    """Run as the command line says."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    parser = argparse.ArgumentParser(
        prog="python -m tests.long.fuzz", description="Feed rubbish to what reads from outside."
    )
    parser.add_argument("target", help="a name of tests/long/fuzz/targets.py, or all")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--corpus", type=Path, help="a folder that keeps what took new branches")
    options = parser.parse_args()
    if options.target == "all":
        return _all(options.seconds)
    with tempfile.TemporaryDirectory() as folder:
        _fuzz(options.target, options.seconds, options.corpus or Path(folder))
    return 0


def _all(seconds: int) -> int:
    import django

    django.setup()
    from tests.long.fuzz.targets import TARGETS

    codes = []
    for name in TARGETS:
        print(f"== {name}", flush=True)  # noqa: T201  (the output of a command)
        codes.append(
            subprocess.run([sys.executable, "-m", "tests.long.fuzz", name, "--seconds", str(seconds)]).returncode
        )
    return int(any(codes))


def _fuzz(name: str, seconds: int, corpus: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=FOLLOWED):
        import django

        django.setup()
        from tests.long.fuzz.targets import SEEDS, TARGETS

    for number, seed in enumerate(SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    flags = [f"-max_total_time={seconds}", "-max_len=4096", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
