"""The statistics, each against what it stands for."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ironclaw_learning.intervals import Z, wilson
from ironclaw_learning.learned import TaskMemory
from ironclaw_learning.offpolicy import doubly_robust, inverse_propensity, mean, shift
from ironclaw_learning.sketch import add, quantile
from ironclaw_learning.thompson import chances_best, with_floor

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no failure."""


@UNTIMED
@given(
    st.lists(st.floats(0.001, 600_000), min_size=1, max_size=200), st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0])
)
def test_given_durations_when_sketched_then_a_quantile_is_within_one_percent(
    values: list[float], q: float
) -> None:
    bins: dict[int, int] = {}
    for value in values:
        add(bins, value)
    true = sorted(values)[int(q * (len(values) - 1))]
    assert quantile(bins, q) == pytest.approx(true, rel=0.0101)


def test_given_any_number_of_durations_when_sketched_then_the_sketch_stays_small() -> None:
    bins: dict[int, int] = {}
    numbers = random.Random(1)
    for _ in range(50_000):
        add(bins, 10 ** numbers.uniform(-6, 9))
    assert len(bins) <= 1_013 and sum(bins.values()) == 50_000


def test_given_counts_when_the_interval_is_taken_then_it_is_wilsons() -> None:
    # Newcombe (1998), table I: 81 of 263, and 0 of 20.
    assert wilson(81, 263).low == pytest.approx(0.2553, abs=1e-4)
    assert wilson(81, 263).high == pytest.approx(0.3662, abs=1e-4)
    assert wilson(0, 20).low == 0.0
    assert wilson(0, 20).high == pytest.approx(0.1611, abs=1e-4)
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)


def test_given_posteriors_when_the_chance_to_be_best_is_integrated_then_draws_agree() -> None:
    posteriors = {"a": (9.0, 3.0), "b": (40.0, 20.0), "c": (2.0, 5.0)}
    numbers = random.Random(2)
    wins = dict.fromkeys(posteriors, 0)
    for _ in range(20_000):
        drawn = {name: numbers.betavariate(a, b) for name, (a, b) in posteriors.items()}
        wins[max(drawn, key=lambda name: drawn[name])] += 1
    chances = chances_best(posteriors)
    assert sum(chances.values()) == pytest.approx(1)
    for name, won in wins.items():
        assert chances[name] == pytest.approx(won / 20_000, abs=0.02)


@UNTIMED
@given(st.integers(1, 12), st.floats(0, 0.2), st.data())
def test_given_chances_when_floored_then_shares_sum_to_one_and_nobody_starves(
    count: int, floor: float, data: st.DataObject
) -> None:
    names = [f"p{n}" for n in range(count)]
    weights = data.draw(st.lists(st.floats(0.001, 1), min_size=count, max_size=count))
    chances = {name: weight / sum(weights) for name, weight in zip(names, weights, strict=True)}
    shares = with_floor(chances, names, floor)
    assert sum(shares.values()) == pytest.approx(1, abs=1e-9)
    assert min(shares.values()) >= min(floor, 0.5 / count) - 1e-5


def logged(seed: int, count: int, shares: dict[str, float], rates: dict[str, float]) -> TaskMemory:
    """Outcomes of orders that were routed by shares."""
    numbers = random.Random(seed)
    task = TaskMemory()
    for _ in range(count):
        name = numbers.choices(list(shares), list(shares.values()))[0]
        task.weight += 1
        task.weight_square += 1
        task.remembered(name).add(int(numbers.random() < rates[name]), shares[name])
    return task


BEHAVIOUR = {"a": 0.8, "b": 0.1, "c": 0.1}
RATES = {"a": 0.5, "b": 0.9, "c": 0.2}
TARGET = {"a": 0.1, "b": 0.8, "c": 0.1}
RARE = {"a": 0.5, "b": 0.03, "c": 0.2}
"""What the target prefers hardly ever succeeds, so that a log may show no success of it at all."""


@pytest.mark.parametrize("estimate", [inverse_propensity, doubly_robust])
@pytest.mark.parametrize("rates", [RATES, RARE])
def test_given_logged_orders_when_another_policy_is_estimated_then_its_bounds_hold_as_often_as_they_say(
    rates: dict[str, float], estimate: object
) -> None:
    true = sum(TARGET[name] * rates[name] for name in rates)
    found = [estimate(logged(seed, 400, BEHAVIOUR, rates), TARGET) for seed in range(300)]  # type: ignore[operator]
    assert sum(f.value for f in found) / len(found) == pytest.approx(true, abs=0.02)
    assert sum(f.low <= true for f in found) / len(found) >= 0.95
    assert sum(f.high >= true for f in found) / len(found) >= 0.95


def test_given_the_same_orders_when_both_are_estimated_then_doubly_robust_is_the_tighter() -> None:
    task = logged(1, 400, BEHAVIOUR, RATES)
    ips, robust = inverse_propensity(task, TARGET), doubly_robust(task, TARGET)
    assert robust.high - robust.low < ips.high - ips.low


def test_given_the_sums_when_estimated_then_the_same_comes_out_as_from_the_single_orders() -> None:
    numbers = random.Random(3)
    items = [(name, p, int(numbers.random() < 0.6)) for name, p in BEHAVIOUR.items() for _ in range(40)]
    task = TaskMemory(weight=len(items), weight_square=len(items))
    for name, p, reward in items:
        task.remembered(name).add(reward, p)
    rates = {name: mean(task.memory[name]) for name in BEHAVIOUR}
    direct = sum(TARGET[name] * rates[name] for name in rates)
    terms = [direct + TARGET[name] / p * (reward - rates[name]) for name, p, reward in items]
    average = sum(terms) / len(terms)
    cautious = {name: (m.reward + 2) / (m.n + 4) for name, m in task.memory.items()}
    squares = [(TARGET[n] / p) ** 2 * cautious[n] * (1 - cautious[n]) for n, p, _ in items]
    variance = sum(squares) / len(items) - (average - direct) ** 2
    spread = (variance / len(items)) ** 0.5 + 1 / (len(items) + 1)
    found = doubly_robust(task, TARGET)
    assert found.value == pytest.approx(average, abs=1e-6)
    assert found.low == pytest.approx(max(0, average - Z * spread), abs=1e-6)


def test_given_two_policies_when_compared_then_the_shift_is_what_goes_elsewhere() -> None:
    assert shift({"a": 1.0}, {"a": 0.7, "b": 0.3}) == pytest.approx(0.3)
    assert shift({"a": 1.0}, {"b": 1.0}) == 1.0
    assert shift({}, {}) == 0.0
