# SPDX-License-Identifier: GPL-2.0-only
#
# What a VM pays that is not accelerated because something inhibits it, as QEMU's default
# options do on AMD: figures, text and verdict.
#
# vapic must be no dearer there than stock with avic=1, nor than stock without AVIC, of which
# windows may differ by a tenth.

import json
import statistics

from vapic.bench import cost, figures

LABEL, COLUMN = 52, 14
ABOVE_AVIC0 = 1.1
GUEST = {"exits": "exits", "instructions": "instructions of host and guest"}


def is_dear(plain, stock, vapic):
    return vapic > stock or vapic > plain * ABOVE_AVIC0


def window_cycles(measured, scale=1):
    return [cost.cycles("amd", window.instructions, window.counts, scale) for window in measured]


def window_rows(modes):
    """`modes` holds the steps of stock avic=0, stock avic=1 and vapic, in this order.

    What KVM does for a window is the same every time; more than the least is the host's timer.
    Modelled cycles decide. To take and to give back a mutex, or a semaphore, is a locked operation
    each, and to make a request is one."""
    measured = [figures.step_alone(mode, "window", "min") for mode in modes.values()]
    cycles = window_cycles(measured)
    dear = is_dear(*cycles)
    sure = all(is_dear(*window_cycles(measured, scale)) == dear for scale in (0.5, 2))
    rows = (("instructions", [window.instructions for window in measured], {}),
            ("modelled cycles", cycles, {
                "verdict": "slower" if dear else "wins" if cycles[2] < cycles[1] else "same",
                "sure": sure}),
            ("locked operations", [window.counts["locked"] for window in measured], {}))
    return [{"title": title, "stock_avic0": plain, "stock": stock, "vapic": vapic, **verdict}
            for title, (plain, stock, vapic), verdict in rows]


def median_interval(values):
    """The median and where it lies with 95% confidence, by rank alone."""
    ordered, total = sorted(values), len(values)
    below, ways, tail = 0, 1, 0.0
    while tail + ways / 2 ** total <= 0.025:
        tail += ways / 2 ** total
        ways = ways * (total - below) // (below + 1)
        below += 1
    low = max(below - 1, 0)
    return statistics.median(ordered), ordered[low], ordered[total - 1 - low]


def guest_rows(runs):
    """Of pairs: the n-th run under vapic with the n-th under each stock mode."""
    plain, stock, vapic = runs.values()
    rows = []
    for name, title in GUEST.items():
        for other, label in ((plain, "stock avic=0"), (stock, "stock avic=1")):
            ratio, low, high = median_interval(
                [mine[name] / theirs[name] for mine, theirs in zip(vapic, other)])
            rows.append({
                "title": f"{title}, to {label}", "pairs": len(vapic),
                "stock": statistics.median(run[name] for run in other),
                "vapic": statistics.median(run[name] for run in vapic),
                "ratio": ratio, "low": low, "high": high,
                "verdict": "slower" if low > 1 else "wins" if high < 1 else "same"})
    return rows


def report(raw, amd):
    with open(f"{raw}/amd-guests/runs", encoding="utf-8") as file:
        runs = json.load(file)
    return {"window": window_rows({mode: steps["steps"] for mode, steps in amd["raw"].items()}),
            "guest": guest_rows(runs), "runs": runs}


def line(label, values):
    return (label.ljust(LABEL) + "".join(value.rjust(COLUMN) for value in values)).rstrip()


def text(found):
    out = [line("AMD, a VM that is inhibited", ["stock avic=0", "stock avic=1", "vapic avic=1", ""]),
           "an interrupt waits for its window, exits, is injected; least"]
    out += [line("  " + row["title"], [f"{row['stock_avic0']:,}", f"{row['stock']:,}",
                                       f"{row['vapic']:,}", row.get("verdict", "") +
                                       ("" if row.get("sure", True) else " (?)")])
            for row in found["window"]]
    out += [line(f"a default guest's hackbench, {found['guest'][0]['pairs']} pairs",
                 ["stock", "vapic", "ratio", "95%", ""])]
    out += [line("  " + row["title"], [f"{row['stock']:,.0f}", f"{row['vapic']:,.0f}",
                                       f"{row['ratio']:.3f}", f"{row['low']:.3f}-{row['high']:.3f}",
                                       row["verdict"]])
            for row in found["guest"]]
    return "\n".join(out)


def slower(found):
    return [f"an inhibited VM: {place}: {row['title']}: {row['vapic']:,.0f}, stock {row['stock']:,.0f}"
            for place in ("window", "guest") for row in found[place]
            if row.get("verdict") == "slower"]
