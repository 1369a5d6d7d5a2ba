import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import decomposition
from sklearn.covariance import MinCovDet
from sklearn.kernel_approximation import Nystroem

from peftuq.artifacts import Head, Record, RecordFile, write_records
from peftuq.errors import UserError
from peftuq.representation import l2_normalised
from peftuq.scores import rde

# What scikit-learn warns of (no full rank, determinant has increased) has its cause removed, not its message.
pytestmark = pytest.mark.filterwarnings("error")


def inputs(folder, train, label, **evals):
    def record(h, label):
        n = len(h)
        return Record(np.arange(n), np.asarray(label, np.int64), np.zeros((n, 2), np.float32), h.astype(np.float32))

    parts = {"train": record(train, label)} | {part: record(h, np.zeros(len(h))) for part, h in evals.items()}
    write_records(folder / "records.safetensors", parts, Head(np.zeros((2, train.shape[1]), np.float32)))
    return RecordFile(folder / "records.safetensors")


def data(n=240, d=8, classes=2, seed=0, evals=30):
    """Classes with a tenth of their rows mislabelled: what a robust estimate is for."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=n)
    centres = rng.standard_normal((classes, d)) * 2
    label = np.where(rng.random(n) < 0.1, rng.integers(classes, size=n), truth)
    train = centres[truth] + rng.standard_normal((n, d))
    z = centres[rng.integers(classes, size=evals)] + 1.5 * rng.standard_normal((evals, d))
    return train.astype(np.float32).astype(float), label, z.astype(np.float32).astype(float)


def contaminated(n, p, share, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p)) @ (rng.standard_normal((p, p)) + 2 * np.eye(p))
    x[: int(share * n)] += 12
    return x[rng.permutation(n)]


def params(**changed):
    return rde.SCORE.params | changed


# -- against scikit-learn -----------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "p", "share"), [(200, 3, 0.2), (500, 20, 0.0), (300, 60, 0.1), (90, 2, 0.3)])
def test_mcd_equals_scikit_learn(n, p, share):
    """The same algorithm: given the same random numbers, the same estimate to the last digits."""
    x = contaminated(n, p, share)
    expected = MinCovDet(random_state=3).fit(x)
    fitted = rde.fit_mcd(x, np.random.RandomState(3))
    np.testing.assert_allclose(fitted.location, expected.location_, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(fitted.covariance, expected.covariance_, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(fitted.squared_distance(x), expected.mahalanobis(x), rtol=1e-7)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_mcd_of_many_rows_is_as_good_as_scikit_learn(share):
    x = contaminated(700, 4, share)
    expected = MinCovDet(random_state=0).fit(x)
    fitted = rde.fit_mcd(x, np.random.default_rng(0))
    ratio = fitted.squared_distance(x) / expected.mahalanobis(x)
    np.testing.assert_allclose(ratio, 1, atol=0.05)


def test_rde_equals_a_scikit_learn_pipeline(tmp_path):
    train, label, z = data()
    scores, _ = rde.score(inputs(tmp_path, train, label, test=z), ["test"], {"components": 3}, 0)
    for name, normalise in {"rde": lambda x: x, "rde_l2": l2_normalised}.items():
        pca = decomposition.KernelPCA(3, kernel="rbf").fit(normalise(train))
        projected = pca.transform(normalise(train))
        # Unit variance: MinCovDet compares the rank with an absolute number, and l2's variances are small.
        scale = projected.std(axis=0)
        classes = [MinCovDet(random_state=0).fit(projected[label == c] / scale) for c in (0, 1)]
        expected = np.min([c.mahalanobis(pca.transform(normalise(z)) / scale) for c in classes], axis=0)
        np.testing.assert_allclose(scores[name]["test"], expected, rtol=1e-6)
        assert scores[name]["test"].dtype == np.float64
    assert list(scores) == rde.SCORE.variants


def test_kernel_pca_equals_scikit_learn():
    train, _, z = data()
    expected = decomposition.KernelPCA(20, kernel="rbf").fit(train)
    fitted = rde.subsample_components(train, 20)
    scale = expected.transform(train).std(axis=0)
    # By magnitude: an eigenvector has no sign. Largest last here, first there.
    np.testing.assert_allclose(
        np.abs(fitted.transform(z)[:, ::-1]), np.abs(expected.transform(z) / scale), rtol=1e-6, atol=1e-9
    )
    np.testing.assert_allclose(np.cov(fitted.transform(train).T, bias=True), np.eye(20), atol=1e-9)


def test_nystroem_equals_scikit_learn():
    train, _, z = data()
    features = Nystroem(gamma=1 / 8, n_components=50, random_state=0).fit(train)
    expected = decomposition.PCA(10, whiten=True).fit(features.transform(train))
    fitted = rde.nystroem_components(features.components_, train, 10)
    unbiased = np.sqrt((len(train) - 1) / len(train))
    np.testing.assert_allclose(
        np.abs(fitted.transform(z)[:, ::-1]),
        np.abs(expected.transform(features.transform(z))) / unbiased,
        rtol=1e-6,
        atol=1e-9,
    )


# -- kernel PCA of a part of the rows -----------------------------------------------------------------


def test_the_two_kernel_pcas_agree_where_every_row_is_a_landmark():
    train, _, z = data()
    pcas = rde.subsample_components(train, 10), rde.nystroem_components(train, train, 10)
    np.testing.assert_allclose(*(np.abs(pca.transform(z)) for pca in pcas), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", ["subsample", "nystroem"])
def test_scores_of_a_part_of_the_rows_rank_like_those_of_all(method):
    train, label, z = (x if x.ndim == 1 else x * np.geomspace(2, 0.1, 8) for x in data(n=900, evals=200))
    every = rde.fit_rde(train, label, params(components=4), 0).distance(z)
    part = rde.fit_rde(train, label, params(components=4, kernel_pca=method, kpca_rows=300), 0)
    assert len(part.pca.landmarks) == 300
    assert np.corrcoef(every.argsort().argsort(), part.distance(z).argsort().argsort())[0, 1] > 0.95


@settings(deadline=None, max_examples=40)
@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    rows=st.integers(1, 100),
    seed=st.integers(0, 2**32 - 1),
)
def test_rows_are_drawn_by_share_of_class(counts, rows, seed):
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    drawn = rde.stratified_rows(label, rows, rng)
    assert len(set(drawn.tolist())) == len(drawn) == min(rows, len(label))
    share = np.array(counts) * len(drawn) / len(label)
    assert (np.abs(np.bincount(label[drawn], minlength=len(counts)) - share) < 1 + 1e-9).all()


@pytest.mark.parametrize("method", ["subsample", "nystroem"])
def test_each_kernel_pca_gives_the_rows_it_saw_unit_variance(method):
    train, label, _ = data()
    fitted = rde.fit_kernel_pca(train, label, 5, method, 60, np.random.default_rng(0))
    seen = fitted.transform(fitted.landmarks if method == "subsample" else train)
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(np.cov(seen.T, bias=True), np.eye(5), atol=1e-6)


def test_blocks_of_rows_change_nothing(monkeypatch):
    train, label, z = data()
    whole = rde.fit_kernel_pca(train, label, 5, "nystroem", 60, np.random.default_rng(0)).transform(z)
    monkeypatch.setattr(rde, "BLOCK", 7)
    blocks = rde.fit_kernel_pca(train, label, 5, "nystroem", 60, np.random.default_rng(0)).transform(z)
    np.testing.assert_allclose(blocks, whole, rtol=1e-6, atol=1e-9)


def test_mcd_leaves_outliers_out():
    """A fifth of the rows lie together elsewhere; mean and covariance of all rows would hide them."""
    rng = np.random.default_rng(0)
    x = np.vstack([rng.standard_normal((400, 4)), rng.standard_normal((100, 4)) + 6])
    robust = rde.fit_mcd(rng.permutation(x), rng)
    assert robust.squared_distance(x[400:]).min() > robust.squared_distance(x[:400]).max()
    plain = rde.Gaussian.of(x)
    assert plain.squared_distance(x[400:]).min() < plain.squared_distance(x[:400]).max()


# -- classes without an MCD ---------------------------------------------------------------------------


def fit_class(x, rows_per_component=2.0):
    return rde.fit_class(x, rows_per_component, np.random.default_rng(0))


def test_estimator_by_number_of_rows():
    x = contaminated(40, 10, 0.0)
    assert [fit_class(x[:n])[0] for n in (1, 2, 19, 20, 40)] == ["pooled", "oas", "oas", "mcd", "mcd"]
    assert fit_class(x, rows_per_component=5.0)[0] == "oas"


@pytest.mark.parametrize("n", [1, 2, 3, 12])
def test_estimates_of_few_rows_have_an_inverse(n):
    x = contaminated(n, 10, 0.0)
    _, gaussian = fit_class(x)
    np.testing.assert_allclose(gaussian.location, x.mean(axis=0))
    assert np.linalg.cond(gaussian.covariance) < 1e4
    assert np.isfinite(gaussian.squared_distance(contaminated(5, 10, 0.0, seed=1))).all()


def test_estimates_of_few_rows_are_of_the_right_size():
    """Two rows of a unit normal: their own variance is half of it, and would double their distances."""
    draws = np.random.default_rng(0).standard_normal((400, 2, 10))
    variance = np.mean([np.trace(fit_class(x)[1].covariance) / 10 for x in draws])
    np.testing.assert_allclose(variance, 1, atol=0.05)


def test_rows_on_a_hyperplane_have_no_mcd():
    x = contaminated(200, 6, 0.0)
    all_of_them, nearly, most_of_them, copies = x.copy(), x.copy(), x.copy(), x.copy()
    all_of_them[:, 2] = x[:, 1]
    nearly[:, 2] = x[:, 1] + 1e-6 * x[:, 2]
    most_of_them[:150, 2] = 0
    copies[:150] = x[0]
    for degenerate in (all_of_them, nearly, most_of_them, copies, np.repeat(x[:4], 50, axis=0)):
        estimator, gaussian = fit_class(degenerate)
        assert estimator == "oas"
        assert gaussian.is_definite()
    assert fit_class(np.repeat(x[:1], 200, axis=0))[0] == "pooled"


def test_fallback_measures_a_lone_example_by_the_common_covariance(tmp_path):
    """In these coordinates what the classes vary by is the identity, up to shrinkage."""
    train, label, _ = data()
    label[5] = 2
    fitted = rde.fit_rde(train, label, params(components=4), 0)
    assert {c: estimator for c, (estimator, _) in fitted.classes.items()} == {0: "mcd", 1: "mcd", 2: "pooled"}
    np.testing.assert_allclose(fitted.distance(train[5:6]), 0, atol=1e-9)
    x = fitted.pca.transform(train)
    residual = np.concatenate([x[label == c] - x[label == c].mean(axis=0) for c in range(3)])
    np.testing.assert_allclose(residual.T @ residual / len(x), np.eye(4), atol=0.25)
    _, diagnostics = rde.score(inputs(tmp_path, train, label, test=train[:3]), ["test"], {"components": 4}, 0)
    assert diagnostics["rde"]["estimators"] == {"0": "mcd", "1": "mcd", "2": "pooled"}


def test_hard_training_sets_give_finite_scores(tmp_path):
    train, label, z = data(n=60)
    constant = train.copy()
    constant[:, 3] = 0.1
    for rows, labels, evals in [
        (train, np.where(label == 1, 3, label), z),
        (constant, label, z),
        (np.concatenate([train] * 12, axis=1), label, np.concatenate([z] * 12, axis=1)),
        (train[:5], np.array([0, 0, 1, 1, 1]), z),
        (train[:3], np.arange(3), z),
        (train[:1], label[:1], z),
        (np.repeat(train[:1], 20, axis=0), np.arange(20) % 2, z),
        (np.repeat(train[:6], 10, axis=0), np.repeat([0, 0, 0, 1, 1, 1], 10), z),
        (train * 1e3, label, z),
        (train * 1e-6, label, z),
        (np.vstack([np.zeros((4, 8)), train[4:]]), label, np.zeros_like(z)),
    ]:
        scores, diagnostics = rde.score(inputs(tmp_path, rows, labels, test=evals), ["test"], {}, 0)
        for of in scores.values():
            assert np.isfinite(of["test"]).all()
            assert (of["test"] >= 0).all()
        json.dumps(diagnostics, allow_nan=False)


# -- the score ----------------------------------------------------------------------------------------


def test_same_seed_same_bytes_and_other_seed_other_rows():
    train, label, z = data(n=700)
    part = params(components=6, kpca_rows=200, mcd_rows=150)
    first, again, other = (rde.fit_rde(train, label, part, seed).distance(z) for seed in (0, 0, 1))
    assert first.tobytes() == again.tobytes()
    assert not np.allclose(first, other, rtol=1e-3)


def test_order_of_evaluation_examples_does_not_matter(tmp_path):
    train, label, z = data()
    order = np.random.default_rng(1).permutation(len(z))
    scores, _ = rde.score(inputs(tmp_path, train, label, test=z, shifted=z[order]), ["test", "shifted"], {}, 0)
    for of in scores.values():
        np.testing.assert_allclose(of["shifted"], of["test"][order], rtol=1e-9)


def test_rows_of_a_class_are_bounded(monkeypatch):
    train, label, _ = data(n=700)
    seen = []
    monkeypatch.setattr(rde, "fit_class", lambda x, *_: seen.append(len(x)) or ("", None))
    rde.fit_rde(train, label, params(mcd_rows=100), 0)
    assert seen == [100, 100]


def test_no_more_components_than_the_data_have(tmp_path):
    train, label, z = data(n=12)
    _, diagnostics = rde.score(inputs(tmp_path, train, label, test=z), ["test"], {}, 0)
    assert diagnostics["rde"]["components"] == 11
    assert diagnostics["rde"]["kpca_rows"] == 12


@pytest.mark.parametrize("changed", [{"kernel_pca": "full"}, {"spectral_norm": "train"}])
def test_unknown_parameter_is_a_user_error(tmp_path, changed):
    train, label, z = data()
    with pytest.raises(UserError, match=rf"{next(iter(changed))}: .* use "):
        rde.score(inputs(tmp_path, train, label, test=z), ["test"], changed, 0)
