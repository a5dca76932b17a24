# SPDX-License-Identifier: GPL-2.0-only
#
# QEMU's monitor for programs (QMP). The testbed and what runs inside its hosts share this.

from __future__ import annotations

import json
import socket
import time
from typing import Any, Iterator


class Ended(Exception):
    """QEMU is gone."""


class Refused(Exception):
    """QEMU did not do it, and says why."""


def connect(path: str, seconds: float) -> socket.socket:
    """To a QEMU that may not have got so far yet. As long as for that, and no longer, it may be
    silent afterwards."""
    limit = time.monotonic() + seconds
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
            break
        except OSError:
            connection.close()
            if time.monotonic() > limit:
                raise
            time.sleep(0.05)
    connection.settimeout(seconds)
    return connection


def send(connection: socket.socket, name: str, **arguments: Any) -> None:
    """Not waiting for an answer."""
    text = json.dumps({"execute": name, "arguments": arguments})
    connection.sendall(text.encode() + b"\n")


def texts(answers: bytes) -> list[str]:
    """What QEMU's monitor for people had to say, of what it answered so far."""
    messages = (json.loads(line) for line in answers.splitlines() if line.endswith(b"}"))
    return [message["return"].strip() for message in messages
            if isinstance(message.get("return"), str)]


class Monitor:
    """Answers and events in the order in which they come; events that nobody waits for are
    dropped."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.stream = connection.makefile("r", encoding="utf-8")
        self.command("qmp_capabilities")

    def messages(self) -> Iterator[Any]:
        for line in self.stream:
            yield json.loads(line)
        raise Ended("QEMU ended by itself")

    def command(self, name: str, **arguments: Any) -> Any:
        send(self.connection, name, **arguments)
        for message in self.messages():
            if "error" in message:
                raise Refused(f"{name}: {message['error']['desc']}")
            if "return" in message:
                return message["return"]

    def events(self, name: str) -> Iterator[Any]:
        """The data of each event of that name from now on."""
        for message in self.messages():
            if message.get("event") == name:
                yield message.get("data", {})
