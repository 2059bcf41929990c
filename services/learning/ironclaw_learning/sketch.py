"""Quantiles of durations in bounded memory: the DDSketch of Masson, Rim and Lee (VLDB 2019), to 1 %.

A value falls into the bin `ceil(log_gamma(x))`; a bin's answer is at most 1 % off whatever lies in it.
Durations are clamped to a millisecond and a week, so there are about a thousand bins at most; counts are
integers, so that folding the same events gives the same sketch, byte for byte.
"""

import math

_ACCURACY = 0.01
_GAMMA = (1 + _ACCURACY) / (1 - _ACCURACY)
_LOG_GAMMA = math.log(_GAMMA)
_SECONDS_MIN, _SECONDS_MAX = 0.001, 604_800.0

Bins = dict[int, int]


def add(bins: Bins, seconds: float) -> None:
    """Count one duration."""
    clamped = min(max(seconds, _SECONDS_MIN), _SECONDS_MAX)
    index = math.ceil(math.log(clamped) / _LOG_GAMMA)
    bins[index] = bins.get(index, 0) + 1


def quantile(bins: Bins, q: float) -> float:
    """Return the q-quantile in seconds, within 1 %. Raises ValueError for a sketch without values."""
    total = sum(bins.values())
    if total == 0:
        raise ValueError("no values")
    rank = q * (total - 1)
    seen = 0
    for index in sorted(bins):
        seen += bins[index]
        if seen > rank:
            return 2 * _GAMMA**index / (_GAMMA + 1)
    raise AssertionError("unreachable")
