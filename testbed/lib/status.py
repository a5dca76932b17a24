# SPDX-License-Identifier: GPL-2.0-only
#
# Exit codes of `testbed/run` beside those of the command, and the one way in
# which anything here gives up.

USAGE = 2
NO_BOOT = 120
NO_MODULE = 121
HOST_DIED = 122
LOG_WARNINGS = 123
TIMEOUT = 124
TESTBED = 125
INTERRUPTED = 130


class Failure(Exception):
    """One clear line for the user, and the exit code that goes with it."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code
