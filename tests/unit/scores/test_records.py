"""Scores of one adapter's records: energy, nearest neighbours, density softmax, probes for P(correct)."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import expit, softmax
from scipy.stats import multivariate_normal

from peftuq.artifacts import Head, Record, RecordFile, write_records
from peftuq.scores import density_softmax, energy, knn, linear_probe, mahalanobis, mlp_probe


def features(n, seed, d=5):
    rng = np.random.default_rng(seed)
    label = rng.integers(3, size=n)
    h = (rng.normal(size=(n, d)) + 2 * np.eye(3, d)[label]).astype(np.float32)
    return h, label, (2 * rng.normal(size=(n, 3))).astype(np.float32)


def record_file(folder, wrong=None, **parts):
    """`parts`: (h, label, logits); `wrong` (h) → bool sets the logits so that the arg-max errs there."""

    def record(h, label, logits):
        if wrong is not None:
            logits = np.eye(3, dtype=np.float32)[np.where(wrong(h), (label + 1) % 3, label)]
        return Record(np.arange(len(h)), label, logits, h)

    path = folder / "records.safetensors"
    head = Head(np.zeros((3, 5), np.float32))
    write_records(path, {name: record(*of) for name, of in parts.items()}, head)
    return RecordFile(path)


def scored(method, file, evals=("test",), **params):
    return method.score(file, list(evals), {**method.SCORE.params, **params}, 0)


# -- energy ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_energy_is_minus_the_log_of_the_summed_exponentials(tmp_path, temperature):
    h, label, logits = features(20, 0)
    logits[::3, 1] = -np.inf
    scores, _ = scored(energy, record_file(tmp_path, test=(h, label, logits)), temperature=temperature)
    expected = -temperature * torch.logsumexp(torch.tensor(logits).double() / temperature, 1)
    np.testing.assert_allclose(scores["energy"]["test"], expected.numpy(), rtol=1e-12)


# -- nearest neighbours ---------------------------------------------------------------------------------


def test_distances_equal_brute_force(tmp_path):
    train, test = features(40, 0), features(15, 1)
    file = record_file(tmp_path, train=train, test=test)
    for k in (1, 7, 99):
        scores, _ = scored(knn, file, k=k)
        for name, unit in (("knn", False), ("knn_l2", True)):
            rows, at = (x[0].astype(np.float64) for x in (train, test))
            if unit:
                rows, at = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (rows, at))
            expected = [sorted(np.linalg.norm(rows - z, axis=1))[min(k, 40) - 1] for z in at]
            np.testing.assert_allclose(scores[name]["test"], expected, rtol=1e-6)
            if unit:  # the same order as by cosine
                cosine = [sorted(1 - rows @ z)[min(k, 40) - 1] for z in at]
                np.testing.assert_allclose(np.square(expected) / 2, cosine, atol=1e-12)


# -- density softmax ------------------------------------------------------------------------------------


def test_the_density_is_a_mixture_of_the_classes_gaussians():
    z, label, _ = features(200, 0)
    z = z.astype(np.float64)
    mixture = density_softmax.fit_mixture(z, label)
    centroids = np.stack([z[label == c].mean(axis=0) for c in range(3)])
    residual = z - centroids[label]
    covariance = mahalanobis.ledoit_wolf(residual.T @ residual / 200, np.square(residual).sum(axis=1))
    at = features(9, 1)[0].astype(np.float64)
    density = sum((label == c).mean() * multivariate_normal(centroids[c], covariance).pdf(at) for c in range(3))
    np.testing.assert_allclose(mixture.log_density(at), np.log(density), rtol=1e-9)


def test_logits_are_scaled_by_density_and_the_far_away_is_a_guess(tmp_path):
    train, test = features(100, 0), features(20, 1)
    test[2][::4, 2] = -np.inf
    far = (test[0] + 1000, *test[1:])
    file = record_file(tmp_path, train=train, test=test, far=far)
    z = {part: file[part].h.astype(np.float64) for part in ("train", "test")}
    mixture = density_softmax.fit_mixture(z["train"], train[1])
    log = {part: mixture.log_density(of) for part, of in z.items()}
    options = np.isfinite(test[2]).sum(axis=1)
    for density, dimensions in (("per_dimension", 5), ("joint", 1)):
        scores, diagnostics = scored(density_softmax, file, ("test", "far"), density=density)
        s = np.minimum(np.exp((log["test"] - log["train"].max()) / dimensions), 1)
        probs = softmax(np.where(np.isneginf(test[2]), -np.inf, test[2].clip(-99) * s[:, None]), axis=1)
        np.testing.assert_allclose(scores["density_softmax"]["test"], 1 - probs.max(axis=1), atol=1e-7)
        np.testing.assert_allclose(scores["density_softmax"]["far"], 1 - 1 / options, atol=1e-9)
        assert diagnostics["mean_scale"]["test"] == pytest.approx(s.mean())


def test_training_examples_without_spread_are_no_obstacle(tmp_path):
    h, label, logits = features(6, 0)
    file = record_file(tmp_path, train=(np.ones_like(h), label, logits), test=(h, label, logits))
    scores, _ = scored(density_softmax, file)
    assert np.isfinite(scores["density_softmax"]["test"]).all()


# -- probes ---------------------------------------------------------------------------------------------

PROBES = [(linear_probe, {}), (mlp_probe, {"hidden": [16], "epochs": 60, "lr": 0.01})]


@pytest.mark.parametrize(("method", "params"), PROBES)
def test_probes_find_errors_that_z_shows_on_the_part_they_are_told(tmp_path, method, params):
    (variant,) = method.SCORE.variants

    def wrong(h):
        return h[:, 3] > 0.8

    file = record_file(tmp_path, wrong, train=features(30, 0), valid=features(150, 1), test=features(60, 2))
    scores, diagnostics = scored(method, file, **params)
    u, error = scores[variant]["test"], wrong(file["test"].h)
    assert (u >= 0).all() and (u <= 1).all()
    assert (u[error][:, None] > u[~error]).mean() > 0.95
    assert diagnostics["errors"] == wrong(file["valid"].h).sum() and diagnostics["examples"] == 150
    again, _ = scored(method, file, **params)
    assert np.array_equal(again[variant]["test"], u)
    assert scored(method, file, train_on="train", **params)[1]["examples"] == 30


@pytest.mark.parametrize(("method", "params"), PROBES)
@pytest.mark.parametrize("always", [False, True])
def test_without_errors_or_right_answers_a_probe_gives_their_share(tmp_path, method, params, always):
    file = record_file(tmp_path, lambda h: np.full(len(h), always), valid=features(30, 0), test=features(5, 1))
    scores, diagnostics = scored(method, file, **params)
    assert scores[method.SCORE.variants[0]]["test"].tolist() == [float(always)] * 5 and not diagnostics["fitted"]


def test_the_linear_probe_is_penalised_logistic_regression(tmp_path):
    file = record_file(tmp_path, lambda h: h[:, 3] + h[:, 4] > 1, valid=features(80, 1), test=features(20, 2))
    scores, diagnostics = scored(linear_probe, file)
    valid, test = (file[part].h.astype(np.float64) for part in ("valid", "test"))
    x = (valid - valid.mean(axis=0)) / valid.std(axis=0)
    error = valid[:, 3] + valid[:, 4] > 1
    strength = diagnostics["strength"]

    def objective(theta):
        margin = np.where(error, 1, -1) * (x @ theta[:-1] + theta[-1])
        return strength * np.logaddexp(0, -margin).sum() + np.square(theta[:-1]).sum() / 2

    best = minimize(objective, np.zeros(6), method="BFGS").x
    expected = expit((test - valid.mean(axis=0)) / valid.std(axis=0) @ best[:-1] + best[-1])
    np.testing.assert_allclose(scores["linear_probe"]["test"], expected, atol=2e-3)
