# SPDX-License-Identifier: GPL-2.0-only
#
# The report as text for a terminal.

LABEL, COLUMN, NARROW = 42, 14, 10
COLUMNS = {
    "amd": ["stock avic=0", "stock avic=1", "vapic avic=1", "vapic/stock", ""],
    "intel": ["", "stock ipiv=1", "vapic ipiv=1", "vapic/stock", ""],
}
# Modelled; after them what was counted, where it differs.
CYCLES = ["stock", "vapic", "ratio"]
HEADINGS = {
    "step": "single steps of KVM",
    "apic": "what KVM asks of an APIC and does with its state, least",
    "stock": "the same, left to stock: no verdict on what is one code",
    "wake": "single steps of KVM that wake a thread",
    "less": "the same less the wake-up of a thread",
    "pair": "single steps of KVM between two CPUs, mean",
    "operation": "whole operations that hold them",
}


def line(label, values, cycles=("", "", ""), rest=""):
    return (label.ljust(LABEL) + "".join(value.rjust(COLUMN) for value in values)
            + "".join(value.rjust(NARROW) for value in cycles) + "  " + rest).rstrip()


def differences(path):
    """Of the counts: stock's, and vapic's."""
    counts = path.get("counts")
    if not counts:
        return []
    return [f"{kind} {count} > {counts['vapic'][kind]}" for kind, count in counts["stock"].items()
            if count != counts["vapic"][kind]]


def row(path, noise):
    """`noise` is that of the heading."""
    rest = differences(path)
    if path["noise"] != noise:
        rest.insert(0, f"({path['noise']:.0%})")
    cycles = path.get("cycles")
    return line("  " + path["title"], [
        f"{path['stock_avic0']:,}" if "stock_avic0" in path else "",
        f"{path['stock']:,}", f"{path['vapic']:,}", f"{path['ratio']:.3f}",
        path["verdict"] + ("" if path.get("sure", True) else " (?)")],
        [f"{cycles['stock']:,}", f"{cycles['vapic']:,}", f"{path['cycles_ratio']:.3f}"] if cycles else
        ["", "", ""], ", ".join(rest))


def hackbench_text(found):
    return (f"hackbench {found['arguments']} in a Linux guest, {found['pairs']} pairs: stock"
            f" {found['stock']:.4f} s, vapic {found['vapic']:.4f} s, difference"
            f" {found['difference']:+.4f} s, with 95 % confidence {found['low']:+.4f} to"
            f" {found['high']:+.4f} s (noise {found['noise']:.0%}): {found['verdict']}")


def machine_text(name, title, report):
    out = [f"{title}: kernel {report['kernel'].split()[2]}, emulated by {report['emulator']};"
           " time counts instructions", "",
           line("", [""] * 5, ["cycles,", "modelled", ""], "counted: stock > vapic"),
           line(f"instructions (of {report['samples']})", COLUMNS[name], CYCLES)]
    kind = noise = None
    for path in report["paths"]:
        if path["kind"] != kind:
            kind, noise = path["kind"], path["noise"]
            out.append(f"{HEADINGS[kind]} (noise {path['noise']:.1%})")
        out.append(row(path, noise))
    names = {word: [path["title"].strip() for path in report["paths"]
                    if path["kind"] != "operation" and path["verdict"] == word]
             for word in ("wins", "same", "slower")}
    out += ["", hackbench_text(report["hackbench"]), "",
            f"ratios and verdict compare vapic with {COLUMNS[name][1]}; the verdict is by cycles where"
            " there are some, with (?) if it is another with prices half or twice as high"]
    out += [f"vapic {word}: {', '.join(titles)}" for word, titles in
            (("wins", names["wins"]), ("is as fast", names["same"]), ("is slower", names["slower"]))
            if titles]
    return out


def slower(report):
    """A line for each thing in which vapic is."""
    out = [f"{path['title']}: {path['vapic']} instructions, stock {path['stock']}"
           + (f"; {path['cycles']['vapic']} cycles, stock {path['cycles']['stock']}"
              if "cycles" in path else "")
           for path in report["paths"] if path["verdict"] == "slower"]
    if report["hackbench"]["verdict"] == "slower":
        out.append(hackbench_text(report["hackbench"]))
    return out


def text(report):
    return "\n".join(machine_text("amd", "AMD", report) + [""]
                     + machine_text("intel", "Intel", report["intel"]))
