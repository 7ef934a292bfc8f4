"""An answer on its way out: writing waits for no reader, but for one that is very far behind, and then not for long."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from cwconnect.web import writing
from cwconnect.web.writing import Outgoing

PIECE = bytes(64 * 1024)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def test_what_the_reader_does_not_take_is_kept_and_sent_in_order(pair: tuple[socket.socket, socket.socket]) -> None:
    woken: list[bool] = []
    outgoing = Outgoing(pair[0], lambda: woken.append(True))
    text = b"".join(b"%07d " % number for number in range(200_000))
    outgoing.sendall(text[:1000])
    assert (len(outgoing), woken) == (0, [])
    outgoing.sendall(text[1000:])
    assert len(outgoing)
    assert woken
    received = b""
    while len(received) < len(text):
        received += pair[1].recv(65536)
        outgoing.flush()
    assert received == text
    assert len(outgoing) == 0


def test_a_stream_waits_above_the_mark_and_goes_on_below(pair: tuple[socket.socket, socket.socket]) -> None:
    outgoing = Outgoing(pair[0], lambda: None)
    outgoing.sendall(bytes(writing.HIGH_WATER + 1_000_000))
    assert len(outgoing) > writing.HIGH_WATER
    thread = threading.Thread(target=outgoing.sendall, args=(PIECE,))
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    while thread.is_alive():
        pair[1].recv(65536)
        outgoing.flush()
        thread.join(0.001)


def test_its_patience_ends(pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "PATIENCE", 0.3)
    outgoing = Outgoing(pair[0], lambda: None)
    outgoing.sendall(bytes(writing.HIGH_WATER + 1_000_000))
    began = time.monotonic()
    with pytest.raises(BrokenPipeError):
        outgoing.sendall(PIECE)
    assert 0.2 < time.monotonic() - began < 10
    assert outgoing.closed


def test_a_reader_that_is_gone_is_noticed_by_the_next_write(pair: tuple[socket.socket, socket.socket]) -> None:
    outgoing = Outgoing(pair[0], lambda: None)
    pair[1].close()
    outgoing.sendall(PIECE)
    assert outgoing.closed
    with pytest.raises(BrokenPipeError):
        outgoing.sendall(PIECE)


def test_a_stream_that_is_taken_steadily_has_patience_anew(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "HIGH_WATER", len(PIECE))
    monkeypatch.setattr(writing, "PATIENCE", 2.0)
    outgoing, done = Outgoing(pair[0], lambda: None), threading.Event()

    def write() -> None:
        for _ in range(60):
            outgoing.sendall(PIECE)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    began = time.monotonic()
    while not done.is_set() and not outgoing.closed:
        pair[1].recv(65536)
        outgoing.flush()
        time.sleep(0.06)
    thread.join()
    assert not outgoing.closed
    assert time.monotonic() - began > 2.0
