"""`Elements-Webhook-Replay: true` stands only where an earlier attempt may have arrived.

Source: docs/wire-contract.md#6-headers-signatures-answers-and-retries.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import ip_network

import pytest
from django.utils import timezone

from cwconnect.outbound import ConnectFailed, Dropped, Limits, OutboundClient, OutboundError
from instances.models import Instance
from instances.secrets import Secret
from polling.delivery import delivery_request
from polling.delivery.replay.replays import replay_now, start_replay
from polling.delivery.replay.selection import Selection
from polling.models import DeliveryAttempt, Notification
from polling.verification.repair_steps import send_again
from tests.long.faults.ports import free_port
from tests.support.deliveries import change, deliver
from tests.support.polled_instance import PolledInstance
from tests.support.raw_servers import LOOPBACK, RawServer, answer, read_request
from tests.support.receivers import Receiver

QUICK = Limits(connect=1, read=0.3, total=0.5, body=1000)
MARK = "elements-webhook-replay"
Handler = Callable[[socket.socket], None]


def answers(status: str) -> Handler:
    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())

    return handle


def half_an_answer(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 20")


def no_answer(connection: socket.socket) -> None:
    read_request(connection)
    connection.recv(1)  # until the other side has had enough


def reads_a_byte(connection: socket.socket) -> None:
    connection.recv(1)


def nothing_in_clear(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"this is no TLS\r\n")


ARRIVED: dict[str, Handler] = {
    "an answer of 500": answers("500 Oops"),
    "an answer of 302": answers("302 Found"),
    "an answer of 429": answers("429 Wait"),
    "an answer broken off": half_an_answer,
    "no answer in time": no_answer,
    "a reset in the middle of the request": reads_a_byte,
}


@pytest.fixture
def first(notifying: PolledInstance, monkeypatch: pytest.MonkeyPatch) -> PolledInstance:
    """A world whose contact 1 has changed, and nothing was sent yet."""
    monkeypatch.setattr(delivery_request, "NOTIFICATION_LIMITS", QUICK)
    change(notifying, 1)
    return notifying


def send_to(instance: Instance, url: str) -> DeliveryAttempt:
    """Make one attempt there."""
    Instance.objects.filter(pk=instance.pk).update(callback_url=url)
    deliver()
    return DeliveryAttempt.objects.latest("pk")


def replayed(world: PolledInstance, receiver: Receiver) -> bool:
    """Send it again to a receiver that is there; give whether it was marked, as it came and as its attempt says."""
    Notification.objects.update(state=Notification.State.FAILED, next_attempt_at=None)
    Instance.objects.filter(pk=world.instance.pk).update(callback_url=receiver.url)
    start_replay(world.instance, Selection(failed=True), timezone.now())
    deliver()
    marked = MARK in receiver.got[-1].headers
    assert DeliveryAttempt.objects.latest("pk").replay == marked
    return marked


@pytest.mark.parametrize("end", ARRIVED)
def test_what_may_have_arrived_is_marked(first: PolledInstance, receiver: Receiver, end: str) -> None:
    with RawServer(ARRIVED[end]) as server:
        attempt = send_to(first.instance, server.url())
    assert not attempt.unsent
    assert replayed(first, receiver)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://nobody.invalid/", "address"),
        ("http://127.0.0.1:{unused}/", "connect"),
        ("http://10.1.2.3/", "address"),
        ("https://127.0.0.1:{clear}/", "tls"),
    ],
)
def test_what_never_left_is_not_marked(first: PolledInstance, receiver: Receiver, url: str, kind: str) -> None:
    with RawServer(nothing_in_clear) as server:
        attempt = send_to(first.instance, url.format(unused=free_port(), clear=server.port))
    assert (attempt.error_kind, attempt.unsent) == (kind, True)
    assert not replayed(first, receiver)


def test_a_connection_not_made_in_time_leaves_it_unmarked(first: PolledInstance, receiver: Receiver) -> None:
    # A listener whose queue is full: the kernel leaves further callers waiting.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):
        attempt = send_to(first.instance, f"http://127.0.0.1:{full.getsockname()[1]}/")
    assert (attempt.error_kind, attempt.unsent) == ("timeout", True)
    assert not replayed(first, receiver)


def test_a_header_that_cannot_be_sent_leaves_it_unmarked(first: PolledInstance, receiver: Receiver) -> None:
    first.instance.callback_headers = Secret.of('{"X-Key": "a\\nb"}')
    first.instance.save(update_fields=["callback_headers"])
    attempt = send_to(first.instance, receiver.url)
    assert (attempt.error_kind, attempt.unsent) == ("invalid-header", True)
    first.instance.callback_headers = None
    first.instance.save(update_fields=["callback_headers"])
    assert not replayed(first, receiver)


def test_what_was_never_tried_is_not_marked(first: PolledInstance, receiver: Receiver) -> None:
    assert not replayed(first, receiver)


def test_an_attempt_without_an_end_is_taken_for_one_that_arrived(first: PolledInstance, receiver: Receiver) -> None:
    notification = Notification.objects.get()
    DeliveryAttempt.objects.create(notification=notification, url=receiver.url, started_at=timezone.now())
    assert replayed(first, receiver)


def test_one_attempt_of_many_that_may_have_arrived_is_enough(first: PolledInstance, receiver: Receiver) -> None:
    with RawServer(answers("500 Oops")) as server:
        send_to(first.instance, server.url())
    assert send_to(first.instance, "http://nobody.invalid/").unsent
    assert replayed(first, receiver)


def test_a_replay_that_never_left_leaves_the_next_unmarked(first: PolledInstance, receiver: Receiver) -> None:
    send_to(first.instance, "http://nobody.invalid/")
    Notification.objects.update(state=Notification.State.FAILED, next_attempt_at=None)
    start_replay(first.instance, Selection(failed=True), timezone.now())
    assert send_to(first.instance, "http://nobody.invalid/").unsent
    assert not replayed(first, receiver)


def test_a_repair_of_what_never_arrived_is_not_marked(first: PolledInstance, receiver: Receiver) -> None:
    send_to(first.instance, "http://nobody.invalid/")
    Notification.objects.update(state=Notification.State.FAILED, next_attempt_at=None)
    Instance.objects.filter(pk=first.instance.pk).update(callback_url=receiver.url)
    assert send_again(first.state.resource_poll, timezone.now(), replay=replay_now) == 1
    deliver()
    assert MARK not in receiver.got[-1].headers


class TestTheClient:
    """Which failures say that a byte may have left: also of a second try, on a new connection."""

    def fails(self, client: OutboundClient, url: str) -> OutboundError:
        with pytest.raises(OutboundError) as caught:
            client.request("POST", url, headers={}, body=b"{}", limits=QUICK)
        return caught.value

    def test_a_connection_refused_after_one_that_died_was_sent(self) -> None:
        def once(connection: socket.socket) -> None:
            read_request(connection)
            connection.sendall(answer(b""))
            connection.recv(1)  # the next request begins to come, and the connection ends under it

        client = OutboundClient(LOOPBACK)
        with RawServer(once) as server:
            client.request("POST", server.url(), headers={}, body=b"{}", limits=QUICK)
            server.refuse_others()
            error = self.fails(client, server.url())
        assert isinstance(error, ConnectFailed)
        assert error.sent

    def test_a_dropped_request_was_sent(self) -> None:
        with RawServer(reads_a_byte) as server:
            error = self.fails(OutboundClient(LOOPBACK), server.url())
        assert isinstance(error, Dropped)
        assert error.sent

    def test_a_proxy_that_refuses_was_sent_nothing(self) -> None:
        with RawServer(answers("403 No")) as proxy:
            client = OutboundClient((*LOOPBACK, ip_network("10.0.0.0/8")), proxy.url())
            assert not self.fails(client, "https://10.1.2.3/").sent
