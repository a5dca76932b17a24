# SPDX-License-Identifier: GPL-2.0-only
#
# The report as text for a terminal.

from vapic.demo import figures, rows

LABEL, COLUMN = 46, 15


def line(label, values):
    return label.ljust(LABEL) + "".join(value.rjust(COLUMN) for value in values)


def machine_text(title, report):
    titles = [mode["title"] for mode in report["modes"]]
    out = [f"{title}: {report['host']['cpu']}, {report['host']['cpus']} CPUs, emulated by"
           f" {report['emulator']}",
           f"kernel {report['kernel'].split()[2]}",
           "",
           line("", titles),
           line("", ["-" * len(title) for title in titles])]
    for section in rows.sections(report):
        out.append(f"{section.title}  ({section.note})")
        for depth, label, values in section.rows:
            out.append(line("  " * (depth + 1) + label, values))
        out.append("")
    return out + ([*rows.notes(report), ""] if rows.notes(report) else [])


def text(report):
    out = []
    for _, title, machine in figures.machines(report):
        out += machine_text(title, machine)
    out += [
        "Exits, IPIs and doorbells are the emulator's counts; exits per IPI leave out host interrupts.",
        "Ticks are of the round with the least median. Ticks and seconds are those of an emulated machine;",
        "on AMD they are longer when this one is busy, on Intel they count instructions: compare columns,",
        f"not machines. Measured on {report['machine']['cpu']}, {report['machine']['cores']} cores.",
        "",
    ]
    for check in report["checks"]:
        out.append(f"{'ok    ' if check['ok'] else 'NOT OK'}  {check['what']}  ({check['found']})")
    return "\n".join(out)
