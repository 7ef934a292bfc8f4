"""The image and the compose files, by what they say, without an engine; `.ci/image` builds the image and runs it."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import certifi
import pytest
import yaml
from django.core.management import get_commands, load_command_class
from django.urls import resolve

from cwconnect import __version__
from cwconnect.core import ask_readyz, env
from cwconnect.management.commands.up import Command as Up
from tests.site.test_every_setting import KEYS, NAMES, settings_of
from tests.support.services import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = ("compose.yaml", "compose.demo.yaml")
SERVICES: dict[str, dict[str, Any]] = {
    f"{file}: {name}": service
    for file in COMPOSE
    for name, service in yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))["services"].items()
}
WHOLE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
OURS = {name: service for name, service in SERVICES.items() if "cwconnect" in service["image"]}
DEFAULTS = (
    "BACKUP_EVERY",
    "BACKUP_KEEP",
    "DEBUG",
    "LOG_FORMAT",
    "OIDC_GROUPS_CLAIM",
    "OIDC_NAME",
    "SECOND_FACTOR",
    "READABLE_TOKENS",
    "RETENTION_DAYS",
    "RETRY_SCHEDULE",
    "TIME_ZONE",
)
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^#(\w+)=(.*)$", EXAMPLE, re.MULTILINE))


def steps(stage: int) -> list[tuple[str, str]]:
    """Return a stage's instructions, each as its word and the rest, on one line."""
    lines = re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE)).splitlines()
    words = [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line)]
    starts = [number for number, (word, _) in enumerate(words) if word == "FROM"] + [len(words)]
    return words[starts[stage] : starts[stage + 1]]


def last(word: str) -> str:
    """Return what the image's last instruction of a kind says."""
    return next(rest for found, rest in reversed(steps(1)) if found == word)


def test_the_image_runs_as_nobody_in_particular_with_its_data_in_one_volume() -> None:
    assert last("USER") == "10001:10001"
    assert [rest for word, rest in steps(1) if word == "VOLUME"] == ["/data"]
    assert "CWCONNECT_DATA_DIR=/data" in last("ENV")
    after = [word for word, _ in steps(1)]
    assert not {"RUN", "COPY", "ADD"} & set(after[after.index("USER") :])  # nothing that it runs on is its own


def test_both_stages_stand_on_the_base_that_is_named() -> None:
    assert [rest.split()[0] for stage in (0, 1) for word, rest in steps(stage) if word == "FROM"] == ["${BASE}"] * 2
    assert re.search(r"^ARG BASE=python:3\.\d+-slim-", DOCKERFILE, re.MULTILINE)


def test_nothing_is_installed_but_by_its_hash_and_nothing_is_compiled() -> None:
    installs = [part for _, rest in steps(0) for part in rest.split("&&") if " install " in part]
    assert len(installs) == 3
    for install in installs[:2]:
        assert {"--require-hashes", "--only-binary"} <= set(shlex.split(install))
    assert {"--no-deps", "--no-index"} <= set(shlex.split(installs[2]))
    assert not [rest for word, rest in steps(1) if word == "RUN" and re.search("apt|pip|curl|wget", rest)]


def test_what_the_image_starts_exists() -> None:
    for line in (last("ENTRYPOINT"), last("HEALTHCHECK").partition(" CMD ")[2]):
        python, option, module, *_ = ast.literal_eval(line)
        assert (python, option) == ("python", "-m")
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file()
    assert ast.literal_eval(last("ENTRYPOINT"))[3:] == ["cwconnect"]
    Up().create_parser("cwconnect", "up").parse_args(ast.literal_eval(last("CMD"))[1:])
    assert resolve(ask_readyz.URL.partition("8000")[2]).func.__name__ == "readyz"
    assert last("EXPOSE") == "8000"


def test_the_version_of_image_and_compose_is_the_one() -> None:
    assert re.search(r"^ARG VERSION=(\S+)$", DOCKERFILE, re.MULTILINE)[1] == __version__  # type: ignore[index]  # fails as a test may
    assert {service["image"] for service in OURS.values()} == {f"${{IMAGE:-cwconnect:{__version__}}}"}
    assert {build["args"]["VERSION"] for service in OURS.values() if (build := service.get("build"))} == {__version__}


def test_the_image_is_built_from_what_a_wheel_is_built_from() -> None:
    taken = {rest.split()[0] for word, rest in steps(0) if word == "COPY" and "requirements" not in rest}
    taken |= {"README.md", "LICENSE"}
    rules = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == taken
    secret = {"**/.env*", "**/*.sqlite3*", "**/*.pem", "**/*.key", "**/secret_key", "**/encryption_keys"}
    assert secret <= set(rules[max(number for number, rule in enumerate(rules) if rule.startswith("!")) :])


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"cpus", "memory", "pids"} == service["deploy"]["resources"]["limits"].keys()
    assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "userns_mode"}
    assert name in OURS or service["user"] not in ("root", "0")  # ours: the image's
    own = ("127.0.0.1:", "${HTTP_ADDRESS:-127.0.0.1}:")
    assert [port for port in service.get("ports", []) if not port.startswith(own)] == []


@pytest.mark.parametrize("name", OURS)
def test_what_compose_starts_is_a_command_that_takes_it(name: str) -> None:
    command, *arguments = OURS[name]["command"]
    found = load_command_class(get_commands()[command], command)
    found.create_parser("cwconnect", command).parse_args(arguments)
    assert all(port.endswith(":8000") for port in OURS[name].get("ports", []))
    assert int(OURS[name]["stop_grace_period"].removesuffix("s")) > 10
    assert "/tmp" in OURS[name]["tmpfs"]  # noqa: S108  (the container's)


def test_every_setting_that_compose_gives_exists_and_its_secrets_are_files() -> None:
    declared = WHOLE["secrets"]
    for service in (*OURS.values(), WHOLE["services"]["database"]):
        for setting, value in service.get("environment", {}).items():
            if setting.endswith("_FILE"):
                secret = value.removeprefix("/run/secrets/")
                assert secret in service["secrets"]
                assert declared[secret] == {"file": f"secrets/{secret}"}
            assert not setting.startswith("CWCONNECT_") or setting.removesuffix("_FILE") in env.names_read
            assert not re.search("PASSWORD$|KEYS?$|TOKEN$|DATABASE_URL$", setting)
    assert {secret for service in WHOLE["services"].values() for secret in service.get("secrets", [])} == set(declared)


def test_web_and_workers_wait_for_the_migration_and_it_for_what_it_needs() -> None:
    services = WHOLE["services"]
    healthy = {name: {"condition": "service_healthy"} for name in ("database", "redis")}
    assert services["migrate"]["depends_on"] == healthy
    for name in ("web", "workers"):
        assert services[name]["depends_on"] == healthy | {"migrate": {"condition": "service_completed_successfully"}}
    assert services["migrate"]["restart"] == "no"
    assert "test" in services["database"]["healthcheck"]
    assert WHOLE["networks"]["inside"] == {"internal": True}
    assert {name for name, service in services.items() if service["networks"] == ["inside"]} == {"database", "redis"}


def test_the_example_of_an_environment_has_every_setting_and_no_other() -> None:
    assert {name for name in EXAMPLES if name.startswith("CWCONNECT_")} == set(NAMES)
    assert [line for line in EXAMPLE.splitlines() if line and not line.startswith("#")] == []  # nothing is set


def test_the_example_has_every_variable_of_compose_with_its_default() -> None:
    text = "".join((ROOT / file).read_text(encoding="utf-8") for file in COMPOSE)
    variables = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", text))
    assert variables == {name: value for name, value in EXAMPLES.items() if not name.startswith("CWCONNECT_")}
    assert text.count("${") == len(re.findall(r"\$\{\w+:-", text))


def test_all_of_the_example_is_taken_at_once(tmp_path: Path) -> None:
    (authorities := tmp_path / "authorities.pem").write_text(_certificate(), encoding="utf-8")
    here = {"CWCONNECT_CA_FILE": str(authorities), "CWCONNECT_BACKUP_FOLDER": str(tmp_path / "backups")}
    here["CWCONNECT_DATA_DIR"] = str(tmp_path / "data")
    given = {name: value for name, value in EXAMPLES.items() if name.startswith("CWCONNECT_")}
    found = settings_of(tmp_path, **KEYS | given | here)
    plain = settings_of(tmp_path, **KEYS)
    # What has a default stands there with it.
    for name in DEFAULTS:
        assert found[name] == plain[name]
    assert found["Q_CLUSTER"]["workers"] == plain["Q_CLUSTER"]["workers"]


def _certificate() -> str:
    """Return some authority's certificate: the first of those that the tests' own packages bring."""
    text = Path(certifi.where()).read_text(encoding="utf-8")
    end = "-----END CERTIFICATE-----\n"
    return text[text.index("-----BEGIN") : text.index(end) + len(end)]
