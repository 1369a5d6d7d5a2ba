import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peftuq.metrics.calibration import NLL_EPS, accuracy, adaptive_ece, brier, classwise_ece, ece, nll, reliability_bins


def predictions(n=1003, classes=5, seed=0):
    """Overconfident predictions: labels drawn from a flatter distribution than `probs`."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(classes, 0.4), n)
    flat = 0.6 * probs + 0.4 / classes
    label = (flat.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return probs, label


def top(probs, label):
    return probs.max(axis=1), probs.argmax(axis=1) == label


confident = st.lists(
    st.tuples(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.2, 1 / 3, 0.6, 1.0])), st.booleans()),
    min_size=1,
    max_size=60,
)


@pytest.mark.parametrize("bins", [10, 15])
@pytest.mark.parametrize("classes", [2, 5, 20])
def test_ece_equals_torchmetrics(bins, classes):
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.classification")
    probs, label = predictions(classes=classes)
    theirs = functional.multiclass_calibration_error(
        torch.tensor(probs), torch.tensor(label), num_classes=classes, n_bins=bins, norm="l1"
    )
    assert ece(*top(probs, label), bins) == pytest.approx(theirs.item(), abs=1e-6)  # theirs is in float32


def test_classwise_ece_equals_the_mean_of_torchmetrics_binary():
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.classification")
    probs, label = predictions(classes=4)
    theirs = [
        functional.binary_calibration_error(
            torch.tensor(probs[:, c]), torch.tensor(label == c), n_bins=15, norm="l1"
        ).item()
        for c in range(4)
    ]
    assert classwise_ece(probs, label) == pytest.approx(np.mean(theirs), abs=1e-12)


@pytest.mark.parametrize("classes", [2, 5, 20])
def test_accuracy_nll_and_brier_equal_scikit_learn(classes):
    metrics = pytest.importorskip("sklearn.metrics")
    probs, label = predictions(classes=classes)
    probs[0], label[0] = np.eye(classes)[0], 1  # a certain error: the clip shows
    assert accuracy(probs, label) == metrics.accuracy_score(label, probs.argmax(axis=1))
    assert nll(probs, label) == pytest.approx(metrics.log_loss(label, probs, labels=range(classes)), rel=1e-12)
    theirs = metrics.brier_score_loss(label, probs, labels=range(classes), scale_by_half=False)
    assert brier(probs, label) == pytest.approx(theirs, rel=1e-12)


def test_brier_is_summed_over_classes():
    assert brier(np.array([[0.0, 1.0, 0.0]]), np.array([0])) == 2.0


def test_nll_of_a_certain_error_is_finite():
    assert nll(np.array([[0.0, 1.0]]), np.array([0])) == -np.log(NLL_EPS)


def test_every_example_weighs_the_same_also_in_the_last_partial_batch():
    probs, label = predictions(n=65)
    probs[64], label[64] = [0.0, 1.0, 0.0, 0.0, 0.0], 0  # alone in the second batch of 64
    assert accuracy(probs, label) == (accuracy(probs[:64], label[:64]) * 64 + 0.0) / 65
    whole = -np.log(np.clip(probs[np.arange(65), label], NLL_EPS, 1)).sum() / 65
    assert nll(probs, label) == pytest.approx(whole, rel=1e-12)
    batch_means = np.mean([nll(probs[:64], label[:64]), nll(probs[64:], label[64:])])
    assert abs(nll(probs, label) - batch_means) > 10
    assert brier(probs, label) == pytest.approx((brier(probs[:64], label[:64]) * 64 + 2.0) / 65, rel=1e-12)
    counted = [reliability_bins(*top(probs[:n], label[:n])).count.sum() for n in (64, 65)]
    assert counted == [64, 65]


def test_ece_at_confidence_exactly_one_shares_the_last_bin():
    # A bin of its own for 1.0 gives 0.515, dropping it 0.015.
    assert ece(np.array([1.0, 0.97]), np.array([False, True])) == pytest.approx(0.485, abs=1e-15)
    assert ece(np.ones(7), np.ones(7, bool)) == 0.0
    assert ece(np.ones(7), np.zeros(7, bool)) == 1.0


def test_ece_at_confidence_exactly_zero_shares_the_first_bin():
    assert ece(np.array([0.0, 0.05]), np.array([True, False])) == pytest.approx(0.475, abs=1e-15)
    assert ece(np.zeros(7), np.ones(7, bool)) == 1.0


@pytest.mark.parametrize(
    ("edge", "bins"), [(1 / 15, 15), (0.2, 15), (0.6, 15), (14 / 15, 15), (0.3, 10), (0.6, 10), (0.7, 10)]
)
def test_a_confidence_on_an_edge_belongs_to_the_bin_below(edge, bins):
    pair = reliability_bins(np.array([edge, edge - 0.01]), np.array([True, False]), bins)
    assert pair.count.tolist() == [2]
    assert pair.lower[0] == pytest.approx(edge - 1 / bins)


def test_rounding_outside_the_unit_interval_stays_in_the_outer_bins():
    outside = reliability_bins(np.array([1 + 2e-16, -1e-17]), np.array([True, False]), 10)
    assert outside.lower.tolist() == [0.0, 0.9]


def test_reliability_bins_against_a_loop():
    confidence, correct = top(*predictions())
    filled = reliability_bins(confidence, correct, 10)
    rows = []
    for b in range(10):
        inside = (confidence > b / 10) & (confidence <= (b + 1) / 10)
        if inside.any():
            rows.append((b / 10, inside.sum(), confidence[inside].mean(), correct[inside].mean()))
    assert np.allclose(np.array(rows).T, np.array(filled), atol=1e-12)
    assert 0.0 not in filled.lower  # the top of five classes has at least 1/5: empty bins are left out


@pytest.mark.parametrize("n", [1, 7, 15, 1003])
def test_adaptive_ece_against_a_loop(n):
    confidence, correct = top(*predictions(n=n))
    order = np.argsort(confidence)
    total = 0.0
    for b in range(15):
        inside = order[n * b // 15 : n * (b + 1) // 15]
        if len(inside):
            total += len(inside) / n * abs(correct[inside].mean() - confidence[inside].mean())
    assert adaptive_ece(confidence, correct) == pytest.approx(total, abs=1e-12)


def test_adaptive_ece_shares_the_accuracy_of_tied_examples():
    first_half_right = np.arange(30) < 15
    for correct in (first_half_right, ~first_half_right, np.arange(30) % 2 == 0):
        assert adaptive_ece(np.full(30, 0.75), correct) == pytest.approx(0.25, abs=1e-12)


def test_missing_options_change_nothing_but_the_number_of_classes():
    probs, label = predictions(classes=4)
    padded = np.concatenate([probs, np.zeros((len(probs), 1))], axis=1)
    for metric in (accuracy, nll, brier):
        assert metric(padded, label) == pytest.approx(metric(probs, label), abs=1e-15)
    assert ece(*top(padded, label)) == ece(*top(probs, label))
    assert classwise_ece(padded, label) == pytest.approx(classwise_ece(probs, label) * 4 / 5, abs=1e-15)


def test_inputs_are_left_alone():
    probs, label = predictions(n=20)
    before = probs.copy()
    brier(probs, label)
    assert np.array_equal(probs, before)


@settings(deadline=None)
@given(confident, st.sampled_from([1, 10, 15]), st.randoms(use_true_random=False))
def test_calibration_errors_are_bounded_and_independent_of_the_order(pairs, bins, random):
    shuffled = random.sample(pairs, len(pairs))
    confidence, correct = (np.array(column) for column in zip(*pairs, strict=True))
    again = [np.array(column) for column in zip(*shuffled, strict=True)]
    for metric in (ece, adaptive_ece):
        value = metric(confidence, correct, bins)
        # Coarser than one bin: the gap of the means; finer than an example a bin: the mean of the gaps.
        assert abs(confidence.mean() - correct.mean()) - 1e-9 <= value
        assert value <= np.abs(confidence - correct).mean() + 1e-9
        assert metric(*again, bins) == pytest.approx(value, abs=1e-12)
