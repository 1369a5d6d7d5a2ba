"""Bayesian last layers on stored z: bounds against quadrature, optima against autograd, exact Gaussian processes."""

import numpy as np
import pytest
import torch
from scipy.special import expit, log_softmax, logsumexp
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from peftuq import artifacts
from peftuq.artifacts import Head, Record, RecordFile
from peftuq.predictives import last_layer, sngp, vbll

PRIORS = vbll.Priors(variance=0.5, scale=0.8, degrees=1.0)


def examples(n, d=2, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    label = rng.integers(classes, size=n)
    return rng.normal(size=(n, d)) + 1.5 * np.eye(classes, d)[label], label, np.zeros((n, classes), dtype=bool)


def hermite(n):
    """Nodes and weights of the mean under a standard normal."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(n)
    return nodes, weights / weights.sum()


# -- VBLL -----------------------------------------------------------------------------------------------


def test_the_likelihood_bound_is_below_quadrature_and_exact_without_variance():
    rng = np.random.default_rng(0)
    mean, variance, label = rng.normal(size=(6, 2)), rng.uniform(0.1, 2, size=(6, 2)), rng.integers(2, size=6)
    nodes, weights = hermite(60)
    grid = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 2)
    joint = np.outer(weights, weights).ravel()
    present = np.zeros((6, 2), dtype=bool)
    bound, of = vbll.jensen_bound(mean, variance, label, present)
    for n in range(6):
        exact = joint @ log_softmax(mean[n] + np.sqrt(variance[n]) * grid, axis=1)[:, label[n]]
        assert exact - 0.6 < bound[n] < exact
    assert of.sum(axis=1) == pytest.approx(1)
    exact, _ = vbll.jensen_bound(mean, np.zeros_like(variance), label, present)
    np.testing.assert_allclose(exact, log_softmax(mean, axis=1)[np.arange(6), label])


def test_the_whole_bound_is_below_the_log_evidence_and_near_it():
    """Two options: all depends on w_1 - w_0 ~ N(0, 2 variance I), integrated out with the noise by quadrature."""
    x, label, missing = examples(8, d=1)
    layer = vbll.fit(x, label, missing, PRIORS)
    nodes, weights = hermite(50)
    grid = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 2)
    margins = np.sqrt(2 * PRIORS.variance) * grid @ vbll.features(x).T  # (G, N)
    noise = np.sqrt(np.exp(layer.log_noise).sum())
    signs = np.where(label == 1, 1.0, -1.0)
    likelihood = (weights * expit(signs[:, None] * (margins[:, :, None] + noise * nodes))).sum(axis=2)
    evidence = logsumexp(np.log(likelihood).sum(axis=1), b=np.outer(weights, weights).ravel())
    bound = vbll.jensen_bound(*layer.logits(x), label, missing)[0].sum() - vbll.divergence(layer, PRIORS.variance)
    assert evidence - 2.5 < bound < evidence


def test_the_divergence_is_torchs():
    rng = np.random.default_rng(1)
    layer = vbll.LastLayer(rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), np.zeros(3))
    normal = torch.distributions.Normal
    q = normal(torch.tensor(layer.mean), torch.tensor(layer.log_variance / 2).exp())
    p = normal(torch.zeros(3, 4).double(), torch.full((3, 4), 1.5).double().sqrt())
    assert vbll.divergence(layer, 1.5) == pytest.approx(torch.distributions.kl_divergence(q, p).sum().item())


def test_the_fit_is_the_optimum_that_automatic_differentiation_finds():
    x, label, missing = examples(20, classes=3)
    missing[::3, 2] = label[::3] != 2
    fitted = vbll.fit(x, label, missing, PRIORS)
    phi = torch.tensor(np.concatenate([x, np.ones((20, 1))], axis=1))
    masked = torch.tensor(np.where(missing, -np.inf, 0.0))
    mean, log_variance, log_noise = (
        torch.zeros(shape, dtype=torch.float64, requires_grad=True) for shape in ((3, 3), (3, 3), (3,))
    )

    def objective():
        f, spread = phi @ mean.T, phi**2 @ log_variance.exp().T + log_noise.exp()
        bound = (f[torch.arange(20), torch.tensor(label)] - torch.logsumexp(f + spread / 2 + masked, 1)).sum()
        q = torch.distributions.Normal(mean, (log_variance / 2).exp())
        kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, PRIORS.variance**0.5)).sum()
        precision = (-log_noise).exp()
        return kl - bound - ((PRIORS.degrees + 4) / 2 * precision.log() - PRIORS.scale / 2 * precision).sum()

    search = torch.optim.LBFGS(
        [mean, log_variance, log_noise], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-9
    )

    def closure():
        search.zero_grad()
        value = objective()
        value.backward()
        return value

    search.step(closure)
    for ours, theirs in zip(fitted, (mean, log_variance, log_noise), strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=2e-3)


# -- SNGP -----------------------------------------------------------------------------------------------


def test_random_features_tend_to_the_kernel():
    x = np.random.default_rng(0).normal(size=(6, 3))
    phi = sngp.RandomFeatures.draw(3, 40_000, 1.3, seed=0)(x)
    np.testing.assert_allclose(phi @ phi.T, RBF(1.3)(x), atol=0.03)


def test_the_posterior_is_that_of_the_exact_process_with_the_features_kernel():
    """Variances by the kernel trick: k(x, x) - k(x)ᵀ (K + W⁻¹)⁻¹ k(x), W = p (1 - p), and no gradient is left."""
    x, label, missing = examples(12, classes=3)
    features, ridge = sngp.RandomFeatures.draw(2, 200, 1.0, seed=0), 0.7
    process = sngp.fit(features, x, label, missing, ridge)
    phi, new = features(x), np.random.default_rng(1).normal(size=(5, 2))
    mean, variance = process.logits(new)
    probs = np.exp(log_softmax(phi @ process.mean.T, axis=1))
    np.testing.assert_allclose(phi.T @ (np.eye(3)[label] - probs), ridge * process.mean.T, atol=1e-5)
    np.testing.assert_allclose(mean, features(new) @ process.mean.T)
    k, cross, own = phi @ phi.T / ridge, features(new) @ phi.T / ridge, np.square(features(new)).sum(axis=1) / ridge
    for c in range(3):
        inner = np.linalg.inv(k + np.diag(1 / (probs[:, c] * (1 - probs[:, c]))))
        np.testing.assert_allclose(variance[:, c], own - np.einsum("na,ab,nb->n", cross, inner, cross), atol=1e-9)


def test_two_options_predict_as_scikit_learns_process():
    """The difference of two independent processes is one with twice the kernel."""
    x, label, missing = examples(25)
    process = sngp.fit(sngp.RandomFeatures.draw(2, 1500, 1.0, seed=0), x, label, missing, 1.0)
    exact = GaussianProcessClassifier(ConstantKernel(2.0) * RBF(1.0), optimizer=None).fit(x, label)
    mean, _ = process.logits(x)
    np.testing.assert_allclose(expit(mean[:, 1] - mean[:, 0]), exact.base_estimator_.pi_, atol=0.03)


def test_far_from_the_training_examples_the_process_knows_nothing():
    x, label, missing = examples(40)
    process = sngp.fit(sngp.RandomFeatures.draw(2, 500, 1.0, seed=0), x, label, missing, 1.0)
    (near, far) = (process.logits(at)[1].mean() for at in (x, x + 100))
    assert far == pytest.approx(1.0, abs=0.15) and near < 0.7 * far


# -- both, on records -----------------------------------------------------------------------------------


def record_file(folder, parts, options=3):
    def record(n, seed):
        rng = np.random.default_rng(seed)
        label = rng.integers(2, size=n)
        logits = rng.normal(size=(n, options)).astype(np.float32)
        logits[:, 2:] = -np.inf
        h = (rng.normal(size=(n, 4)) * [1, 20, 1, 0] + 5 + 3 * label[:, None]).astype(np.float32)
        return Record(np.arange(n), label, logits, h)

    path = folder / "records.safetensors"
    records = {part: record(n, seed) for seed, (part, n) in enumerate(parts.items())}
    artifacts.write_records(path, records, Head(np.zeros((options, 4), np.float32)))
    return RecordFile(path)


@pytest.mark.parametrize("method", [vbll, sngp])
def test_samples_are_distributions_over_the_options_that_are_there(tmp_path, method):
    file = record_file(tmp_path, {"train": 60, "valid": 30, "test": 20})
    params = {**method.PREDICTIVE.params, "draws": 200} | ({"features": 64} if method is sngp else {})
    samples, facts = method.predict([file], ["valid", "test"], params, 0, None)
    again, _ = method.predict([file], ["valid", "test"], params, 0, None)
    probs = samples["test"].probs
    assert probs.shape == (100, 20, 3) and probs.sum(axis=2) == pytest.approx(1)
    assert (probs[:, :, 2] == 0).all() and np.ptp(probs, axis=0)[:, 0].min() > 0
    assert np.array_equal(probs, again["test"].probs)
    assert (samples["test"].mean.argmax(axis=1) == file["test"].label).mean() > 0.8
    assert all(isinstance(fact, str) for fact in facts.values())


@pytest.mark.parametrize("method", [vbll, sngp])
def test_a_layer_may_be_fitted_on_valid_instead(tmp_path, method):
    file = record_file(tmp_path, {"valid": 30, "test": 10})
    params = {**method.PREDICTIVE.params, "draws": 100, "train_on": "valid"}
    samples, _ = method.predict([file], ["test"], params, 0, None)
    assert samples["test"].probs.shape == (100, 10, 3)


def test_scaled_rows_have_mean_squared_length_one_and_what_never_varied_stays_zero():
    z = np.random.default_rng(0).normal(size=(50, 7)) * [1, 1e-3, 1e3, 1, 1, 1, 0] + 4
    scaling = last_layer.Scaling.of(z)
    assert np.square(scaling(z)).sum(axis=1).mean() == pytest.approx(6 / 7)
    assert (scaling(z + 1)[:, 6] == 0).all()
