"""Attacks on the sign-in by an issuer, each beside the genuine one that it differs from in one thing alone.

The attacker has an account with the issuer, can have the victim's browser open any address, knows the issuer's public
key and may run an issuer of their own. What each needs beyond that stands in its name.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
import time_machine
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from cwconnect.core.env import GroupRole
from instances.models import AuditEntry, Membership, Organization
from instances.openid import discovery
from tests.pages.conftest import sign_in
from tests.support.issuers import CLIENT_ID, Issuer, jwk_of, key_of, part, pem_of, running_issuer, use

pytestmark = pytest.mark.django_db
START, BACK, OWN = "/app/signin/issuer", "/app/signin/issuer/back", "/app/issuer"
PASSWORD = "a long enough password"


@dataclass
class Stage:
    """The issuer, the victim's browser, and what comes back from a sign-in that was begun there."""

    issuer: Issuer
    browser: Client = field(default_factory=Client)

    def begin(self, client: Client | None = None, **sent: str) -> str:
        answer = (client or self.browser).post(START, sent)
        return str(answer.headers["Refresh"].removeprefix("0; url="))

    def brought(self) -> dict[str, str]:
        return self.issuer.agree(self.begin())

    def come_back(self, brought: dict[str, str]) -> bool:
        """Come back with that; return whether somebody is signed in."""
        self.browser.get(BACK, brought)
        return "_auth_user_id" in self.browser.session


@pytest.fixture
def stage(settings: Any, organization: Organization) -> Iterator[Stage]:
    discovery.forget()
    with running_issuer() as issuer:
        use(issuer, settings, GROUPS=[GroupRole("staff", "Alpha", "viewer")])
        yield Stage(issuer)
    discovery.forget()


def test_the_genuine_sign_in_works(stage: Stage) -> None:
    assert stage.come_back(stage.brought())


Claims = dict[str, Any]


def claims(**other: Any) -> Callable[[Stage], dict[str, str]]:
    """Have the token say something else, signed well; None leaves a claim out."""

    def act(stage: Stage) -> dict[str, str]:
        changed = {name: value() if callable(value) else value for name, value in other.items()}
        stage.issuer.claims = lambda honest: {
            name: value for name, value in (honest | changed).items() if value is not None
        }
        return stage.brought()

    return act


def signed(sign: Callable[[Claims], str]) -> Callable[[Stage], dict[str, str]]:
    """Have the token signed otherwise, its claims as they should be."""

    def act(stage: Stage) -> dict[str, str]:
        stage.issuer.sign = sign
        return stage.brought()

    return act


def by_hand(header: Claims, body: Claims, key: bytes = b"") -> str:
    """Return a token that no library would make."""
    text = f"{part(header)}.{part(body)}"
    signature = hmac.new(key, text.encode(), hashlib.sha256).digest() if key else b""
    return f"{text}.{jwt.utils.base64url_encode(signature).decode()}"


def with_state(change: Callable[[Stage, dict[str, str]], dict[str, str]]) -> Callable[[Stage], dict[str, str]]:
    return lambda stage: change(stage, stage.brought())


def _in_another_browser(stage: Stage) -> str:
    """Return the state of a sign-in that the attacker began, and its code."""
    return stage.issuer.agree(stage.begin(Client()))["state"]


def _replayed(stage: Stage, brought: dict[str, str]) -> dict[str, str]:
    assert stage.come_back(brought)
    stage.browser.post("/app/signout")
    assert "_auth_user_id" not in stage.browser.session
    return brought


def _code_of_the_attacker(stage: Stage) -> dict[str, str]:
    """Login CSRF: the victim's browser is led to the end of the attacker's own sign-in."""
    return stage.issuer.agree(stage.begin(Client()))


def _attackers_code_in_the_victims_sign_in(stage: Stage) -> dict[str, str]:
    """Code injection: PKCE and the nonce bind a code to the browser that began."""
    other = stage.issuer.agree(stage.begin(Client()))
    return stage.brought() | {"code": other["code"]}


def _nonce_of_another(stage: Stage) -> dict[str, str]:
    """Swap nonces of two sign-ins, PKCE left out of play."""
    brought, other = stage.brought(), stage.issuer.agree(stage.begin(Client()))
    codes = stage.issuer.codes
    codes[brought["code"]] |= {"nonce": codes[other["code"]]["nonce"]}
    return brought


def _token_of_another_issuer(stage: Stage) -> dict[str, str]:
    """Mix-up: another issuer's token, signed by its key and in its name."""
    stage.issuer.claims = lambda honest: honest | {"iss": "https://evil.example"}
    stage.issuer.sign = lambda body: jwt.encode(body, key_of("evil"), "RS256", headers={"kid": "evil"})
    return stage.brought()


def _described_by_another(stage: Stage) -> dict[str, str]:
    brought = stage.brought()
    discovery.forget()
    stage.issuer.metadata = {"issuer": "https://evil.example"}
    return brought


def _says_no_iss_and_must(stage: Stage) -> dict[str, str]:
    stage.issuer.metadata = {"authorization_response_iss_parameter_supported": True}
    discovery.forget()
    return {name: value for name, value in stage.brought().items() if name != "iss"}


def _after_eleven_minutes(stage: Stage) -> dict[str, str]:
    with time_machine.travel(time.time() - 660):
        return stage.brought()


def _of_a_former_issuer(stage: Stage) -> dict[str, str]:
    """Begin at one issuer, and come back when the service has another."""
    brought = stage.brought()
    session = stage.browser.session
    states = session["socialaccount_states"]
    session["socialaccount_states"] = {name: [*row[:2], "oidc-of-another"] for name, row in states.items()}
    session.save()
    return brought


NOW = time.time
ATTACKS: dict[str, Callable[[Stage], dict[str, str]]] = {
    "state absent": with_state(lambda stage, back: {"code": back["code"]}),
    "state empty": with_state(lambda stage, back: back | {"state": ""}),
    "state made up": with_state(lambda stage, back: back | {"state": "x" * 43}),
    "state of another browser": with_state(lambda stage, back: back | {"state": _in_another_browser(stage)}),
    "state and code replayed": with_state(_replayed),
    "state too old": _after_eleven_minutes,
    "state of a former issuer": _of_a_former_issuer,
    "login CSRF": _code_of_the_attacker,
    "code of another sign-in": _attackers_code_in_the_victims_sign_in,
    "code made up": with_state(lambda stage, back: back | {"code": "made-up"}),
    "code absent": with_state(lambda stage, back: {"state": back["state"]}),
    "code and an error": with_state(lambda stage, back: back | {"error": "access_denied"}),
    "iss of another issuer": with_state(lambda stage, back: back | {"iss": "https://evil.example"}),
    "iss empty": with_state(lambda stage, back: back | {"iss": ""}),
    "iss absent where the issuer says it": _says_no_iss_and_must,
    "described by another issuer": _described_by_another,
    "token of another issuer": _token_of_another_issuer,
    "nonce of another sign-in": _nonce_of_another,
    "nonce absent": claims(nonce=None),
    "nonce no text": claims(nonce=7),
    "iss of another issuer in the token": claims(iss="https://evil.example"),
    "iss with a slash more": lambda stage: claims(iss=f"{stage.issuer.url}/")(stage),
    "iss absent from the token": claims(iss=None),
    "aud of another client": claims(aud="another client"),
    "aud absent": claims(aud=None),
    "aud empty": claims(aud=[]),
    "aud of several without azp": claims(aud=[CLIENT_ID, "another client"]),
    "azp of another client": claims(aud=[CLIENT_ID, "another client"], azp="another client"),
    "azp of another client, aud ours": claims(azp="another client"),
    "expired": claims(exp=lambda: int(NOW()) - 120),
    "exp absent": claims(exp=None),
    "exp no number": claims(exp="never"),
    "issued tomorrow": claims(iat=lambda: int(NOW()) + 86_400, exp=lambda: int(NOW()) + 90_000),
    "iat absent": claims(iat=None),
    "not yet good": claims(nbf=lambda: int(NOW()) + 600),
    "sub absent": claims(sub=None),
    "sub empty": claims(sub=""),
    "sub a number": claims(sub=1001),
    "sub very long": claims(sub="1" * 300),
    "alg none": signed(lambda body: by_hand({"alg": "none", "typ": "JWT"}, body)),
    "alg None, in capitals": signed(lambda body: by_hand({"alg": "NonE", "kid": "first"}, body)),
    "alg none with the key's name": signed(lambda body: by_hand({"alg": "none", "kid": "first"}, body)),
    "alg absent": signed(lambda body: by_hand({"typ": "JWT", "kid": "first"}, body)),
    "unsigned": signed(lambda body: by_hand({"alg": "RS256", "kid": "first"}, body)),
    "HS256 with the public key": signed(lambda body: by_hand({"alg": "HS256", "kid": "first"}, body, pem_of("first"))),
    "HS256 with the client secret": signed(lambda body: jwt.encode(body, "a secret of the registration" * 2, "HS256")),
    "another key by the same name": signed(
        lambda body: jwt.encode(body, key_of("evil"), "RS256", headers={"kid": "first"})
    ),
    "a key that the token brings": signed(
        lambda body: jwt.encode(body, key_of("evil"), "RS256", headers={"kid": "evil", "jwk": jwk_of("evil")})
    ),
    "a key that the token points to": signed(
        lambda body: jwt.encode(body, key_of("evil"), "RS256", headers={"kid": "first", "jku": "http://127.0.0.1:9/k"})
    ),
    "an algorithm that the key is not for": signed(
        lambda body: jwt.encode(body, key_of("first"), "RS512", headers={"kid": "first"})
    ),
    "a token cut short": signed(lambda body: jwt.encode(body, key_of("first"), "RS256", headers={"kid": "first"})[:-9]),
    "claims changed after signing": signed(
        lambda body: _swapped(jwt.encode(body, key_of("first"), "RS256", headers={"kid": "first"}), body)
    ),
    "no token at all": signed(lambda body: ""),
    "a token that is a list": signed(lambda body: ["x"]),  # type: ignore[arg-type,return-value]  # what a token is not
}


def _swapped(token: str, body: Claims) -> str:
    header, _, signature = token.split(".")
    return f"{header}.{part(body | {'sub': '1'})}.{signature}"


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_on_the_way_back_signs_nobody_in(stage: Stage, name: str) -> None:
    before = User.objects.count()
    brought = ATTACKS[name](stage)
    made = User.objects.count() - before
    assert not stage.come_back(brought)
    assert User.objects.count() - before == made  # what the attack itself did first, if it did
    assert stage.browser.get("/").status_code == 302


def test_two_tokens_with_one_code_are_not_to_be_had(stage: Stage) -> None:
    brought = stage.brought()
    assert stage.come_back(brought)
    second = stage.brought() | {"code": brought["code"]}
    stage.browser.get(BACK, second)
    assert SocialAccount.objects.count() == 1
    assert AuditEntry.objects.filter(action="sign-in failed").count() == 1


ELSEWHERE = [
    *("https://evil.example/", "//evil.example", "///evil.example", "http:evil.example", "https:/evil.example"),
    *("\\\\evil.example", "/\\evil.example", "\\/evil.example", "/\t/evil.example", "\t//evil.example"),
    *("javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "//evil.example@testserver", " //evil.example"),
    *("http://testserver@evil.example/", "http://testserver.evil.example/", "https://evil.example\\@testserver"),
    *(
        "http://localhost/",
        "http://127.0.0.1/",
        "ftp://testserver/",
        "//testserver:80@evil.example/",
        "/%09/evil.example",
    ),
]


def leads_away(location: str) -> bool:
    """Return whether a browser would leave the site by it."""
    return location != "/" and not location.startswith("/%09/") and location != "/app/people"


@pytest.mark.parametrize("target", ["/app/people", *ELSEWHERE])
def test_next_leads_nowhere_else(stage: Stage, target: str) -> None:
    User.objects.create_user("olga", password=PASSWORD)
    answers = [
        stage.browser.get(BACK, stage.issuer.agree(stage.begin(next=target))),
        Client().post("/app/signin", {"username": "olga", "password": PASSWORD, "next": target}),
        Client().post(f"/app/signin?next={target}", {"username": "olga", "password": PASSWORD}),
        stage.browser.post("/app/signout", {"next": target}),
    ]
    locations = [answer.headers["Location"] for answer in answers]
    assert not [each for each in locations if leads_away(each) and each != "/app/signin"]
    assert locations[0] == (target if target in ("/app/people", "/%09/evil.example") else "/")


def test_a_form_of_elsewhere_begins_nothing(stage: Stage) -> None:
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(START).status_code == 403
    assert strict.get(START).status_code == 405
    assert stage.issuer.codes == {}


@pytest.mark.parametrize("verified", [True, False, "true", None])
def test_a_mail_address_links_nobody(stage: Stage, organization: Organization, verified: object) -> None:
    victim = User.objects.create_user("olga", password=PASSWORD, email="olga@example.com")
    Membership.objects.create(account=victim, organization=organization, role="operator")
    stage.issuer.person |= {"email": "olga@example.com", "email_verified": verified, "preferred_username": "olga"}
    assert stage.come_back(stage.brought())
    assert stage.browser.session["_auth_user_id"] != str(victim.pk)
    assert SocialAccount.objects.get().user != victim
    assert Membership.objects.get(account=victim).role == "operator"
    assert Membership.objects.get(account=SocialAccount.objects.get().user).role == "viewer"


def test_the_session_of_before_is_not_the_session_of_after(stage: Stage) -> None:
    """Fixation: who planted a session's key in the browser has nothing of it afterwards."""
    address = stage.begin()
    planted = stage.browser.cookies["sessionid"].value
    assert stage.come_back(stage.issuer.agree(address))
    assert stage.browser.cookies["sessionid"].value != planted
    thief = Client()
    thief.cookies["sessionid"] = planted
    assert thief.get("/").status_code == 302


def test_a_link_that_an_attacker_began_is_not_finished_by_the_victim(stage: Stage, organization: Organization) -> None:
    """The attacker would link their own person to the victim's account."""
    victim, attacker = sign_in("olga", organization), sign_in("mallory", organization)
    answer = attacker.post(OWN, {"old_password": PASSWORD})
    back = stage.issuer.agree(str(answer.headers["Refresh"].removeprefix("0; url=")))
    assert victim.get(BACK, back).status_code == 400
    assert not SocialAccount.objects.exists()
    # Nor where the browser has its state, got there somehow, but another person is signed in.
    states = attacker.session["socialaccount_states"]
    session = victim.session
    session["socialaccount_states"] = states
    session.save()
    assert victim.get(BACK, back).status_code == 400
    # Nor where somebody else signs in between, in the same browser.
    attacker.force_login(User.objects.get(username="olga"))
    assert attacker.get(BACK, back).status_code == 400
    assert not SocialAccount.objects.exists()


def test_a_link_takes_the_password_which_is_counted(stage: Stage, organization: Organization) -> None:
    client = sign_in("olga", organization)
    client.cookies.clear()
    client.force_login(User.objects.get())
    statuses = [client.post(OWN, {"old_password": f"guess {number}"}).status_code for number in range(11)]
    assert statuses[-1] == 429
    assert client.post(OWN, {"old_password": PASSWORD}).status_code == 429


def test_nobody_signs_up_who_is_not_let_in(stage: Stage) -> None:
    stage.issuer.person["groups"] = ["everybody"]
    assert not stage.come_back(stage.brought())
    assert not User.objects.exists()
    paths = ("signup", "signup/", "accounts/signup/", "3rdparty/signup/", "social/signup/", "accounts/login/")
    assert {Client().get(f"/app/{path}").status_code for path in paths} == {404}


def test_an_ended_invitation_lets_nobody_in(stage: Stage, organization: Organization) -> None:
    stage.issuer.person["groups"] = []
    invitation = organization.invitations.create(code_hash="x" * 64, expires_at=timezone.now(), made_by="olga")
    session = stage.browser.session
    session["invitation"] = invitation.pk
    session.save()
    assert not stage.come_back(stage.brought())
    assert not User.objects.exists()


def test_groups_of_an_unproven_answer_change_nothing(stage: Stage) -> None:
    assert stage.come_back(stage.brought())
    stage.issuer.sign = lambda body: by_hand({"alg": "none"}, body)
    stage.issuer.person["groups"] = []
    Stage(stage.issuer).come_back(stage.brought())
    assert Membership.objects.count() == 1
