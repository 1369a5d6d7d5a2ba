"""Vector and matrix scaling, isotonic regression: against scikit-learn, SciPy, and pooling by hand."""

import numpy as np
import pytest
import scipy.special
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from peftuq import artifacts
from peftuq.artifacts import Head, Record, RecordFile
from peftuq.predictives import isotonic, matrix_scaling, vector_scaling
from peftuq.predictives.linear_scaling import Options, fit_affine

ALL = [vector_scaling, matrix_scaling, isotonic]
FEW = {matrix_scaling: {"strengths": [1e-3, 1e-1], "folds": 2}}


def examples(n, classes, seed=0):
    """Logits that are too sharp, with an offset, and labels that they describe only partly."""
    rng = np.random.default_rng(seed)
    logits = 3 * rng.normal(size=(n, classes))
    true = scipy.special.softmax(0.4 * logits + np.linspace(-0.5, 0.5, classes), axis=1)
    label = (true.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return logits.astype(np.float32), label


def record(logits, label):
    return Record(np.arange(len(label)), label, logits, np.zeros((len(label), 2), np.float32))


def record_file(folder, **parts):
    path = folder / "records.safetensors"
    artifacts.write_records(path, {name: record(*of) for name, of in parts.items()}, Head(np.zeros((3, 2), np.float32)))
    return RecordFile(path)


def predicted(method, file, part="test"):
    params = {**method.PREDICTIVE.params, **FEW.get(method, {})}
    return method.predict([file], [part], params, 0, None)[0][part].probs[0]


def test_vector_scaling_of_two_options_is_logistic_regression():
    logits, label = examples(300, 2)
    ours = fit_affine(Options.of(logits), label, True, 0.0, 0.0, 100.0).probabilities(Options.of(logits))
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logits, label).predict_proba(logits)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_matrix_scaling_without_regularisation_is_multinomial_regression():
    logits, label = examples(300, 3)
    ours = fit_affine(Options.of(logits), label, False, 0.0, 0.0, 100.0).probabilities(Options.of(logits))
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logits, label).predict_proba(logits)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("diagonal", [True, False])
def test_the_optimum_is_that_of_a_search_without_gradients(diagonal):
    logits, label = examples(60, 3)

    def objective(theta):
        weight = np.diag(theta[:3]) if diagonal else theta[:-3].reshape(3, 3)
        log_probs = scipy.special.log_softmax(logits @ weight.T + theta[-3:], axis=1)
        off = weight[~np.eye(3, dtype=bool)]
        return -log_probs[np.arange(60), label].mean() + 0.3 * np.mean(off**2) + 0.7 * np.mean(theta[-3:] ** 2)

    start = np.concatenate([np.ones(3) if diagonal else np.eye(3).ravel(), np.zeros(3)])
    expected = minimize(objective, start, method="BFGS", options={"gtol": 1e-6})
    fitted = fit_affine(Options.of(logits), label, diagonal, 0.3, 0.7, 100.0)
    weights = np.diag(fitted.weight) if diagonal else fitted.weight.ravel()
    assert objective(np.concatenate([weights, fitted.bias])) <= expected.fun + 1e-8
    np.testing.assert_allclose(fitted.bias, expected.x[-3:], atol=1e-3)


def test_a_strong_penalty_leaves_one_factor_an_option_and_no_offset():
    logits, label = examples(200, 3)
    fitted = fit_affine(Options.of(logits), label, False, 1e6, 1e6, 100.0)
    assert np.abs(fitted.weight - np.diag(np.diag(fitted.weight))).max() < 1e-4
    assert np.abs(fitted.bias).max() < 1e-4


def test_separable_examples_end_at_the_limit():
    logits = np.array([[4.0, -4.0], [-4.0, 4.0]] * 5, np.float32)
    fitted = fit_affine(Options.of(logits), np.array([0, 1] * 5), True, 0.0, 0.0, 3.0)
    assert np.abs(fitted.weight).max() <= 3.0


def test_the_strength_is_the_one_with_the_least_held_out_nll():
    logits, label = examples(60, 3)
    strengths = [1e-4, 1e3]
    found = matrix_scaling.cross_validated(Options.of(logits), label, strengths, 3, 100.0, seed=1)
    fold = np.random.default_rng(1).permutation(60) % 3
    for strength, value in zip(strengths, found, strict=True):
        total = 0.0
        for held in range(3):
            fitted = fit_affine(Options.of(logits[fold != held]), label[fold != held], False, strength, strength, 100.0)
            log_probs = scipy.special.log_softmax(logits @ fitted.weight.T + fitted.bias, axis=1)
            total -= log_probs[np.arange(60), label][fold == held].sum()
        assert value == pytest.approx(total / 60)


# -- isotonic regression --------------------------------------------------------------------------------


def pooled(x, y):
    """Pool adjacent violators: blocks of [mean, weight, last x], merged while they fall."""
    blocks: list[list[float]] = []
    for value, target in sorted(zip(x.tolist(), y.tolist(), strict=True)):
        blocks.append([target, 1, value])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (m1, n1, _), (m2, n2, last) = blocks[-2:]
            blocks[-2:] = [[(m1 * n1 + m2 * n2) / (n1 + n2), n1 + n2, last]]
    return np.concatenate([[mean] * int(count) for mean, count, _ in blocks])


def test_isotonic_values_are_those_of_pooled_neighbours():
    logits, label = examples(50, 3)
    probs = scipy.special.softmax(logits.astype(np.float64), axis=1)
    functions = isotonic.fit(logits, label)
    values = []
    for c, function in enumerate(functions):
        ordered = np.sort(probs[:, c])
        expected = pooled(probs[:, c], (label == c).astype(float)).clip(1 / 52, 51 / 52)
        np.testing.assert_allclose(function.predict(ordered), expected, atol=1e-9)
        values.append(function.predict(probs[:, c]))
    expected = np.stack(values, axis=1)
    np.testing.assert_allclose(
        isotonic.calibrate(functions, logits), expected / expected.sum(axis=1, keepdims=True), atol=1e-12
    )


def test_no_option_becomes_impossible_unless_it_is_missing():
    logits = np.array([[5.0, 0.0, -np.inf]] * 4, np.float32)
    probs = isotonic.calibrate(isotonic.fit(logits, np.zeros(4, int)), logits)
    np.testing.assert_allclose(probs, [[5 / 6, 1 / 6, 0.0]] * 4)


# -- all of them ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ALL)
def test_they_are_fitted_on_valid_alone_and_repeatable(tmp_path, method):
    valid, test = examples(60, 3), examples(20, 3, seed=1)
    one = predicted(method, record_file(tmp_path, valid=valid, test=test))
    two = predicted(method, record_file(tmp_path, valid=valid, test=(test[0], (test[1] + 1) % 3)))
    assert np.array_equal(one, two)
    assert one.sum(axis=1) == pytest.approx(1) and one.min() > 0


@pytest.mark.parametrize("method", ALL)
def test_missing_options_keep_probability_zero_and_an_example_does_not_hear_of_them(tmp_path, method):
    """A column of options that nobody has changes nothing; an example without one is calibrated among its others."""
    valid, test = examples(60, 3), examples(20, 3, seed=1)
    plain = predicted(method, record_file(tmp_path, valid=valid, test=test))
    wider = {
        name: (np.pad(logits, ((0, 0), (0, 1)), constant_values=-np.inf), label)
        for name, (logits, label) in {"valid": valid, "test": test}.items()
    }
    padded = predicted(method, record_file(tmp_path, **wider))
    assert (padded[:, 3] == 0).all()
    if method is not matrix_scaling:  # whose input for a missing option is the mean of the others
        np.testing.assert_allclose(padded[:, :3], plain, atol=1e-4)
    fewer = valid[0].copy()
    fewer[::2, 2] = -np.inf
    label = np.where((np.arange(60) % 2 == 0) & (valid[1] == 2), 0, valid[1])
    probs = predicted(method, record_file(tmp_path, valid=(fewer, label), test=(fewer, label)))
    assert np.array_equal(probs == 0, np.isneginf(fewer)) and probs.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("method", ALL)
def test_valid_is_calibrated_better_than_before(tmp_path, method):
    logits, label = examples(400, 3)
    probs = predicted(method, record_file(tmp_path, valid=(logits, label), test=(logits, label)))
    before = -scipy.special.log_softmax(logits, axis=1)[np.arange(400), label].mean()
    assert -np.log(probs[np.arange(400), label]).mean() < before - 0.1
