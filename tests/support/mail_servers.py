"""A mail server on 127.0.0.1 that keeps what it is given."""

from __future__ import annotations

import email
import email.policy
import socket
from typing import IO, cast


class MailServer:
    """Takes mails over SMTP, or refuses them."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        self.refuses = False

    def handle(self, connection: socket.socket) -> None:
        stream = cast(IO[bytes], connection.makefile("rwb"))
        with stream:
            self._say(stream, "220 ready")
            for line in stream:
                self._answer(stream, line.decode().strip().upper())

    def _answer(self, stream: IO[bytes], command: str) -> None:
        if command.startswith("EHLO"):
            self._say(stream, "250-hello\r\n250 AUTH PLAIN")
        elif command.startswith("AUTH"):
            self._say(stream, "235 welcome")
        elif command.startswith("MAIL") and self.refuses:
            self._say(stream, "550 go away")
        elif command.startswith("DATA"):
            self._say(stream, "354 go on")
            lines = []
            while (line := stream.readline()) not in (b".\r\n", b""):
                lines.append(line)
            self.mails.append(b"".join(lines).decode())
            self._say(stream, "250 taken")
        else:
            self._say(stream, "221 bye" if command.startswith("QUIT") else "250 ok")

    def _say(self, stream: IO[bytes], text: str) -> None:
        stream.write(f"{text}\r\n".encode())
        stream.flush()

    def texts(self) -> list[tuple[str, str]]:
        """Return subject and body of each mail."""
        found = [email.message_from_string(mail, policy=email.policy.default) for mail in self.mails]
        return [(str(mail["Subject"]), mail.get_content()) for mail in found]
