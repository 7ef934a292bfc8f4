"""The examples for systemd and nginx are accepted by both, where they are installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.services import ROOT

DEPLOY = ROOT / "cwconnect" / "deploy"
CERTIFICATE = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=cwconnect.example.com")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("unit", sorted(path.name for path in DEPLOY.glob("*.service")))
def test_systemd_accepts_the_unit(unit: str, tmp_path: Path) -> None:
    here = (
        (DEPLOY / unit)
        .read_text(encoding="utf-8")
        .replace("/opt/cwconnect/.venv/bin", str(Path(sys.executable).parent))
    )
    (tmp_path / unit).write_text(here.replace("/opt/cwconnect", str(ROOT)), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert unit not in done.stderr  # warnings name the unit, such as of a key that it does not know


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_accepts_the_site(tmp_path: Path) -> None:
    subprocess.run(  # nginx reads the certificate that a site names
        [*CERTIFICATE, "-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "pem")],
        check=True,
        capture_output=True,
    )
    site = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    site = site.replace("/etc/ssl/certs/cwconnect.pem", str(tmp_path / "pem"))
    site = site.replace("/etc/ssl/private/cwconnect.key", str(tmp_path / "key"))
    (tmp_path / "nginx.conf").write_text(f"pid {tmp_path}/pid; events {{}}\nhttp {{\n{site}\n}}\n", encoding="utf-8")
    done = subprocess.run(
        ["nginx", "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-e", "stderr"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
