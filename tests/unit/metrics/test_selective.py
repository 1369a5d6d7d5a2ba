from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peftuq.metrics.detection import auroc
from peftuq.metrics.selective import accuracy_at_coverage, augrc, aurc, eaurc, prr, risk_at_coverage, risk_coverage

scored = st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=1, max_size=60)


def arrays(pairs):
    score, error = zip(*pairs, strict=True)
    return np.array(score, dtype=np.float64), np.array(error)


def continuous(n=997, seed=0):
    rng = np.random.default_rng(seed)
    error = rng.random(n) < 0.2
    return rng.normal(size=n) + error, error


def risks_in_order(error):
    """Risk at n = 1..N when examples are accepted in the order given."""
    return [sum(error[:n]) / n for n in range(1, len(error) + 1)]


def test_without_ties_the_curve_is_that_of_the_sorted_examples():
    score, error = continuous()
    coverage, risk = risk_coverage(score, error)
    assert np.allclose(risk, risks_in_order(error[np.argsort(score)].tolist()), atol=1e-14)
    assert coverage[0] == 1 / 997 and coverage[-1] == 1.0
    assert aurc(score, error) == pytest.approx(np.mean(risk), abs=1e-15)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=6))
def test_ties_are_the_mean_over_every_order_of_the_tied(pairs):
    curves = [
        risks_in_order([error for _, error in order])
        for order in permutations(pairs)
        if [score for score, _ in order] == sorted(score for score, _ in pairs)
    ]
    _, risk = risk_coverage(*arrays(pairs))
    assert np.allclose(risk, np.mean(curves, axis=0), atol=1e-12)


@settings(deadline=None)
@given(scored, st.randoms(use_true_random=False))
def test_order_of_examples_and_monotone_transforms_change_nothing(pairs, random):
    score, error = arrays(pairs)
    again, same = arrays(random.sample(pairs, len(pairs)))
    assert np.array_equal(risk_coverage(again, same)[1], risk_coverage(score, error)[1])
    for metric in (aurc, eaurc, augrc):
        assert metric(again, same) == metric(score, error)
        assert metric(np.exp(score / 3), error) == metric(score, error)


@settings(deadline=None)
@given(scored)
def test_areas_are_bounded_and_no_score_beats_the_optimum(pairs):
    score, error = arrays(pairs)
    assert 0.0 <= aurc(score, error) <= 1.0
    assert 0.0 <= eaurc(score, error) < 1.0
    assert eaurc(error.astype(float), error) == 0.0
    assert eaurc(-error.astype(float), error) >= eaurc(score, error) - 1e-12  # the worst order


def test_eaurc_subtracts_the_exact_optimum():
    score, error = continuous()
    best = np.mean(risks_in_order(sorted(error.tolist())))
    assert eaurc(score, error) == pytest.approx(aurc(score, error) - best, abs=1e-14)


def test_augrc_is_the_area_below_errors_over_coverage():
    score, error = continuous()
    uncaught = np.concatenate([[0], np.cumsum(error[np.argsort(score)])]) / len(error)
    assert augrc(score, error) == pytest.approx(np.trapezoid(uncaught, np.linspace(0, 1, len(error) + 1)), abs=1e-14)


@settings(deadline=None)
@given(scored)
def test_augrc_is_the_papers_closed_form(pairs):
    """Ranking and accuracy apart; without both kinds of answers its order does not count."""
    score, error = arrays(pairs)
    accuracy = 1 - error.mean()
    ranking = 1 - auroc(score, error) if 0 < accuracy < 1 else 0.0
    expected = ranking * accuracy * (1 - accuracy) + (1 - accuracy) ** 2 / 2
    assert augrc(score, error) == pytest.approx(expected, abs=1e-12)


def test_a_constant_score_has_the_error_rate_at_every_coverage():
    error = np.arange(10) < 3
    assert np.allclose(risk_coverage(np.zeros(10), error)[1], 0.3)
    assert prr(np.zeros(10), error) == pytest.approx(0.0, abs=1e-12)


def test_accuracy_and_risk_at_coverage_count_examples_from_the_lowest_score():
    score = np.arange(10.0)
    error = np.array([0, 0, 0, 0, 1, 0, 0, 1, 1, 1], dtype=bool)
    assert accuracy_at_coverage(score, error, 0.5) == pytest.approx(4 / 5)
    assert accuracy_at_coverage(score, error, 0.8) == pytest.approx(6 / 8)
    assert accuracy_at_coverage(score, error, 0.9) == pytest.approx(6 / 9)
    assert risk_at_coverage(score, error, 0.8) == pytest.approx(2 / 8)
    assert risk_at_coverage(score, error, 1.0) == pytest.approx(4 / 10)


def test_coverage_rounds_up_to_whole_examples_but_not_for_rounding_errors():
    the_56th_is_wrong = np.arange(100.0), np.arange(100) == 55
    assert 0.55 * 100 > 55  # as floats
    assert risk_at_coverage(*the_56th_is_wrong, 0.55) == 0.0
    assert risk_at_coverage(*the_56th_is_wrong, 0.551) == pytest.approx(1 / 56)
    assert risk_at_coverage(np.arange(3.0), np.array([True, False, False]), 0.01) == 1.0


def test_prr_against_areas_between_rejection_curves():
    score, error = continuous()
    kept_right = 1 - np.array(risks_in_order(error[np.argsort(score)].tolist()))
    oracle = 1 - np.array(risks_in_order(sorted(error.tolist())))
    random = 1 - error.mean()
    expected = (kept_right - random).sum() / (oracle - random).sum()
    assert prr(score, error) == pytest.approx(expected, abs=1e-12)
    assert prr(error.astype(float), error) == 1.0
    assert prr(-error.astype(float), error) < 0


def test_the_other_prr_would_be_the_auroc_again():
    score, error = continuous()
    left = np.concatenate([[0], np.cumsum(error[np.argsort(score)])]) / len(error)
    best = np.concatenate([[0], np.cumsum(np.sort(error))]) / len(error)
    random = np.linspace(0, error.mean(), len(error) + 1)
    assert np.trapezoid(random - left) / np.trapezoid(random - best) == pytest.approx(2 * auroc(score, error) - 1)


@pytest.mark.parametrize("error", [[False, False], [True, True]])
def test_prr_is_undefined_for_one_kind_of_example(error):
    with pytest.raises(ArithmeticError):
        prr(np.array([0.1, 0.2]), np.array(error))


def test_no_examples_and_nan_scores_are_undefined():
    for score in (np.array([]), np.array([np.nan])):
        with pytest.raises(ArithmeticError):
            aurc(score, np.zeros(len(score), dtype=bool))
