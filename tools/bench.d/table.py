# SPDX-License-Identifier: GPL-2.0-only
#
# The report as text for a terminal.

LABEL, COLUMN = 42, 14
COLUMNS = {
    "amd": ["stock avic=0", "stock avic=1", "vapic avic=1", "vapic/stock", ""],
    "intel": ["", "stock ipiv=1", "vapic ipiv=1", "vapic/stock", ""],
}
HEADINGS = {
    "step": "single steps of KVM",
    "apic": "what KVM asks of an APIC and does with its state, least",
    "wake": "single steps of KVM that wake a thread",
    "less": "the same less the wake-up of a thread",
    "pair": "single steps of KVM between two CPUs, mean",
    "operation": "whole operations that hold them",
}


def line(label, values):
    return (label.ljust(LABEL) + "".join(value.rjust(COLUMN) for value in values)).rstrip()


def row(path, noise):
    """`noise` is that of the heading."""
    row_noise = f" ({path['noise']:.0%})" if path["noise"] != noise else ""
    return line("  " + path["title"], [
        f"{path['stock_avic0']:,}" if "stock_avic0" in path else "",
        f"{path['stock']:,}", f"{path['vapic']:,}", f"{path['ratio']:.3f}", path["verdict"]]) + row_noise


def machine_text(name, title, report):
    out = [f"{title}: kernel {report['kernel'].split()[2]}, emulated by {report['emulator']};"
           " time counts instructions", "",
           line(f"instructions (of {report['samples']})", COLUMNS[name])]
    kind = noise = None
    for path in report["paths"]:
        if path["kind"] != kind:
            kind, noise = path["kind"], path["noise"]
            out.append(f"{HEADINGS[kind]} (noise {path['noise']:.1%})")
        out.append(row(path, noise))
    names = {word: [path["title"].strip() for path in report["paths"]
                    if path["kind"] != "operation" and path["verdict"] == word]
             for word in ("wins", "same", "slower")}
    out += ["", f"ratio and verdict compare vapic with {COLUMNS[name][1]}"]
    out += [f"vapic {word}: {', '.join(titles)}" for word, titles in
            (("wins", names["wins"]), ("is as fast", names["same"]), ("is slower", names["slower"]))
            if titles]
    return out


def text(report):
    return "\n".join(machine_text("amd", "AMD", report) + [""]
                     + machine_text("intel", "Intel", report["intel"]))
