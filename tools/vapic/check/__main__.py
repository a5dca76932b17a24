# SPDX-License-Identifier: GPL-2.0-only
#
# `make check` from start to end: build, run the tests of the stages in lanes, and say what they
# came to. Prints a line for each test, TAP-like, and closes with 'N passed, N failed, N skipped'.
# Logs are in build/check/.
#
# usage: check [STAGE...]     those of stages.py

from __future__ import annotations

import argparse
import os
import shutil
import subprocess

from vapic.check import mnt, stages, tap
from vapic.check.runner import Runner
from vapic.files import TOP
from vapic.run import build, steps

OUT = TOP / "build/check"
# Besides those that building takes.
PACKAGES = ("clang-format", "clang-tidy", "sparse", "shellcheck", "libgtest-dev", "libgmock-dev",
            "python3", "mypy", "flake8", "clang-14", "libclang-rt-14-dev",
            "coccinelle", "libpython3.11", "libncurses-dev", "nlohmann-json3-dev", "spin", "tcc")


def arguments() -> tuple[list[str], bool]:
    """The stages, in the order in which they run, and whether somebody chose them."""
    usual = [stage for stage in stages.STAGES if stage not in stages.ONLY_IF_NAMED]
    parser = argparse.ArgumentParser(prog="tools/check", allow_abbrev=False)
    parser.add_argument("stages", nargs="*", metavar="STAGE",
                        help=f"run only these: {', '.join(stages.STAGES)} (default: all but"
                             f" {', '.join(stages.ONLY_IF_NAMED)})")
    asked = parser.parse_args().stages
    for stage in asked:
        if stage not in stages.STAGES:
            parser.error(f"no stage '{stage}': {', '.join(stages.STAGES)}")
    wanted = {*(asked or usual)}
    wanted |= {stages.NEEDED[stage] for stage in wanted if stage in stages.NEEDED}
    return [stage for stage in stages.STAGES if stage in wanted], bool(asked)


def prepare(runner: Runner) -> None:
    """Build all that is tested."""
    runner.say("packages, emulator, kernel, image, module, selftests")
    if subprocess.run(["tools/lib/packages", f"[1/{build.COUNT}]", *PACKAGES]).returncode != 0:
        raise steps.Failed("packages")
    runner.headers = build.everything(steps.Board(build.COUNT)).headers


def run_tests(runner: Runner, wanted: list[str]) -> None:
    """What needs no host does not wait for what hosts need."""
    here = [stage for stage in wanted if stage in stages.HERE]
    on_hosts = [stage for stage in wanted if stage not in stages.HERE]
    for lane in stages.lanes(here):
        runner.beside(lane)
    if on_hosts:
        mnt.stage(runner)
    for lane in stages.lanes(on_hosts):
        runner.beside(lane)
    runner.wait()


def run() -> int:
    os.chdir(TOP)
    wanted, chosen = arguments()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    try:
        with Runner(OUT, lanes=len(os.sched_getaffinity(0))) as runner:
            if not chosen:
                runner.say("all takes some 65 minutes on 2 CPUs; with nothing in the cache,"
                           " a quarter of an hour more")
            prepare(runner)
            run_tests(runner, wanted)
    except steps.Failed:
        print("not ok preparation")
        return 1
    for line in tap.lists(runner.results):
        print(line)
    runner.say("done")
    print(tap.count(runner.results))
    return 0 if tap.passed(runner.results) else 1


def main() -> None:
    steps.run_program(run)


if __name__ == "__main__":
    main()
