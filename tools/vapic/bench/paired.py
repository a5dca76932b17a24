# SPDX-License-Identifier: GPL-2.0-only
#
# Paired runs: is vapic slower than stock, and how sure is that?

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Sequence

# The two-sided 95 % point of Student's t by degrees of freedom; in between, the one of fewer,
# so that an interval is too wide rather than too narrow.
T_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262,
        10: 2.228, 12: 2.179, 15: 2.131, 20: 2.086, 25: 2.060, 29: 2.045, 40: 2.021, 60: 2.000}


@dataclass(frozen=True)
class Comparison:
    """Of means; the interval is of the mean difference, vapic less stock."""
    pairs: int
    stock: float
    vapic: float
    difference: float
    low: float
    high: float
    # A share of stock's mean; a difference counts only beyond it.
    noise: float
    verdict: str


def t_95(freedom: int) -> float:
    return T_95[max(known for known in T_95 if known <= freedom)]


def compare(stock: Sequence[float], vapic: Sequence[float], noise: float) -> Comparison:
    """Of as many seconds of the one as of the other, in pairs."""
    assert len(stock) == len(vapic) >= 2
    differences = [ours - theirs for theirs, ours in zip(stock, vapic)]
    mean = statistics.fmean(differences)
    margin = (t_95(len(differences) - 1) * statistics.stdev(differences) /
              math.sqrt(len(differences)))
    low, high = mean - margin, mean + margin
    allowed = noise * statistics.fmean(stock)
    return Comparison(
        pairs=len(differences),
        stock=statistics.fmean(stock),
        vapic=statistics.fmean(vapic),
        difference=mean,
        low=low,
        high=high,
        noise=noise,
        verdict="slower" if low > allowed else "wins" if high < -allowed else "same",
    )
