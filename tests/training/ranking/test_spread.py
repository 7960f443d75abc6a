import numpy as np
import pytest
from scipy import stats

from training.ranking.spread import bootstrap, paired, spread, student_quantile


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 9, 30, 151])
@pytest.mark.parametrize("share", [0.5, 0.6, 0.9, 0.975, 0.9995])
def test_students_quantiles_are_scipys(share, freedom):
    expected = stats.t.ppf(share, freedom)
    assert student_quantile(share, freedom) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("count", [2, 3, 5, 12])
def test_intervals_are_scipys(count, level):
    values = np.random.default_rng(count).normal(60, 4, count)
    low, high = stats.t.interval(level, count - 1, values.mean(), stats.sem(values))
    found = spread(values.tolist(), level=level)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.deviation == pytest.approx(values.std(ddof=1))
    assert found.half == pytest.approx((high - low) / 2)
    assert found.count == count


def test_paired_differences_have_the_interval_of_a_paired_test():
    chance = np.random.default_rng(4)
    splits = chance.normal(50, 10, 6)
    first, second = splits + 5 + chance.normal(0, 1, 6), splits
    found = paired(first.tolist(), second.tolist())
    low, high = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.half < spread(first.tolist()).half


def test_a_single_value_has_no_interval():
    found = spread([3.0])
    assert found.to_json() == {
        "count": 1,
        "mean": 3.0,
        "deviation": None,
        "low": None,
        "high": None,
    }
    assert found.half is None


def test_the_bootstrap_is_that_of_a_loop_over_groups():
    chance = np.random.default_rng(5)
    values = chance.random(17)
    groups = [*"aabbbcdddddeeffgg"]
    names = list(dict.fromkeys(groups))
    drawn = np.random.default_rng(3).integers(len(names), size=(200, len(names)))
    means = []
    for row in drawn:
        sample = [v for n in row for v, g in zip(values, groups, strict=True) if g == names[n]]
        means.append(sum(sample) / len(sample))
    found = bootstrap(values.tolist(), groups, draws=200, seed=3)
    assert found.low == pytest.approx(np.quantile(means, 0.025))
    assert found.high == pytest.approx(np.quantile(means, 0.975))
    assert found.mean == pytest.approx(values.mean())


def test_the_bootstrap_of_single_values_is_near_scipys():
    values = np.random.default_rng(6).normal(size=40)
    expected = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=4000, random_state=1
    ).confidence_interval
    found = bootstrap(values.tolist(), draws=4000)
    assert found.low == pytest.approx(expected.low, abs=0.03)
    assert found.high == pytest.approx(expected.high, abs=0.03)


def test_groups_that_rise_together_widen_the_interval():
    chance = np.random.default_rng(7)
    types = np.repeat(np.arange(8), 20)
    values = (chance.normal(size=8)[types] + chance.normal(0, 0.1, 160)).tolist()
    assert bootstrap(values, types.tolist()).half > 2 * bootstrap(values).half


def test_one_group_alone_has_no_interval():
    assert bootstrap([1.0, 2.0], ["a", "a"]).half is None


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="at least one value"):
        spread([])
    with pytest.raises(ValueError, match="a group for each"):
        bootstrap([1.0, 2.0], ["a"])
    with pytest.raises(ValueError, match=r"shorter|longer"):
        paired([1.0], [1.0, 2.0])
    for share, freedom in ((1.0, 3), (0.4, 3), (0.9, 0)):
        with pytest.raises(ValueError, match="share"):
            student_quantile(share, freedom)
