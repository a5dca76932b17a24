# SPDX-License-Identifier: GPL-2.0-only
#
# What a VM pays that is not accelerated because something inhibits it, as QEMU's default
# options do on AMD: figures, text and verdict.
#
# vapic must be no dearer there than stock with avic=1, nor than stock without AVIC, of which
# windows may differ by a tenth.

import json
import statistics

LABEL, COLUMN = 52, 14
# What KVM does for a window is the same every time; more than the least is the host's timer.
WINDOW = {"window": "an interrupt waits, exits, is injected", "window_locks": "locks it takes"}
ABOVE_AVIC0 = 1.1
GUEST = {"exits": "exits", "instructions": "instructions of host and guest"}


def window_rows(modes):
    """`modes` holds the steps of stock avic=0, stock avic=1 and vapic, in this order."""
    rows = []
    for name, title in WINDOW.items():
        cost = [mode[name]["ticks"]["min"] -
                (mode["nothing"]["ticks"]["median"] if name == "window" else 0)
                for mode in modes.values()]
        dear = cost[2] > cost[1] or cost[2] > cost[0] * ABOVE_AVIC0
        rows.append({"title": title, "stock_avic0": cost[0], "stock": cost[1], "vapic": cost[2],
                     "verdict": "slower" if dear else
                                "wins" if cost[2] < cost[1] else "same"})
    return rows


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
    with open(f"{raw}/guests/runs", encoding="utf-8") as file:
        runs = json.load(file)
    return {"window": window_rows({mode: steps["steps"] for mode, steps in amd["raw"].items()}),
            "guest": guest_rows(runs), "runs": runs}


def line(label, values):
    return (label.ljust(LABEL) + "".join(value.rjust(COLUMN) for value in values)).rstrip()


def text(figures):
    out = [line("AMD, a VM that is inhibited", ["stock avic=0", "stock avic=1", "vapic avic=1", ""]),
           "its interrupt window, least"]
    out += [line("  " + row["title"], [f"{row['stock_avic0']:,}", f"{row['stock']:,}",
                                       f"{row['vapic']:,}", row["verdict"]])
            for row in figures["window"]]
    out += [line(f"a default guest's hackbench, {figures['guest'][0]['pairs']} pairs",
                 ["stock", "vapic", "ratio", "95%", ""])]
    out += [line("  " + row["title"], [f"{row['stock']:,.0f}", f"{row['vapic']:,.0f}",
                                       f"{row['ratio']:.3f}", f"{row['low']:.3f}-{row['high']:.3f}",
                                       row["verdict"]])
            for row in figures["guest"]]
    return "\n".join(out)


def slower(figures):
    return [f"an inhibited VM: {row['title']}: {row['vapic']:,.0f}, stock {row['stock']:,.0f}"
            for row in figures["window"] + figures["guest"] if row["verdict"] == "slower"]
