# SPDX-License-Identifier: GPL-2.0-only
#
# One run from start to end: get image and emulator, boot, follow the host's
# events, pass the command's output through, judge the kernel log, clean up.

import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import amd
import intel
import job
import kernel_log
import options as option
import status
import turn as turns

TESTBED = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

MACHINES = {"amd": amd.Amd, "intel": intel.Intel}
# Seconds, for the log of a host that hangs, and for a power-off.
GRACE = 10
# Lines of the kernel log that are repeated at the end of all, so that whoever sees little of
# it sees these.
FIRST_TROUBLE = 14


def say(message):
    print(f"testbed: {message}", file=sys.stderr, flush=True)


def tool(*words):
    """Last line of what one of the testbed's own build scripts prints."""
    result = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    lines = result.stdout.split("\n")
    if result.returncode != 0 or len(lines) < 2:
        # It has said why.
        raise status.Failure(status.TESTBED, "")
    return lines[-2]


class Session:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.events = queue.Queue()
        self.pending = b""
        self.console = bytearray()
        self.log = bytearray()
        self.stalled = False
        self.status = None
        self.started = time.monotonic()
        self.deadline = self.started + options.timeout

    def detail(self, message):
        if self.options.verbose:
            say(f"{time.monotonic() - self.started:6.1f} s  {message}")

    def run(self):
        image = tool(f"{TESTBED}/image/build", "--kernel", self.options.kernel)
        kind = MACHINES[self.options.machine]
        # People who work on the emulator name the folder of their own build.
        program = os.environ.get(kind.own_build) or tool(f"{TESTBED}/{kind.build}")
        job.write_initramfs(image, self.options, f"{self.folder}/initramfs")
        if self.options.dir:
            job.write_directory(self.options.dir, f"{self.folder}/dir.squashfs")
        turn = turns.take(lambda: say("waiting for other emulated hosts to finish"))
        # Neither building nor waiting is the command's time.
        self.deadline = time.monotonic() + self.options.timeout
        self.machine = kind(program, image, self.folder, self.options)
        try:
            self.boot()
            self.follow()
            return self.verdict()
        finally:
            self.machine.stop()
            turn.close()

    # -- what the host sends ------------------------------------------------

    def sinks(self):
        """What to do with what arrives on each channel."""
        self.unpacker = None
        if self.options.out:
            self.unpacker = subprocess.Popen(
                ["tar", "-x", "-f", "-", "--no-same-owner", "-C", self.options.out],
                stdin=subprocess.PIPE)
        return {
            "events": self.on_event_bytes,
            "stdout": lambda data: self.pass_on(sys.stdout.buffer, data),
            "stderr": lambda data: self.pass_on(sys.stderr.buffer, data),
            "log": self.log.extend,
            "console": self.console.extend,
            "out": self.on_out,
        }

    def on_event_bytes(self, data):
        *lines, self.pending = (self.pending + data).split(b"\n")
        for line in lines:
            self.events.put(line.decode(errors="replace"))

    def on_out(self, data):
        if self.unpacker:
            self.pass_on(self.unpacker.stdin, data)

    @staticmethod
    def pass_on(stream, data):
        """A reader that went away must not stall the host: drop what it missed."""
        try:
            stream.write(data)
            stream.flush()
        except (BrokenPipeError, ValueError):
            pass

    def next_event(self, limit):
        """The next event, or None once the emulator has ended and no more can
        come. TIMEOUT when the limit passes."""
        while True:
            try:
                return self.events.get(timeout=0.05)
            except queue.Empty:
                self.look_for_stall()
            if self.machine.process.poll() is not None:
                self.machine.drain(GRACE)
                return self.events.get_nowait() if not self.events.empty() else None
            if time.monotonic() > limit:
                raise TimeoutError

    def look_for_stall(self):
        """Once the host says that a CPU stalls, asks the emulator what that CPU waits for. The
        host goes on, and may come to its end."""
        if not self.stalled and kernel_log.STALL.search(bytes(self.console)):
            self.stalled = True
            self.machine.ask_state()

    # -- the course of a run ------------------------------------------------

    def boot(self):
        self.machine.start(self.sinks())
        self.detail("emulator started")
        boot_limit = min(self.deadline, time.monotonic() + self.machine.boot_limit)
        try:
            event = self.next_event(boot_limit)
        except TimeoutError:
            self.hung(status.NO_BOOT, "the host did not boot in time")
        if event != "booted":
            self.died(status.NO_BOOT, "the host did not boot")
        self.detail("host booted")

    def follow(self):
        while True:
            try:
                event = self.next_event(self.deadline)
            except TimeoutError:
                self.hung(status.TIMEOUT, f"timeout after {self.options.timeout:g} s")
            if event is None:
                self.died(status.HOST_DIED, "the host died")
            self.detail(event)
            word, _, rest = event.partition(" ")
            if word == "failed":
                self.finish()
                self.module_failed(*rest.partition(" ")[::2])
            elif word == "exit":
                self.status = int(rest)
            elif word == "end":
                self.finish()
                return

    def finish(self):
        """Let the host power off and everything it sent arrive."""
        try:
            self.machine.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            say("the host did not power off by itself")
            self.machine.process.kill()
            self.machine.process.wait()
        self.machine.drain(GRACE)
        if self.unpacker:
            self.pass_on(self.unpacker.stdin, b"")
            self.unpacker.stdin.close()
            if self.unpacker.wait() != 0:
                say(f"what came back for {self.options.out} is incomplete")

    def died(self, code, message, ending=True):
        self.finish()
        raise status.Failure(code, "\n".join(filter(None, [
            message + "; its kernel log:", self.shown_log() or "(empty)",
            self.machine.complaint(), self.machine.ending() if ending else ""])))

    def hung(self, code, message):
        limit = GRACE if self.machine.provoke_panic() else 0
        try:
            self.machine.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.machine.process.kill()
        self.died(code, message, ending=False)

    def module_failed(self, module, said):
        lines = [f"module {module} did not load: {said.strip()}"]
        lines += kernel_log.about(self.kernel_text(), module, module.replace("_", "-"),
                                  "module", "kvm")
        raise status.Failure(status.NO_MODULE, "\n".join(lines))

    # -- the end ------------------------------------------------------------

    def kernel_text(self):
        return (bytes(self.log) + bytes(self.console)).decode(errors="replace").replace("\r", "")

    def shown_log(self):
        """The kernel log; without the boot unless that is of interest."""
        text = self.kernel_text()
        late = kernel_log.after_boot(text)
        early = self.options.verbose or kernel_log.complaints(text) != kernel_log.complaints(late)
        return (text if early else late).strip()

    def verdict(self):
        text = self.kernel_text()
        complaints = [] if self.options.allow_warnings else kernel_log.complaints(text)
        if self.options.verbose or complaints or self.status != 0:
            print(self.shown_log(), file=sys.stderr)
        if self.stalled:
            for line in self.machine.complaint().splitlines():
                say(line)
        known = kernel_log.known(text)
        if known:
            say(f"stock has warned {known} times of an interrupt window that another vCPU ended;"
                " that is a known fault of it")
        if complaints:
            say(f"the kernel log holds {len(complaints)} lines of trouble; it began so:")
            for line in kernel_log.first(text, FIRST_TROUBLE):
                say(line)
        self.detail(f"command ended with status {self.status}")
        return self.status or (status.LOG_WARNINGS if complaints else 0)


def interrupted(number, frame):
    raise KeyboardInterrupt


def main(arguments):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    folder = None
    try:
        options = option.parse(arguments)
        folder = tempfile.mkdtemp(prefix="vapic-run-")
        return Session(options, folder).run()
    except status.Failure as failure:
        if str(failure):
            say(failure)
        return failure.code
    except OSError as error:
        say(f"this machine does not let the testbed work: {error}")
        return status.TESTBED
    except KeyboardInterrupt:
        say("interrupted")
        return status.INTERRUPTED
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
