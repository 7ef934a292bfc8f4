"""A small issuer of OpenID Connect on 127.0.0.1: discovery, keys, tokens and user info over HTTP, signed with RS256.

It can misbehave: a test changes what it says before it is asked. Where a person would sign in, `agree` answers for one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_ID, CLIENT_SECRET = "cwconnect-tests", "a secret of the registration"


@cache
def key_of(name: str) -> rsa.RSAPrivateKey:
    """Return a key; each name has its own, made once."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def jwk_of(name: str) -> dict[str, Any]:
    """Return the public half as the issuer publishes it."""
    published: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(key_of(name).public_key(), as_dict=True)
    return published | {"kid": name, "use": "sig", "alg": "RS256"}


def pem_of(name: str) -> bytes:
    """Return the public half as text, which anybody may have."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key_of(name).public_key().public_bytes(serialization.Encoding.PEM, form)


def part(content: object) -> str:
    """Return a part of a token made by hand."""
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


class Issuer:
    """An issuer; `person` is who signs in there next, by claims."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.person: dict[str, Any] = {"sub": "1001", "preferred_username": "ruth", "groups": ["staff"]}
        self.key = "first"
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []
        # What a test may change: the description, a token's claims, how it is signed, an answer to a path.
        self.metadata: dict[str, Any] = {}
        self.claims: Callable[[dict[str, Any]], dict[str, Any]] = dict
        self.sign: Callable[[dict[str, Any]], str] = self.sign_well
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.userinfo: dict[str, Any] = {}

    def agree(self, address: str, **other: str) -> dict[str, str]:
        """Sign the person in at an address of `authorization_endpoint`; return what the browser brings back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return {"code": code, "state": asked["state"], "iss": self.url} | other

    def sign_well(self, claims: dict[str, Any]) -> str:
        """Sign as it should be."""
        return jwt.encode(claims, key_of(self.key), algorithm="RS256", headers={"kid": self.key})

    def claims_of(self, asked: dict[str, str]) -> dict[str, Any]:
        """Return the claims of an honest ID token."""
        now = int(time.time())
        standard = {"iss": self.url, "aud": CLIENT_ID, "exp": now + 300, "iat": now, "nonce": asked.get("nonce", "")}
        return standard | self.person

    def answer(self, method: str, path: str, form: dict[str, str], headers: Any) -> tuple[int, bytes]:
        """Answer a request."""
        self.asked.append(path)
        if path in self.answers:
            return self.answers[path]
        if path == "/.well-known/openid-configuration":
            return 200, json.dumps(self._described() | self.metadata).encode()
        if path == "/keys":
            return 200, json.dumps({"keys": [jwk_of(self.key)]}).encode()
        if path == "/token" and method == "POST":
            return self._redeem(form, headers)
        if path == "/userinfo" and headers["Authorization"] == "Bearer an access token":
            return 200, json.dumps({"sub": self.person["sub"]} | self.userinfo).encode()
        return 404, b"{}"

    def _described(self) -> dict[str, Any]:
        paths = {"authorization_endpoint": "/login", "token_endpoint": "/token", "jwks_uri": "/keys"}
        found = {name: self.url + path for name, path in paths.items()}
        return found | {"issuer": self.url, "userinfo_endpoint": f"{self.url}/userinfo"}

    def _redeem(self, form: dict[str, str], headers: Any) -> tuple[int, bytes]:
        asked = self.codes.pop(form.get("code", ""), None)
        registered = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET.replace(' ', '+')}".encode()).decode()
        if headers["Authorization"] != f"Basic {registered}":
            return 401, b'{"error": "invalid_client"}'
        proof = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=")
        if asked is None or asked["code_challenge"] != proof.decode() or asked["redirect_uri"] != form["redirect_uri"]:
            return 400, b'{"error": "invalid_grant"}'
        tokens = {"access_token": "an access token", "token_type": "Bearer"}
        return 200, json.dumps(tokens | {"id_token": self.sign(self.claims(self.claims_of(asked)))}).encode()


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    """Run an issuer on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            form = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
            status, body = issuer.answer(self.command, self.path, form, self.headers)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            if status in (301, 302, 307):
                self.send_header("Location", body.decode())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer  # noqa: N815  (the names that the library calls)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (its signature)
            """Say nothing: `asked` has it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    issuer = Issuer(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def use(issuer: Issuer, settings: Any, **other: Any) -> None:
    """Have the service sign people in by it."""
    given = {"ISSUER": issuer.url, "CLIENT_ID": CLIENT_ID, "CLIENT_SECRET": CLIENT_SECRET, "NAME": "Acme’s account"}
    for name, value in (given | other).items():
        setattr(settings, f"OIDC_{name}", value)
