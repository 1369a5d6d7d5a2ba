from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peftuq.metrics.bootstrap import paired_bootstrap, resample_counts, resampled, resampled_auroc
from peftuq.metrics.detection import auroc
from peftuq.metrics.selective import aurc


class Interval(NamedTuple):
    estimate: float
    low: float
    high: float


def run(n=150, signal=1.0, seed=0, decimals=15):
    rng = np.random.default_rng(seed)
    error = rng.random(n) < 0.3
    return (rng.normal(size=n) + signal * error).round(decimals), error


def naive(metric, score, error, counts):
    """One resample at a time, with its examples written out."""
    values = []
    for count in counts:
        drawn = [i for i, times in enumerate(count) for _ in range(times)]
        try:
            values.append(metric(score[drawn], error[drawn]))
        except ArithmeticError:
            values.append(np.nan)
    return np.array(values)


def against(methods, baseline, *args, **kwargs):
    """Every other method minus `baseline`: its estimate, low and high; a method's seeds are numbered as they stand."""
    runs = {name: dict(enumerate(of_seeds)) for name, of_seeds in methods.items()}
    found = {}
    for (one, other), d in paired_bootstrap(runs, *args, **kwargs).items():
        if other == baseline:
            found[one] = d and Interval(*d[:3])
        elif one == baseline:
            found[other] = d and Interval(-d.estimate, -d.high, -d.low)
    return found


def test_counts_are_draws_with_replacement():
    counts = resample_counts(50, resamples=2000, seed=1)
    assert counts.shape == (2000, 50) and (counts.sum(axis=1) == 50).all()
    assert np.allclose(counts.mean(axis=0), 1.0, atol=0.1)  # every example equally often
    assert counts.var() == pytest.approx(1 - 1 / 50, abs=0.03)  # multinomial: n (1/n) (1 - 1/n)
    assert np.array_equal(counts, resample_counts(50, 2000, 1))
    assert not np.array_equal(counts, resample_counts(50, 2000, 2))


@pytest.mark.parametrize("decimals", [0, 15])
def test_auroc_of_resamples_equals_a_naive_loop(decimals):
    score, error = run(decimals=decimals)
    counts = resample_counts(len(score), resamples=101)  # not a multiple of the block
    assert np.array_equal(resampled_auroc(score, error, counts), naive(auroc, score, error, counts))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=6), st.integers(0, 1000))
def test_auroc_of_small_tied_and_one_sided_resamples_equals_a_naive_loop(pairs, seed):
    score, error = (np.array(column) for column in zip(*pairs, strict=True))
    counts = resample_counts(len(pairs), resamples=5, seed=seed)
    assert np.array_equal(resampled_auroc(score, error, counts), naive(auroc, score, error, counts), equal_nan=True)


def test_any_metric_is_resampled_on_the_same_draws():
    score, error = run(n=60)
    counts = resample_counts(60, resamples=40)
    assert np.array_equal(resampled(aurc, score, error, counts), naive(aurc, score, error, counts))
    assert np.array_equal(resampled(auroc, score, error, counts), naive(auroc, score, error, counts))


@pytest.mark.parametrize("metric", [auroc, aurc])
def test_interval_of_the_seed_averaged_difference_equals_a_naive_loop(metric):
    error = run()[1]
    ours = [(run(signal=1.5, seed=s)[0] + error, error) for s in (1, 2, 3)]
    theirs = [(run(signal=0.5, seed=s)[0] + error, error) for s in (4, 5, 6)]
    found = against({"sr": theirs, "adue": ours}, "sr", metric, resamples=80, seed=7)["adue"]
    counts = resample_counts(len(error), resamples=80, seed=7)
    means = [np.mean([naive(metric, *r, counts) for r in runs], axis=0) for runs in (ours, theirs)]
    low, high = np.percentile(means[0] - means[1], [2.5, 97.5])
    estimate = np.mean([metric(*r) for r in ours]) - np.mean([metric(*r) for r in theirs])
    assert found == pytest.approx((estimate, low, high), abs=1e-12)
    assert low < estimate < high


def test_methods_share_their_resamples():
    score, error = run()
    found = against({"a": [(score, error)], "b": [(np.exp(score), error)]}, "a")["b"]
    assert found == (0.0, 0.0, 0.0)
    # Unpaired draws would make the interval of a near copy as wide as that of a stranger.
    rng = np.random.default_rng(5)
    near = against({"a": [(score, error)], "b": [(score + 0.01 * rng.normal(size=150), error)]}, "a")["b"]
    assert near.high - near.low < 0.02


def test_seeds_share_their_resamples():
    ours, baseline = run(signal=1.5, seed=1), run(signal=0.5)
    ours = (ours[0], baseline[1])
    once = against({"a": [baseline], "b": [ours]}, "a")["b"]
    five = against({"a": [baseline] * 5, "b": [ours] * 5}, "a")["b"]
    assert five == pytest.approx(once, abs=1e-12)  # the same test examples five times are not more examples


def test_the_interval_covers_the_true_difference_about_as_often_as_it_says():
    rng = np.random.default_rng(11)
    inside = 0
    for trial in range(150):
        error = np.arange(200) < 60
        shared = rng.normal(size=200)
        a, b = (shared + rng.normal(size=200) + error for _ in range(2))  # equally good: true difference 0
        found = against({"a": [(a, error)], "b": [(b, error)]}, "a", resamples=200, seed=trial)["b"]
        inside += found.low <= 0 <= found.high
    assert 0.89 <= inside / 150 <= 0.99


def test_the_level_widens_the_interval_and_the_same_seed_repeats_it():
    methods = {"a": [run()], "b": [(run(seed=1)[0], run()[1])]}
    narrow, wide, again = (against(methods, "a", level=level)["b"] for level in (0.5, 0.95, 0.95))
    assert wide.low < narrow.low < narrow.high < wide.high
    assert wide == again


def test_undefined_is_none_and_rare_undefined_resamples_are_left_out():
    score = np.arange(30.0)
    none_wrong, one_wrong = np.zeros(30, bool), np.arange(30) == 29
    methods = {"a": [(score, one_wrong)], "b": [(score, none_wrong)], "c": [(-score, one_wrong)]}
    found = against(methods, "a")
    assert list(found) == ["b", "c"]
    assert found["b"] is None
    assert found["c"] == (-1.0, -1.0, -1.0)  # a third of the resamples has no error
    assert against(methods, "b") == {"a": None, "c": None}
    broken = {"a": [(score, one_wrong)], "b": [(np.full(30, np.nan), one_wrong)]}
    assert against(broken, "a") == {"b": None}


def test_different_test_sets_are_refused():
    with pytest.raises(ValueError, match="same test examples"):
        paired_bootstrap({"a": {0: run(n=20)}, "b": {0: run(n=21)}})


def test_only_seeds_that_both_have_are_compared():
    error = run()[1]
    ours = {seed: (run(signal=2, seed=seed)[0], error) for seed in range(4)}
    theirs = {seed: (run(signal=1, seed=seed)[0], error) for seed in (1, 3)}
    both = paired_bootstrap({"ours": ours, "theirs": theirs})["ours", "theirs"]
    same = paired_bootstrap({"ours": {1: ours[1], 3: ours[3]}, "theirs": theirs})["ours", "theirs"]
    assert both == same and both.seeds == (1, 3)
    assert paired_bootstrap({"ours": {0: ours[0]}, "theirs": theirs}) == {("ours", "theirs"): None}


def test_a_seed_without_an_error_is_no_seed_to_compare():
    score, none_wrong = np.arange(150.0), np.zeros(150, bool)
    methods = {"a": {0: run(), 1: (score, none_wrong)}, "b": {0: run(seed=1), 1: run(seed=2)}}
    assert paired_bootstrap(methods)["a", "b"].seeds == (0,)
