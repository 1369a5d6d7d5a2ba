import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import covariance as sk

from peftuq import representation
from peftuq.artifacts import Head, Record, RecordFile, write_records
from peftuq.errors import UserError
from peftuq.scores import mahalanobis

VARIANTS = mahalanobis.SCORE.variants


def brute_force(train, label, z, invert):
    """MD and RMD one example, one class and one outer product at a time, straight from the definitions."""
    classes = sorted(set(label.tolist()))
    centroids = {c: sum(train[i] for i in range(len(train)) if label[i] == c) / (label == c).sum() for c in classes}
    mean = sum(train) / len(train)
    within = sum(np.outer(x - centroids[c], x - centroids[c]) for x, c in zip(train, label.tolist(), strict=True))
    background = sum(np.outer(x - mean, x - mean) for x in train)
    within, background = invert(within / len(train)), invert(background / len(train))
    md = np.array([min((x - m) @ within @ (x - m) for m in centroids.values()) for x in z])
    md0 = np.array([(x - mean) @ background @ (x - mean) for x in z])
    return md, md - md0


def inputs(folder, train, label, head=None, **evals):
    """A record file whose `h` are given, through a head that changes nothing unless one is given."""

    def record(h, label):
        n = len(h)
        return Record(np.arange(n), np.asarray(label, np.int64), np.zeros((n, 3), np.float32), h.astype(np.float32))

    parts = {"train": record(train, label)} | {part: record(h, np.zeros(len(h))) for part, h in evals.items()}
    path = folder / "records.safetensors"
    write_records(path, parts, head or Head(np.zeros((3, train.shape[1]), np.float32)))
    return RecordFile(path)


def data(n=120, d=6, classes=3, seed=0, evals=25):
    """float32-exact, correlated features of unequal scale; classes of unequal size, in random order."""
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((d, d)) * np.geomspace(0.1, 10, d)
    label = rng.choice(classes, size=n, p=np.arange(1, classes + 1) / sum(range(classes + 1)))
    centres = rng.standard_normal((classes, d)) * 2
    train = (centres[label] + rng.standard_normal((n, d))) @ mix + 5
    z = (centres[rng.integers(classes, size=evals)] + 2 * rng.standard_normal((evals, d))) @ mix + 5
    return train.astype(np.float32).astype(np.float64), label, z.astype(np.float32).astype(np.float64)


def fitted_scores(train, label, z, inverse="pinv"):
    fitted = mahalanobis.fit_class_gaussians(train, label, inverse)
    md = fitted.md(z)
    return md, md - fitted.md0(z)


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_distances_equal_brute_force(classes):
    train, label, z = data(classes=classes)
    for fast, slow in zip(fitted_scores(train, label, z), brute_force(train, label, z, np.linalg.inv), strict=True):
        np.testing.assert_allclose(fast, slow, rtol=1e-9, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 12), d=st.integers(1, 15), classes=st.integers(1, 5))
def test_singular_distances_equal_brute_force_pseudo_inverse(seed, n, d, classes):
    """Mostly fewer rows than dimensions, classes of one example and absent ones."""
    rng = np.random.default_rng(seed)
    train, label, z = rng.standard_normal((n, d)), rng.integers(classes, size=n), rng.standard_normal((5, d))
    slow = brute_force(train, label, z, lambda m: np.linalg.pinv(m, rcond=1e-12, hermitian=True))
    for fast, expected in zip(fitted_scores(train, label, z), slow, strict=True):
        np.testing.assert_allclose(fast, expected, rtol=1e-6, atol=1e-6)


def test_training_rows_have_the_mean_distances_of_maximum_likelihood():
    """Divided by N, the distances of training rows to their centroid and to the mean are d on average."""
    train, _, _ = data(classes=1, n=40)
    fitted = mahalanobis.fit_class_gaussians(train, np.zeros(40, int), "pinv")
    np.testing.assert_allclose(fitted.md(train).mean(), train.shape[1])
    np.testing.assert_allclose(fitted.md0(train).mean(), train.shape[1])
    # One class: both Gaussians are the same one.
    np.testing.assert_allclose(fitted.md(train), fitted.md0(train))


def test_every_variant_through_the_record_file(tmp_path):
    train, label, z = data()
    scores, diagnostics = mahalanobis.score(inputs(tmp_path, train, label, test=z), ["test"], {}, 0)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (train, z)]
    md, rmd = brute_force(train, label, z, np.linalg.inv)
    md_l2, rmd_l2 = brute_force(unit[0], label, unit[1], np.linalg.inv)
    assert list(scores) == VARIANTS
    for name, expected in {"md": md, "rmd": rmd, "md_l2": md_l2, "rmd_l2": rmd_l2}.items():
        np.testing.assert_allclose(scores[name]["test"], expected, rtol=1e-6)
        assert scores[name]["test"].dtype == np.float64
    assert json.loads(json.dumps(diagnostics))["md"] == {
        "rank": 6,
        "background_rank": 6,
        "classes": [0, 1, 2],
    }


def test_distances_do_not_depend_on_units_or_rotation():
    """float64 throughout: an affine map of condition 1e4, far from the origin, changes no digit here."""
    train, label, z = data()
    rng = np.random.default_rng(1)
    q, _ = np.linalg.qr(rng.standard_normal((6, 6)))
    mapped = [x @ (q * np.geomspace(1e-2, 1e2, 6)) + 1e3 for x in (train, z)]
    for a, b in zip(fitted_scores(train, label, z), fitted_scores(mapped[0], label, mapped[1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_order_of_examples_does_not_matter(tmp_path):
    train, label, z = data()
    order, train_order = (
        np.random.default_rng(2).permutation(len(z)),
        np.random.default_rng(3).permutation(len(train)),
    )
    plain, _ = mahalanobis.score(inputs(tmp_path, train, label, test=z), ["test"], {}, 0)
    moved, _ = mahalanobis.score(
        inputs(tmp_path, train[train_order], label[train_order], test=z[order]), ["test"], {}, 0
    )
    for name in VARIANTS:
        np.testing.assert_allclose(moved[name]["test"], plain[name]["test"][order], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("inverse", ["pinv", "shrinkage"])
def test_hard_training_sets_give_finite_scores(tmp_path, inverse):
    train, label, z = data(n=30)
    one_example = np.where(label == 2, 0, label)
    one_example[4] = 2
    constant = train.copy()
    constant[:, 3] = 0.1
    wide = np.concatenate([train] * 8, axis=1)
    zero = train.copy()
    zero[0] = 0
    for rows, labels, evals in [
        (train, one_example, z),
        (train, np.where(label == 1, 0, label), z),
        (constant, label, z),
        (wide, label, np.concatenate([z] * 8, axis=1)),
        (zero, label, np.zeros_like(z)),
        (train[:1], label[:1], z),
        (np.repeat(train[:3], 10, axis=0), np.repeat([0, 1, 2], 10), z),
    ]:
        scores, diagnostics = mahalanobis.score(
            inputs(tmp_path, rows, labels, test=evals), ["test"], {"inverse": inverse}, 0
        )
        assert all(np.isfinite(of["test"]).all() for of in scores.values())
        assert all((scores[name]["test"] >= 0).all() for name in ("md", "md_l2"))
        json.dumps(diagnostics, allow_nan=False)


def test_absent_class_has_no_centroid():
    train, label, z = data()
    relabelled = np.where(label == 2, 7, label)
    fitted = mahalanobis.fit_class_gaussians(train, relabelled, "pinv")
    assert fitted.classes.tolist() == [0, 1, 7]
    assert fitted.centroids.shape == (3, 6)
    np.testing.assert_allclose(fitted.md(z), fitted_scores(train, label, z)[0])


def test_pseudo_inverse_ignores_what_training_does_not_span_and_shrinkage_does_not():
    train, label, z = data()
    flat = train.copy()
    flat[:, 0] = 0.1
    away = z.copy()
    away[:, 0] += 1e3
    np.testing.assert_allclose(fitted_scores(flat, label, away)[0], fitted_scores(flat, label, z)[0])
    assert (fitted_scores(flat, label, away, "shrinkage")[0] > fitted_scores(flat, label, z, "shrinkage")[0]).all()


@pytest.mark.parametrize(("n", "d"), [(8, 20), (60, 5), (2000, 4)])
def test_shrinkage_equals_scikit_learn(n, d):
    train, label, _ = data(n=n, d=d)
    classes = np.unique(label)
    residual = train - np.stack([train[label == c].mean(axis=0) for c in classes])[np.searchsorted(classes, label)]
    within, _ = sk.ledoit_wolf(residual, assume_centered=True)
    background, _ = sk.ledoit_wolf(train)
    fitted = mahalanobis.fit_class_gaussians(train, label, "shrinkage")
    for whitening, expected in [(fitted.within, within), (fitted.background, background)]:
        np.testing.assert_allclose(np.linalg.inv(whitening @ whitening.T), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("spread", [1e-3, 1e-9, 1e-15, 0.0])
def test_whitening_is_the_pseudo_inverse_either_side_of_its_tolerance(spread):
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))
    values = np.array([3.0, 2.0, 1.0, spread])
    inverted = np.where(values > 3e-12, 1 / np.maximum(values, 1e-300), 0)
    whitening = mahalanobis.whitening((q * values) @ q.T)
    assert whitening.shape == (4, (inverted > 0).sum())
    np.testing.assert_allclose(whitening @ whitening.T, (q * inverted) @ q.T, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_posthoc_spectral_norm_divides_the_dense_weight_only(tmp_path, activation):
    train, label, z = data()
    rng = np.random.default_rng(5)
    dense = Head(
        out_weight=np.zeros((3, 6), np.float32),
        dense_weight=rng.standard_normal((6, 6)).astype(np.float32),
        dense_bias=rng.standard_normal(6).astype(np.float32),
        activation=activation,
    )
    divided = replace(dense, dense_weight=dense.dense_weight / np.linalg.svd(dense.dense_weight)[1][0])
    scored = {}
    for name, head, norm in [
        ("posthoc", dense, "posthoc"),
        ("by_hand", divided, "none"),
        ("none", dense, "none"),
    ]:
        scored[name], _ = mahalanobis.score(
            inputs(tmp_path, train / 50, label, head=head, test=z / 50), ["test"], {"spectral_norm": norm}, 0
        )
    for variant in VARIANTS:
        np.testing.assert_allclose(scored["posthoc"][variant]["test"], scored["by_hand"][variant]["test"], rtol=1e-3)
        assert not np.allclose(scored["posthoc"][variant]["test"], scored["none"][variant]["test"], rtol=1e-2)


def test_spectral_norm_leaves_a_head_without_dense_layer():
    head = Head(np.ones((3, 6), np.float32))
    assert representation.spectrally_normalised(head, "posthoc") is head


@pytest.mark.parametrize("params", [{"inverse": "cholesky"}, {"spectral_norm": "train"}])
def test_unknown_parameter_is_a_user_error(tmp_path, params):
    train, label, z = data()
    (key,) = params
    with pytest.raises(UserError, match=rf"{key}: .* use "):
        mahalanobis.score(inputs(tmp_path, train, label, test=z), ["test"], params, 0)
