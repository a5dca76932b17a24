# SPDX-License-Identifier: GPL-2.0-only
#
# Command line of `testbed/run`: parsing, help, and checks that need no
# emulator, each failing with one line.

import argparse
import os

import status

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

KERNELS = []
for listed in ("kernels", "kernels.own"):
    with open(f"{REPOSITORY}/testbed/{listed}", encoding="ascii") as known:
        KERNELS += [line.split()[0] for line in known if not line.startswith("#")]

USAGE = "testbed/run amd|intel [OPTIONS] -- COMMAND..."

DESCRIPTION = """\
Boot an emulated AMD machine with AVIC, or an emulated Intel machine with APICv,
posted interrupts and IPI virtualization, under Debian's stock kernel, load stock
KVM and then vapic.ko, run COMMAND there as root, print what it prints, and
exit with its status. Nothing on this machine changes; the emulated one is
gone afterwards.
"""

EPILOG = f"""\
examples:
  testbed/run amd --stock --kvm avic=1 -- cat /sys/module/kvm_amd/parameters/avic
  testbed/run amd --vapic avic=1 -- sh -c 'cat /sys/kernel/vapic/*'
  testbed/run amd --stock -- guest-linux --smp 2 -- hackbench -p -g 2 -l 200
  testbed/run amd --stock -- /usr/lib/kselftests/kvm/xapic_state_test
  testbed/run intel --stock -- cat /sys/module/kvm_intel/parameters/enable_apicv
  testbed/run amd --dir . --out results -- sh -c 'cp /mnt/README* /out'

inside the machine:
  guest-linux               boots a Linux guest under QEMU with KVM (try --help)
  /usr/lib/kselftests/kvm/  Linux's own KVM selftests
  /mnt, /out                what --dir shows, and what --out brings back
  bash, hackbench, trace-cmd, qemu-system-x86_64, python3, ...

exit status: that of COMMAND, or
  {status.USAGE:3}  wrong options            {status.LOG_WARNINGS:3}  warnings (--allow-warnings)
  {status.NO_BOOT:3}  host did not boot        {status.TIMEOUT:3}  timeout
  {status.NO_MODULE:3}  a module did not load    {status.TESTBED:3}  testbed cannot work here
  {status.HOST_DIED:3}  host crashed             {status.INTERRUPTED:3}  interrupted
"""


# Where the machines differ. The Intel one is slower by far.
DEFAULTS = {
    "amd": {"memory": 3072, "smp": 4, "timeout": 600},
    "intel": {"memory": 1536, "smp": 2, "timeout": 1800},
}


def default(name):
    values = {machine: DEFAULTS[machine][name] for machine in DEFAULTS}
    return "(default: " + ", ".join(f"{machine} {value}"
                                    for machine, value in values.items()) + ")"


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise status.Failure(status.USAGE, f"{message} (try testbed/run --help)")


def make_parser():
    parser = Parser(prog="testbed/run", usage=USAGE, description=DESCRIPTION,
                    epilog=EPILOG, allow_abbrev=False,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("machine", choices=list(DEFAULTS), help="which machine to emulate")
    parser.add_argument("--kernel", metavar="NAME", choices=KERNELS,
                        default=os.environ.get("VAPIC_KERNEL") or KERNELS[0],
                        help="stock Debian kernel to boot (default: %(default)s): " +
                             ", ".join(KERNELS))
    parser.add_argument("--smp", metavar="N", type=int,
                        help=f"number of CPUs {default('smp')}")
    parser.add_argument("--cpu", metavar="FEATURE", action="append", default=[],
                        help="change the processor: avic=off, family=23, or what else "
                             "QEMU's -cpu takes; on Intel model=NAME, +NAME or -NAME, with "
                             "Bochs's names of models and features; may be repeated")
    parser.add_argument("--iommu", action="store_true",
                        help="amd: with an IOMMU that posts interrupts, and QEMU's device edu "
                             "to assign to a guest")
    parser.add_argument("--memory", metavar="MIB", type=int,
                        help=f"memory in MiB {default('memory')}")
    parser.add_argument("--stock", action="store_true",
                        help="stock KVM only: do not load vapic.ko")
    parser.add_argument("--kvm", metavar="PARAMS", default="",
                        help="parameters for kvm_amd or kvm_intel, such as 'avic=1 npt=1'")
    parser.add_argument("--vapic", metavar="PARAMS", default="",
                        help="parameters for vapic.ko, such as avic=1")
    parser.add_argument("--module", metavar="FILE",
                        default=os.path.join(REPOSITORY, "vapic.ko"),
                        help="the vapic.ko to load (default: the repository's)")
    parser.add_argument("--append", metavar="WORDS", default="",
                        help="more words for the kernel's command line, such as slub_debug=FZP")
    parser.add_argument("--dir", metavar="DIR",
                        help="show DIR to COMMAND, read-only, at /mnt")
    parser.add_argument("--out", metavar="DIR",
                        help="put what COMMAND writes below /out into DIR")
    parser.add_argument("--icount", action="store_true",
                        help="one thread, and time counts instructions: repeatable, slower; "
                             "always so on Intel")
    parser.add_argument("--seed", metavar="N", type=int,
                        help="Intel: interleave the CPUs in another way, the same for the same N")
    parser.add_argument("--timeout", metavar="S", type=float,
                        help=f"give up after S seconds {default('timeout')}")
    parser.add_argument("--allow-warnings", action="store_true",
                        help="do not fail because the kernel log holds a warning")
    parser.add_argument("--verbose", action="store_true",
                        help="print the kernel log and what the testbed does")
    return parser


def parse(arguments):
    """Options with absolute paths, or a Failure with one line."""
    if "--" in arguments:
        split = arguments.index("--")
        own, command = arguments[:split], arguments[split + 1:]
    else:
        own, command = arguments, []
    options, strays = make_parser().parse_known_args(own)
    if strays:
        kind = "unknown option" if strays[0].startswith("-") else "COMMAND goes after --:"
        raise status.Failure(status.USAGE, f"{kind} '{strays[0]}' (try testbed/run --help)")
    options.command = command
    for name, value in DEFAULTS[options.machine].items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    check(options)
    return options


def check(options):
    def need(condition, message):
        if not condition:
            raise status.Failure(status.USAGE, message)

    need(options.command, "no COMMAND given; it goes after --")
    need(1 <= options.smp <= 255, f"--smp {options.smp}: must be 1 to 255")
    need(options.memory >= 1024 and options.memory % 2 == 0,
         f"--memory {options.memory}: must be even, and 1024 at least")
    need(options.seed is None or options.machine == "intel",
         "--seed works on intel only: the CPUs of amd run on this machine's own")
    need(options.seed is None or 0 <= options.seed < 1 << 32,
         f"--seed {options.seed}: must be 0 to {(1 << 32) - 1}")
    need(not options.iommu or options.machine == "amd",
         "--iommu works on amd only: the Intel machine has no IOMMU")
    if options.machine == "intel":
        for feature in options.cpu:
            need(feature.startswith(("model=", "+", "-")),
                 f"--cpu {feature}: on intel it is model=NAME, +NAME or -NAME")
    need(options.timeout > 0, "--timeout must be more than 0 seconds")
    if options.dir is not None:
        options.dir = os.path.abspath(options.dir)
        need(os.path.isdir(options.dir), f"--dir {options.dir}: no such directory")
    if options.out is not None:
        options.out = os.path.abspath(options.out)
        try:
            os.makedirs(options.out, exist_ok=True)
        except OSError as error:
            need(False, f"--out {options.out}: {error.strerror}")
    if options.stock:
        need(not options.vapic, "--vapic has no meaning with --stock")
    else:
        options.module = os.path.abspath(options.module)
        need(os.path.isfile(options.module),
             f"no module at {options.module}: run make first, or use --stock")
