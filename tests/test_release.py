"""What `.ci/release` writes beside the wheel (tests/test_wheel.py): what its readers take, always the same."""

from __future__ import annotations

import hashlib
import json
import os
import re
import runpy
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from cwconnect import __version__

ROOT = Path(__file__).resolve().parents[1]
RELEASE = runpy.run_path(str(ROOT / ".ci" / "release"))
CHANGES = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two files of a release, not in the order of their names."""
    (tmp_path / "b.whl").write_bytes(b"wheel")
    (tmp_path / "a.tar.gz").write_bytes(b"sdist")
    return [tmp_path / "b.whl", tmp_path / "a.tar.gz"]


def test_the_checksums_are_those_that_sha256sum_checks(files: list[Path]) -> None:
    sums = files[0].with_name("SHA256SUMS")
    sums.write_text(RELEASE["checksums"](files))
    assert [line.split()[1] for line in sums.read_text().splitlines()] == ["a.tar.gz", "b.whl"]
    check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    assert subprocess.run(check, cwd=sums.parent, capture_output=True).returncode == 0
    files[0].write_bytes(b"another")
    assert subprocess.run(check, cwd=sums.parent, capture_output=True).returncode == 1


def test_the_statement_names_every_file_the_commit_and_the_pinned_builders(files: list[Path]) -> None:
    statement = RELEASE["provenance"](files, ROOT, "c0ffee", "9.9", 1_790_000_000)
    build = statement["predicate"]["buildDefinition"]
    uris = {each.get("uri") for each in build["resolvedDependencies"]}
    assert (statement["_type"], statement["predicateType"]) == (
        "https://in-toto.io/Statement/v1",
        "https://slsa.dev/provenance/v1",
    )
    assert statement["subject"] == [
        {"name": name, "digest": {"sha256": hashlib.sha256(content).hexdigest()}}
        for name, content in (("a.tar.gz", b"sdist"), ("b.whl", b"wheel"))
    ]
    assert build["externalParameters"] == {"version": "9.9", "commit": "c0ffee"}
    assert {"name": "source", "digest": {"gitCommit": "c0ffee"}} in build["resolvedDependencies"]
    assert any(uri and uri.startswith("pkg:pypi/hatchling@") for uri in uris)
    assert json.dumps(statement) == json.dumps(RELEASE["provenance"](files[::-1], ROOT, "c0ffee", "9.9", 1_790_000_000))


def test_the_sbom_says_which_version_it_is_of() -> None:
    bom = {"components": [1], "metadata": {"component": {"name": "cwconnect"}, "timestamp": "t"}}
    assert RELEASE["complete"](bom, "9.9") == {
        "components": [1],
        "metadata": {
            "component": {"name": "cwconnect", "version": "9.9", "purl": "pkg:pypi/cwconnect@9.9"},
            "timestamp": "t",
        },
    }


def test_a_chart_is_packed_the_same_on_every_machine(tmp_path: Path) -> None:
    for place, mode in (("here", 0o644), ("there", 0o600)):
        chart = tmp_path / place
        (chart / "templates").mkdir(parents=True)
        for name in ("Chart.yaml", "templates/web.yaml"):
            (chart / name).write_text(name)
            (chart / name).chmod(mode)
            os.utime(chart / name, (mode, mode))
        RELEASE["pack_chart"](chart, 1_790_000_000, tmp_path / f"{place}.tgz")
    assert (tmp_path / "here.tgz").read_bytes() == (tmp_path / "there.tgz").read_bytes()
    with tarfile.open(tmp_path / "here.tgz") as archive:
        assert archive.getnames() == ["cwconnect/Chart.yaml", "cwconnect/templates/web.yaml"]
        assert {(entry.mtime, entry.mode, entry.uid) for entry in archive} == {(1_790_000_000, 0o644, 0)}


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
def test_a_signature_is_of_these_sums_by_that_key(tmp_path: Path) -> None:
    key, sums = tmp_path / "key", tmp_path / "SHA256SUMS"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    sums.write_text("sums\n")
    RELEASE["sign"](sums, key)
    (tmp_path / "signers").write_text(f"release {key.with_suffix('.pub').read_text()}")
    command = ["ssh-keygen", "-Y", "verify", "-f", "signers", "-I", "release", "-n", "cwconnect-release"]

    def verified(content: bytes) -> bool:
        done = subprocess.run([*command, "-s", "SHA256SUMS.sig"], cwd=tmp_path, input=content, capture_output=True)
        return done.returncode == 0

    assert verified(b"sums\n")
    assert not verified(b"other sums\n")


def test_the_newest_release_of_the_changes_is_this_version_and_all_are_dated() -> None:
    heads = re.findall(r"^## (.+)$", CHANGES, re.MULTILINE)
    assert heads[0] == "Unreleased"
    assert heads[1].startswith(f"{__version__} (")
    assert [head for head in heads[1:] if not re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)", head)] == []
