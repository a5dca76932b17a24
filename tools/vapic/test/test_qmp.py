# SPDX-License-Identifier: GPL-2.0-only
#
# testbed/lib/qmp.py, and the demo's use of it, with programs for QEMU and guest-linux.

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import textwrap
import threading
import time
import unittest
import unittest.mock
from typing import Any

from vapic.demo.boots import BOOTS
from vapic.files import TOP, write
from vapic.run.modes import AMD

sys.path.insert(0, str(TOP / "testbed/lib"))

import qmp  # noqa: E402
from vapic.demo import in_host  # noqa: E402

GREETING: dict[str, Any] = {"QMP": {"version": {}, "capabilities": []}}
DONE: dict[str, Any] = {"return": {}}


def event(name: str, **data: Any) -> dict[str, Any]:
    return {"event": name, "data": data}


class Client(unittest.TestCase):
    """Each answer of QEMU follows a command."""

    def monitor(self, *answers: list[dict[str, Any]]) -> qmp.Monitor:
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.asked: list[dict[str, Any]] = []

        def serve() -> None:
            with theirs, theirs.makefile("rw", encoding="utf-8") as stream:
                for answer in ([GREETING], *answers):
                    if answer[0] is not GREETING:
                        self.asked.append(json.loads(stream.readline()))
                    stream.writelines(f"{json.dumps(message)}\n" for message in answer)
                    stream.flush()

        qemu = threading.Thread(target=serve)
        qemu.start()
        self.addCleanup(qemu.join)
        ours.settimeout(60)
        return qmp.Monitor(ours)

    def test_an_answer_is_that_of_its_command(self) -> None:
        monitor = self.monitor([DONE], [event("RESUME"), {"return": {"running": True}}])
        self.assertEqual(monitor.command("query-status", of="it"), {"running": True})
        self.assertEqual(self.asked, [{"execute": "qmp_capabilities", "arguments": {}},
                                      {"execute": "query-status", "arguments": {"of": "it"}}])

    def test_a_refusal_says_why(self) -> None:
        monitor = self.monitor([DONE], [{"error": {"class": "GenericError", "desc": "not now"}}])
        with self.assertRaisesRegex(qmp.Refused, "^cont: not now$"):
            monitor.command("cont")

    def test_events_of_a_name_come_in_order_until_qemu_ends(self) -> None:
        monitor = self.monitor([DONE, event("MIGRATION", status="active"), event("STOP"),
                                event("MIGRATION", status="completed")])
        events = monitor.events("MIGRATION")
        self.assertEqual([next(events), next(events)],
                         [{"status": "active"}, {"status": "completed"}])
        with self.assertRaises(qmp.Ended):
            next(events)

    def test_qemu_that_ends_instead_of_an_answer(self) -> None:
        monitor = self.monitor([DONE])
        with self.assertRaises((qmp.Ended, OSError)):
            monitor.command("cont")


class Texts(unittest.TestCase):
    def test_what_the_monitor_for_people_said_is_found_among_answers(self) -> None:
        messages = [GREETING, DONE, {"return": "CPU#0\r\nHLT=1\r\n"}, event("STOP"), DONE]
        stream = b"".join(json.dumps(message).encode() + b"\r\n" for message in messages)
        self.assertEqual(qmp.texts(stream + b'{"return": "cut o'), ["CPU#0\r\nHLT=1"])
        self.assertEqual(qmp.texts(b""), [])


class Connecting(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = f"{folder.name}/monitor"

    def test_it_waits_for_qemu(self) -> None:
        def listen() -> None:
            time.sleep(0.3)
            self.server.bind(self.path)
            self.server.listen()

        with socket.socket(socket.AF_UNIX) as self.server:
            qemu = threading.Thread(target=listen)
            qemu.start()
            qmp.connect(self.path, 60).close()
            qemu.join()

    def test_not_for_ever(self) -> None:
        with self.assertRaises(OSError):
            qmp.connect(self.path, 0.2)

    def test_nor_for_what_qemu_does_not_say(self) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(self.path)
            server.listen()
            with qmp.connect(self.path, 0.2) as connection, self.assertRaises(TimeoutError):
                qmp.Monitor(connection)


# As guest-linux, with its QEMU.
GUEST = """\
    #!/usr/bin/python3
    import json, os, socket, sys
    server = socket.socket(socket.AF_UNIX)
    server.bind(sys.argv[sys.argv.index("--qmp") + 1])
    server.listen()
    stream = server.accept()[0].makefile("rw")

    def tell(**message):
        stream.write(json.dumps(message) + "\\n")
        stream.flush()

    tell(QMP={})
    assert json.loads(stream.readline())["execute"] == "qmp_capabilities"
    tell(**{"return": {}})
    print("demo: hackbench begins\\nTime: 0.5\\ndemo: hackbench ended", flush=True)
    tell(event="SHUTDOWN")
    if "STOP" in os.environ:
        tell(event="STOP")
        assert json.loads(stream.readline())["execute"] == "quit"
        print("last words")
    """


class Guest(unittest.TestCase):
    def run_guest(self, **environment: str) -> dict[str, Any]:
        """What the demo keeps of one."""
        with tempfile.TemporaryDirectory() as folder:
            write(f"{folder}/guest-linux", textwrap.dedent(GUEST))
            write(f"{folder}/emustat", "#!/bin/sh\necho '{\"total\": {}}'\n")
            for name in ("guest-linux", "emustat"):
                os.chmod(f"{folder}/{name}", 0o755)
            path = {"PATH": f"{folder}:{os.environ['PATH']}"}
            with (unittest.mock.patch.dict(os.environ, {**path, **environment}),
                  unittest.mock.patch.object(in_host, "MONITOR", f"{folder}/monitor"),
                  unittest.mock.patch.object(in_host, "say"),
                  unittest.mock.patch.object(in_host, "keep") as keep):
                in_host.run_guest(AMD[0], "2", BOOTS["amd"])
        (mode, name, text), _ = keep.call_args
        self.assertEqual((mode, name), ("stock-avic0", "guest-2"))
        record: dict[str, Any] = json.loads(text)
        return record

    def test_counters_are_read_four_times_and_the_last_before_qemu_ends(self) -> None:
        record = self.run_guest(STOP="1")
        self.assertEqual((record["status"], record["cpus"]), (0, 2))
        for time_of_life in ("before", "begin", "end", "after"):
            self.assertEqual(record[time_of_life], {"emulator": {"total": {}}})
        self.assertEqual(record["output"].splitlines()[1:],
                         ["Time: 0.5", "demo: hackbench ended", "last words"])

    def test_qemu_that_ends_before_it_pauses(self) -> None:
        with self.assertRaisesRegex(SystemExit, "2 vCPUs ended before its event STOP"):
            self.run_guest()


if __name__ == "__main__":
    unittest.main()
