import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import entropy as scipy_entropy

from peftuq.artifacts import Head, Record, SampleFile, Samples, write_records, write_samples
from peftuq.scores import softmax

# Weights with many exact zeros (missing options) over many orders of magnitude.
WEIGHTS = st.one_of(st.just(0.0), st.floats(1e-30, 1.0))
PROBS = (
    hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(2, 5)), elements=WEIGHTS)
    .filter(lambda w: (w.sum(axis=-1) > 0).all())
    .map(lambda w: w / w.sum(axis=-1, keepdims=True))
)


def samples_file(folder, probs):
    n = probs.shape[1]
    parts = {"test": Samples(np.arange(n), np.zeros(n, np.int64), probs)}
    write_samples(folder / "samples.safetensors", parts)
    return SampleFile(folder / "samples.safetensors")


@settings(deadline=None, max_examples=60)
@given(PROBS)
def test_scores_equal_their_definitions(probs):
    top = np.sort(probs, axis=-1)[:, ::-1]
    np.testing.assert_allclose(softmax.softmax_response(probs), 1 - top[:, 0], atol=1e-15)
    np.testing.assert_allclose(softmax.margin(probs), 1 - (top[:, 0] - top[:, 1]), atol=1e-15)
    np.testing.assert_allclose(softmax.entropy(probs), scipy_entropy(probs, axis=-1), atol=1e-14)


@settings(deadline=None, max_examples=60)
@given(PROBS)
def test_scores_stay_in_their_ranges(probs):
    classes = probs.shape[1]
    for values, top in [
        (softmax.softmax_response(probs), 1 - 1 / classes),
        (softmax.entropy(probs), np.log(classes)),
        (softmax.margin(probs), 1.0),
    ]:
        assert values.min() >= 0
        assert values.max() <= top + 1e-14


def test_uniform_and_one_hot():
    probs = np.array([[0.25] * 4, [0, 1, 0, 0]])
    np.testing.assert_allclose(softmax.softmax_response(probs), [0.75, 0])
    np.testing.assert_allclose(softmax.entropy(probs), [np.log(4), 0])
    np.testing.assert_allclose(softmax.margin(probs), [1, 0])


@pytest.mark.parametrize("variant", ["sr", "margin", "entropy"])
def test_very_confident_examples_keep_their_order(tmp_path, variant):
    """Logits 40 to 300 apart: 1 - max is 0 for all of them."""
    gaps = np.array([300.0, 40.0, 120.0, 60.0, 200.0])
    logits = np.stack([gaps, np.zeros(5), np.full(5, -np.inf)], axis=1)
    record = Record(np.arange(5), np.zeros(5, np.int64), logits.astype(np.float32), np.zeros((5, 2), np.float32))
    write_records(tmp_path / "records.safetensors", {"test": record}, Head(np.zeros((3, 2), np.float32)))
    scores, _ = softmax.score(SampleFile(tmp_path / "records.safetensors"), ["test"], {}, 0)
    np.testing.assert_array_equal(np.argsort(scores[variant]["test"]), np.argsort(-gaps))
    if variant == "sr":
        np.testing.assert_allclose(scores[variant]["test"], np.exp(-gaps), rtol=1e-6)


def test_probabilities_are_averaged_not_logits(tmp_path):
    """Averaged logits would give a normalised geometric mean, which has the last class at 0."""
    probs = np.array([[[0.9, 0.1, 0.0]], [[0.2, 0.5, 0.3]], [[0.1, 0.3, 0.6]]])
    scores, diagnostics = softmax.score(samples_file(tmp_path, probs), ["test"], {}, 0)
    mean = np.array([1.2, 0.9, 0.9]) / 3
    np.testing.assert_allclose(scores["sr"]["test"], [0.6])
    np.testing.assert_allclose(scores["margin"]["test"], [0.9])
    np.testing.assert_allclose(scores["entropy"]["test"], [-(mean * np.log(mean)).sum()])
    assert list(scores) == softmax.SCORE.variants
    assert scores["sr"]["test"].dtype == np.float64
    assert diagnostics == {}
