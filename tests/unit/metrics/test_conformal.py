import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peftuq.metrics.conformal import (
    aps,
    aps_inclusive,
    coverage,
    lac,
    mean_set_size,
    prediction_sets,
    raps,
    threshold,
    uacc,
)


def examples(rng, n, classes=5, sharpness=0.5):
    """Labels that the model's probabilities do not describe: conformal coverage must not need them to."""
    probs = rng.dirichlet(np.full(classes, sharpness), n)
    wrong_model = probs**0.5 / (probs**0.5).sum(axis=1, keepdims=True)
    label = (wrong_model.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return probs, label


@pytest.mark.parametrize(
    ("nonconformity", "classes"), [(lac, 5), (aps, 5), (aps_inclusive, 5), (raps, 5), (lac, 2), (aps, 2)]
)
def test_coverage_on_exchangeable_data_is_that_of_the_finite_sample_quantile(nonconformity, classes):
    # n = 20: k = ceil(21 * 0.9) = 19, expected coverage 19/21 = 0.905; the plain 90 % quantile gives 0.857.
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(600):
        probs, label = examples(rng, 70, classes)
        sets = prediction_sets(nonconformity, (probs[:20], label[:20]), probs[20:])
        covered.append(coverage(sets, label[20:]))
    assert np.mean(covered) == pytest.approx(19 / 21, abs=0.009)


def test_threshold_is_the_kth_smallest_and_infinite_beyond_n():
    scores = np.arange(1.0, 10.0)[::-1]
    assert threshold(scores) == 9.0  # k = ceil(10 * 0.9) = 9 of 9
    assert threshold(scores[:8]) == math.inf  # k = 9 of 8
    assert threshold(np.arange(1.0, 21.0)) == 19.0
    assert threshold(np.arange(1.0, 100.0)) == 90.0
    assert threshold(np.arange(1.0, 100.0), alpha=0.45) == 55.0  # though 100 * (1 - 0.45) > 55 as floats
    with pytest.raises(ArithmeticError):
        threshold(np.array([]))


def test_aps_is_the_mass_of_the_more_probable_options():
    probs = np.array([[0.5, 0.2, 0.3], [0.4, 0.4, 0.2], [0.0, 1.0, 0.0]])
    inf = math.inf
    expected = [[0.0, 0.8, 0.5], [0.0, 0.0, 0.8], [inf, 0.0, inf]]
    assert np.allclose(aps(probs), expected)


def test_scores_equal_the_papers_pseudocode():
    """Sorted, summed and penalised one option at a time, as the papers' algorithms do."""
    probs, _ = examples(np.random.default_rng(4), 20)
    for row, inclusive, regularised in zip(probs, aps_inclusive(probs), raps(probs), strict=True):
        mass = 0.0
        for rank, option in enumerate(np.argsort(-row), start=1):
            assert regularised[option] == pytest.approx(mass + 0.1 * max(rank - 1, 0))
            mass += row[option]
            assert inclusive[option] == pytest.approx(mass)


def test_tied_and_missing_options_have_scores_of_their_own():
    probs = np.array([[0.4, 0.4, 0.2, 0.0]])
    assert np.allclose(aps_inclusive(probs), [[0.8, 0.8, 1.0, math.inf]])
    assert np.allclose(raps(probs), [[0.0, 0.0, 0.8 + 0.2, math.inf]])


def test_the_penalty_makes_large_sets_smaller():
    rng = np.random.default_rng(5)
    probs, label = examples(rng, 400, classes=10, sharpness=1.0)
    sizes = [prediction_sets(rule, (probs[:200], label[:200]), probs[200:]).sum(axis=1).max() for rule in (raps, aps)]
    assert sizes[0] < sizes[1]


def test_uncertainty_aware_accuracy_by_hand():
    sets = np.array([[True, False, False, False], [True, True, True, False]])
    assert uacc(sets, 0.5) == pytest.approx(0.5 / 2 * 2)
    with pytest.raises(ArithmeticError):
        uacc(np.zeros((2, 4), dtype=bool), 0.5)


def test_lac_sets_are_the_options_above_a_probability():
    rng = np.random.default_rng(1)
    held_out, label = examples(rng, 99)
    probs, _ = examples(rng, 50)
    cut = np.sort(held_out[np.arange(99), label])[9]  # the 10th smallest: 90 of 99 labels have at least this
    assert np.array_equal(prediction_sets(lac, (held_out, label), probs), probs >= cut)


def test_too_few_calibration_examples_give_full_sets_without_missing_options():
    probs = np.array([[0.7, 0.3, 0.0], [0.2, 0.3, 0.5]])
    sets = prediction_sets(lac, (probs, np.array([0, 2])), probs)
    assert sets.tolist() == [[True, True, False], [True, True, True]]
    assert mean_set_size(sets) == 2.5
    assert coverage(sets, np.array([2, 2])) == 0.5


def test_missing_options_do_not_change_the_sets():
    rng = np.random.default_rng(2)
    held_out, label = examples(rng, 40)
    probs, _ = examples(rng, 30)
    for nonconformity in (lac, aps, aps_inclusive, raps):
        sets = prediction_sets(nonconformity, (held_out, label), probs)
        wider = [np.pad(array, ((0, 0), (0, 1))) for array in (held_out, probs)]
        assert np.array_equal(
            prediction_sets(nonconformity, (wider[0], label), wider[1]), np.pad(sets, ((0, 0), (0, 1)))
        )


def test_aps_sets_of_an_accurate_model_are_its_answers():
    rng = np.random.default_rng(3)
    probs = rng.dirichlet(np.full(4, 0.3), 200)
    label = probs.argmax(axis=1)
    sets = prediction_sets(aps, (probs[:100], label[:100]), probs[100:])
    assert mean_set_size(sets) == 1.0 and coverage(sets, label[100:]) == 1.0


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.1, 0.3]))
def test_sets_grow_with_the_level_and_aps_sets_hold_the_most_probable_option(seed, alpha):
    rng = np.random.default_rng(seed)
    held_out, label = examples(rng, 30)
    probs, _ = examples(rng, 10)
    for nonconformity in (lac, aps_inclusive, raps, aps):
        sets = prediction_sets(nonconformity, (held_out, label), probs, alpha)
        looser = prediction_sets(nonconformity, (held_out, label), probs, alpha + 0.2)
        assert not (looser & ~sets).any()
        shuffle = rng.permutation(30)
        again = prediction_sets(nonconformity, (held_out[shuffle], label[shuffle]), probs, alpha)
        assert np.array_equal(again, sets)
        # Whatever the rule, a set holds the most probable options.
        excluded = np.where(sets, -1.0, probs).max(axis=1)
        assert (np.where(sets, probs, 2.0).min(axis=1) > excluded).all()
    assert sets[np.arange(10), probs.argmax(axis=1)].all()
