import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peftuq.metrics.detection import aupr, auroc, fpr95, threshold_counts

# Few distinct scores, so that ties abound; every example set has an error and a correct prediction.
scored = st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=2, max_size=60).filter(
    lambda pairs: len({error for _, error in pairs}) == 2
)


def arrays(pairs):
    score, error = zip(*pairs, strict=True)
    return np.array(score, dtype=np.float64), np.array(error)


def continuous(n=997, seed=0):
    rng = np.random.default_rng(seed)
    error = rng.random(n) < 0.2
    return rng.normal(size=n) + error, error


@settings(deadline=None)
@given(scored)
def test_auroc_is_the_share_of_pairs_in_order_with_ties_half(pairs):
    score, error = arrays(pairs)
    gaps = score[error][:, None] - score[~error][None, :]
    assert auroc(score, error) == pytest.approx(np.mean((gaps > 0) + 0.5 * (gaps == 0)), abs=1e-15)


@pytest.mark.parametrize("decimals", [0, 1, 15])
def test_auroc_aupr_and_fpr95_equal_scikit_learn(decimals):
    metrics = pytest.importorskip("sklearn.metrics")
    score, error = continuous()
    score = score.round(decimals)
    assert auroc(score, error) == pytest.approx(metrics.roc_auc_score(error, score), abs=1e-12)
    assert aupr(score, error) == pytest.approx(metrics.average_precision_score(error, score), abs=1e-12)
    fpr, tpr, _ = metrics.roc_curve(error, score, drop_intermediate=False)
    assert fpr95(score, error) == fpr[np.argmax(tpr >= 0.95)]


@settings(deadline=None)
@given(scored, st.randoms(use_true_random=False))
def test_order_of_examples_and_monotone_transforms_change_nothing(pairs, random):
    score, error = arrays(pairs)
    again, same = arrays(random.sample(pairs, len(pairs)))
    for metric in (auroc, aupr, fpr95):
        value = metric(score, error)
        assert 0 <= value <= 1
        assert metric(again, same) == value
        assert metric(np.exp(score / 3), error) == value
    assert auroc(-score, error) == pytest.approx(1 - auroc(score, error), abs=1e-15)


def test_a_constant_score_gets_one_half_the_error_rate_and_one():
    score, error = np.zeros(10), np.arange(10) < 3
    assert (auroc(score, error), aupr(score, error), fpr95(score, error)) == (0.5, 0.3, 1.0)


def test_infinite_scores_are_ranked():
    assert auroc(np.array([np.inf, 0.0, -np.inf]), np.array([True, False, False])) == 1.0


def test_fpr95_takes_exactly_ninety_five_percent():
    # One error in 20 lies below all correct predictions: the other 19 suffice, whatever 0.95 * 20 rounds to.
    for errors in range(20, 420, 20):
        score = np.concatenate([np.ones(errors * 19 // 20), np.zeros(10), -np.ones(errors // 20)])
        error = np.concatenate([np.ones(errors * 19 // 20), np.zeros(10), np.ones(errors // 20)]).astype(bool)
        assert fpr95(score, error) == 0.0
    fewer = np.array([True] * 18 + [False] * 10 + [True] * 2)
    assert fpr95(np.array([1.0] * 18 + [0.0] * 10 + [-1.0] * 2), fewer) == 1.0


@pytest.mark.parametrize("metric", [auroc, fpr95])
@pytest.mark.parametrize("error", [[False, False], [True, True]])
def test_one_kind_of_example_is_undefined(metric, error):
    with pytest.raises(ArithmeticError, match="an error and a correct prediction"):
        metric(np.array([0.1, 0.2]), np.array(error))


def test_aupr_needs_an_error_only():
    assert aupr(np.array([0.1, 0.2]), np.array([True, True])) == 1.0
    with pytest.raises(ArithmeticError, match="an error"):
        aupr(np.array([0.1, 0.2]), np.array([False, False]))


def test_no_examples_and_nan_scores_are_undefined():
    with pytest.raises(ArithmeticError, match="no examples"):
        threshold_counts(np.array([]), np.array([], dtype=bool))
    with pytest.raises(ArithmeticError, match="1 of 2 scores are NaN"):
        threshold_counts(np.array([0.1, np.nan]), np.array([True, False]))
