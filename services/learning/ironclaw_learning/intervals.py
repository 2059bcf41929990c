"""Intervals for a rate. Counts may be fractions: outcomes that fade count less than one each."""

import math

from ironclaw_contracts.policy import Interval

Z = 1.959964
"""The standard normal's 97.5 % quantile: two-sided 95 %."""

_DIGITS = 6


def rounded(value: float) -> float:
    """Return a figure as documents hold it: the last bits of a float say nothing."""
    return round(value, _DIGITS)


def wilson(successes: float, n: float, z: float = Z) -> Interval:
    """Return Wilson's score interval (JASA 22, 1927); it is all of [0, 1] when there is nothing to go by."""
    if n <= 0:
        return Interval(0.0, 1.0)
    rate = min(1.0, successes / n)
    center = rate + z * z / (2 * n)
    spread = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return Interval(
        rounded(max(0.0, (center - spread) / scale)), rounded(min(1.0, (center + spread) / scale))
    )
