# SPDX-License-Identifier: GPL-2.0-only
#
# What the figures must show for the demo to succeed. Each check says what must
# hold, whether it does, and what was found.
#
# Nothing is asked of Intel's logical and broadcast IPIs: they exit in any mode.

from vapic.demo import figures
from vapic.run.modes import MACHINES


def check(what, okay, found):
    return {"what": what, "ok": bool(okay), "found": found}


def self_ipi_checks(mode, name):
    own = mode["ipis"].get("self")
    if not own or not mode["accelerated"]:
        return []
    return [check(f"{name}: 0.00 exits per self-IPI", own["exits_per_ipi"] < 0.005,
                  f"{own['exits_per_ipi']:.4f}")]


def ipi_checks(mode, name):
    running = mode["ipis"].get("unicast_running")
    if not running:
        return [check(f"{name}: unicast to a running vCPU was measured", False, "it was not")]
    exits = running["exits_per_ipi"]
    results = [check(f"{name}: APIC accelerated: {'yes' if mode['accelerated'] else 'no'}",
                     running["accelerated"] == mode["accelerated"],
                     "yes" if running["accelerated"] else "no")]
    if not mode["ipis_exit"]:
        results.append(check(f"{name}: 0.00 exits per unicast IPI to a running vCPU",
                             exits < 0.005, f"{exits:.4f}"))
        results.append(check(f"{name}: these IPIs went through the emulated processor",
                             running["without_exit_per_ipi"] >= 0.995,
                             f"{running['without_exit_per_ipi']:.4f} of each"))
    else:
        results.append(check(f"{name}: at least 1.00 exits per unicast IPI to a running vCPU",
                             exits >= 1, f"{exits:.4f}"))
    return results + self_ipi_checks(mode, name)


def guest_checks(mode, name, cpus, guest, runs):
    what = f"{name}: Linux guest with {cpus} vCPUs"
    results = [check(f"{what} finishes hackbench",
                     guest["status"] == 0 and len(guest["seconds"]) == runs,
                     f"status {guest['status']}, {len(guest['seconds'])} of {runs} runs")]
    if not mode["ipis_exit"]:
        results.append(check(f"{what} sends IPIs without exits",
                             guest["ipis_without_exit"] > 0, f"{guest['ipis_without_exit']}"))
    vapic = guest.get("vapic")
    if not vapic:
        return results
    active = [vcpu for vcpu in vapic["vcpus"] if vcpu["active"]]
    results.append(check(f"{what}: every vCPU is accelerated", len(active) == int(cpus),
                         "; ".join(f"vCPU {vcpu['vcpu']}: {vcpu['inhibits']}"
                                   for vcpu in vapic["vcpus"] if not vcpu["active"])
                         or f"{len(active)} of {cpus}"))
    # Of those that an exit completes, what hardware leaves to KVM for good reason.
    expected, left = (("mode", guest["ipis_refused"]) if mode["module"] == "kvm_intel" else
                      ("not_running", guest["incomplete_ipi"]))
    reason = ("unless they are physical unicasts" if mode["module"] == "kvm_intel" else
              "only for targets that do not run")
    others = {name: count for name, count in left.items() if name != expected}
    results.append(check(f"{what}: hackbench's IPIs exit {reason}", not others,
                         ", ".join(f"{name}: {count}" for name, count in others.items())
                         or f"{left.get(expected, 0)} such exits"))
    pairs = vapic["exits_in_life"]
    results.append(check(f"{what}: emulator and vapic count the same APIC exits from boot to end",
                         all(pair["emulator"] == pair["vapic"] for pair in pairs.values()),
                         ", ".join(f"{name} {pair['emulator']}/{pair['vapic']}"
                                   for name, pair in pairs.items() if any(pair.values()))
                         + f"; woken: {vapic['life'].get('woken', 0)}"))
    return results


def machine_checks(machine, title, report):
    results = []
    measured = [mode["name"] for mode in report["modes"]]
    for mode in MACHINES[machine]:
        if mode["name"] not in measured:
            results.append(check(f"{title}, {mode['title']}: was measured", False, "it was not"))
    for mode in report["modes"]:
        name = f"{title}, {mode['title']}"
        results += ipi_checks(mode, name)
        for cpus, guest in mode["guests"].items():
            results += guest_checks(mode, name, cpus, guest, report["hackbench"]["runs"])
    return results


def checks(report):
    return [found for machine in figures.machines(report) for found in machine_checks(*machine)]
