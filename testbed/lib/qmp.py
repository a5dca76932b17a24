# SPDX-License-Identifier: GPL-2.0-only
#
# QEMU's monitor for programs (QMP), on a connection that somebody else makes. The testbed
# and what runs inside its hosts share this.

import json


class Ended(Exception):
    """QEMU is gone."""


class Refused(Exception):
    """QEMU did not do it, and says why."""


def send(connection, name, **arguments):
    """Not waiting for an answer."""
    text = json.dumps({"execute": name, "arguments": arguments})
    connection.sendall(text.encode() + b"\n")


class Monitor:
    """Answers and events in the order in which they come; events that nobody waits for are
    dropped."""

    def __init__(self, connection):
        self.connection = connection
        self.stream = connection.makefile("r", encoding="utf-8")
        self.command("qmp_capabilities")

    def messages(self):
        for line in self.stream:
            yield json.loads(line)
        raise Ended("QEMU ended by itself")

    def command(self, name, **arguments):
        send(self.connection, name, **arguments)
        for message in self.messages():
            if "error" in message:
                raise Refused(f"{name}: {message['error']['desc']}")
            if "return" in message:
                return message["return"]

    def events(self, name):
        """The data of each event of that name from now on."""
        for message in self.messages():
            if message.get("event") == name:
                yield message.get("data", {})
