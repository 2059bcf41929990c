"""Thompson sampling in closed form: how likely a draw from each posterior is the greatest of all.

A sampler draws from every posterior and takes the greatest; which one that is has a probability, and an
order's propensity is that probability. It is integrated here instead of being estimated from draws: exact to
the grid, the same every time, and a propensity that can be divided by.
"""

import math
from collections.abc import Mapping

from ironclaw_contracts.ids import Id
from ironclaw_learning.intervals import rounded

_GRID = 1_000

Posterior = tuple[float, float]
"""The parameters of a Beta distribution, at least 1 each."""


def chances_best(posteriors: Mapping[Id, Posterior]) -> dict[Id, float]:
    """Return for each profile the probability that its draw is the greatest; they sum to 1."""
    densities = {name: _density(posterior) for name, posterior in posteriors.items()}
    below = {name: _cumulated(density) for name, density in densities.items()}
    chances = {
        name: sum(
            density[i] * math.prod(below[other][i] for other in below if other != name) for i in range(_GRID)
        )
        for name, density in densities.items()
    }
    total = sum(chances.values())
    return {name: chance / total for name, chance in chances.items()}


def with_floor(chances: Mapping[Id, float], names: list[Id], floor: float) -> dict[Id, float]:
    """Return shares that sum to 1: `floor` for each of the names, the rest by chance.

    Names without a chance keep their floor. The greatest share takes what rounding leaves.
    """
    floor = min(floor, 0.5 / len(names))
    rest = 1 - floor * len(names)
    shares = {name: rounded(floor + rest * chances.get(name, 0.0)) for name in names}
    favourite = max(sorted(shares), key=lambda name: shares[name])
    shares[favourite] = rounded(1 - sum(share for name, share in shares.items() if name != favourite))
    return shares


def _density(posterior: Posterior) -> list[float]:
    """Return a Beta density at the midpoints of the grid, as masses that sum to 1."""
    a, b = posterior
    logs = [
        (a - 1) * math.log((i + 0.5) / _GRID) + (b - 1) * math.log(1 - (i + 0.5) / _GRID)
        for i in range(_GRID)
    ]
    highest = max(logs)
    masses = [math.exp(log - highest) for log in logs]
    total = sum(masses)
    return [mass / total for mass in masses]


def _cumulated(masses: list[float]) -> list[float]:
    """Return the distribution function at the midpoints: half of a cell's own mass lies below its middle."""
    found: list[float] = []
    before = 0.0
    for mass in masses:
        found.append(before + mass / 2)
        before += mass
    return found
