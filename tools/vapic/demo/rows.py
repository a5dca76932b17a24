# SPDX-License-Identifier: GPL-2.0-only
#
# One machine's figures as rows, one column per mode, for the table on the terminal
# and the ones in the page alike.

SCENARIOS = {
    "unicast_running": "unicast to a running vCPU",
    "unicast_blocked": "unicast to a blocked vCPU",
    "logical_flat": "logical, flat",
    "logical_cluster": "logical, cluster",
    "broadcast": "broadcast to all others",
    "self": "self-IPI",
}

REASONS = {
    "npf": "nested page fault (APIC page and others)",
    "avic_incomplete_ipi": "IPI not completed (401h)",
    "avic_noaccel": "APIC access not accelerated (402h)",
    "hlt": "HLT",
    "intr": "interrupt of the host",
    "vintr": "window for a virtual interrupt",
    "msr": "MSR access (timer)",
    "ioio": "I/O port",
    "cpuid": "CPUID",
    "vmmcall": "hypercall",
    "pause": "PAUSE loop",
    "ept_violation": "EPT violation (APIC page and others)",
    "ept_misconfig": "access to a device",
    "apic_write": "APIC write left to KVM",
    "apic_access": "APIC access not virtualized",
    "external_interrupt": "interrupt of the host",
    "interrupt_window": "window for a virtual interrupt",
    "preemption_timer": "timer of the guest",
    "msr_read": "MSR read",
    "msr_write": "MSR write (timer)",
    "io_instruction": "I/O port",
    "pause_instruction": "PAUSE loop",
}

NOTES = {
    "kvm_amd": [],
    "kvm_intel": [
        "Intel's IPI virtualization is for physical unicasts alone: logical and broadcast IPIs exit with it",
        "as well, under stock and vapic. Notifications are those that arrive; a wakeup is one for a blocked vCPU.",
    ],
}

# Reasons below this share of every mode's exits become "other".
SMALL = 0.01


class Section:
    def __init__(self, title, note=""):
        self.title = title
        self.note = note
        self.rows = []

    def add(self, label, values, depth=0):
        """Values are text, a column each; a row without any is left out."""
        if any(value not in ("", "–") for value in values):
            self.rows.append((depth, label, values))


def ratio(value):
    return f"{value:.2f}"


def count(value):
    return f"{value:,}"


def reason_name(reason):
    return REASONS.get(reason, reason)


def notes(report):
    return NOTES[report["modes"][0]["module"]]


def is_intel(report):
    return report["modes"][0]["module"] == "kvm_intel"


def scenario_names(report):
    return [name for name in SCENARIOS
            if any(name in mode["ipis"] for mode in report["modes"])]


def guest_sizes(report):
    return sorted({size for mode in report["modes"] for size in mode["guests"]}, key=int)


def ipi_section(report, name):
    columns = [mode["ipis"].get(name) for mode in report["modes"]]
    first = next(column for column in columns if column)
    targets = f", {first['targets']} targets" if first["targets"] > 1 else ""
    section = Section(f"IPI: {SCENARIOS[name]}",
                      f"{first['ipis']} IPIs in {first['rounds']}"
                      f" round{'s' if first['rounds'] > 1 else ''}{targets}")

    def values(function):
        return [function(column) if column else "–" for column in columns]

    section.add("exits per IPI", values(lambda c: ratio(c["exits_per_ipi"])))
    reasons = sorted({reason for column in columns if column
                      for reason in column["exits_per_ipi_by_reason"]})
    for reason in reasons:
        section.add(reason_name(reason), values(
            lambda c, r=reason: ratio(c["exits_per_ipi_by_reason"][r])
            if r in c["exits_per_ipi_by_reason"] else "–"), depth=1)
    section.add("host interrupts per IPI", values(lambda c: ratio(c["host_interrupts_per_ipi"])))
    doorbells = "notifications" if is_intel(report) else "doorbells"
    section.add(f"{doorbells} per IPI", values(lambda c: ratio(c["doorbells_per_ipi"])))
    if any(column and column["wakeups_per_ipi"] for column in columns):
        section.add("wakeups by the processor per IPI",
                    values(lambda c: ratio(c["wakeups_per_ipi"])))
    section.add("ticks, least", values(lambda c: count(c["ticks"]["min"])))
    section.add("ticks, median", values(lambda c: count(c["ticks"]["median"])))
    section.add("ticks, p99", values(lambda c: count(c["ticks"]["p99"])))
    return section


def shown_reasons(guests):
    """Reasons that matter in some mode, most frequent first."""
    total, matter = {}, set()
    for guest in guests:
        for reason, number in guest["exits_by_reason"].items():
            total[reason] = total.get(reason, 0) + number
            if number >= SMALL * guest["exits"]:
                matter.add(reason)
    return sorted(matter, key=lambda reason: -total[reason])


def other_exits(guest, shown):
    return sum(number for reason, number in guest["exits_by_reason"].items()
               if reason not in shown)


def guest_section(report, size):
    columns = [mode["guests"].get(size) for mode in report["modes"]]
    runs = report["hackbench"]["runs"]
    section = Section(f"Linux guest, {size} vCPUs: hackbench {report['hackbench']['arguments']}",
                      f"{runs} runs; exits and IPIs while they ran")

    def values(function):
        return [function(column) if column else "–" for column in columns]

    section.add("seconds, median", values(
        lambda c: f"{c['median_seconds']:.3f}" if c["seconds"] else "not finished"))
    section.add("exits", values(lambda c: count(c["exits"])))
    shown = shown_reasons([column for column in columns if column])
    for reason in shown:
        section.add(reason_name(reason), values(
            lambda c, r=reason: count(c["exits_by_reason"].get(r, 0))), depth=1)
    section.add("other", values(lambda c: count(other_exits(c, shown))), depth=1)
    section.add("IPIs without exit", values(lambda c: count(c["ipis_without_exit"])))
    if is_intel(report):
        add_intel_ipis(section, report["modes"], size)
    else:
        add_amd_ipis(section, columns, values)
    return section


def add_amd_ipis(section, columns, values):
    section.add("IPIs that exited", values(lambda c: count(c["ipis_that_exited"])))
    ids = sorted({name for column in columns if column for name in column["incomplete_ipi"]})
    for name in ids:
        section.add(name.replace("_", " "), values(
            lambda c, n=name: count(c["incomplete_ipi"].get(n, 0))), depth=1)
    section.add("vapic: targets found asleep", values(
        lambda c: count(c["vapic"]["hackbench"]["woken"]) if "vapic" in c else "–"))
    section.add("doorbells by IPI", values(lambda c: count(c["doorbells"]["ipi"])))
    section.add("doorbells by KVM or vapic", values(lambda c: count(c["doorbells"]["msr"])))


def add_intel_ipis(section, modes, size):
    def values(function):
        """Without APICv an IPI exits like any access to the APIC page, uncounted."""
        return [function(mode["guests"][size])
                if mode["accelerated"] and size in mode["guests"] else "–" for mode in modes]

    def named(label, group, name, depth=0):
        section.add(label, values(lambda c: count(c[group].get(name, 0))), depth)

    section.add("IPIs that exited", values(lambda c: count(c["ipis_that_exited"])))
    named("notifications by IPIs", "notifications", "sent")
    named("wakeups by IPIs", "notifications", "sent.other")
    named("notifications taken without exit", "notifications", "taken")


def sections(report):
    return ([ipi_section(report, name) for name in scenario_names(report)] +
            [guest_section(report, size) for size in guest_sizes(report)])
