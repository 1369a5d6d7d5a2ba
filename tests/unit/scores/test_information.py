import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import rel_entr
from scipy.stats import entropy as scipy_entropy

from peftuq.artifacts import SampleFile, Samples, write_samples
from peftuq.scores import information

# Weights with many exact zeros (missing options) over many orders of magnitude.
WEIGHTS = st.one_of(st.just(0.0), st.floats(1e-300, 1.0))
SHAPES = st.tuples(st.integers(1, 7), st.integers(1, 4), st.integers(2, 5))
PROBS = (
    hnp.arrays(np.float64, SHAPES, elements=WEIGHTS)
    .filter(lambda w: (w.sum(axis=-1) > 1e-290).all())
    .map(lambda w: w / w.sum(axis=-1, keepdims=True))
)


def random_probs(members, n, classes, seed=0):
    return np.random.default_rng(seed).dirichlet(np.full(classes, 0.5), size=(members, n))


@settings(deadline=None, max_examples=60)
@given(PROBS)
def test_mutual_information_is_in_its_range(probs):
    members, _, classes = probs.shape
    values = information.mutual_information(probs)
    assert np.isfinite(values).all()
    assert values.min() >= 0
    assert values.max() <= np.log(min(members, classes)) + 1e-12


@settings(deadline=None, max_examples=60)
@given(PROBS)
def test_mutual_information_is_what_the_members_do_not_share_of_the_entropy(probs):
    difference = scipy_entropy(probs.mean(axis=0), axis=-1) - information.expected_entropy(probs)
    np.testing.assert_allclose(information.mutual_information(probs), difference, atol=1e-13)


@settings(deadline=None, max_examples=60)
@given(PROBS)
def test_mutual_information_is_the_mean_divergence_from_the_mean(probs):
    divergence = rel_entr(probs, probs.mean(axis=0)).sum(axis=-1).mean(axis=0)
    np.testing.assert_allclose(information.mutual_information(probs), divergence, atol=1e-13)


@settings(deadline=None, max_examples=60)
@given(PROBS, st.integers(1, 20))
def test_identical_members_share_everything_exactly(probs, members):
    """Also for 3 or 7 members, whose mean of identical values is not those values in floating point."""
    identical = np.repeat(probs[:1], members, axis=0)
    assert (information.mutual_information(identical) == 0).all()
    assert (information.vote_disagreement(identical) == 0).all()


@settings(deadline=None, max_examples=60)
@given(PROBS, st.randoms(use_true_random=False))
def test_members_have_no_order(probs, random):
    shuffled = probs[random.sample(range(len(probs)), len(probs))]
    for of in (information.mutual_information, information.expected_entropy, information.vote_disagreement):
        np.testing.assert_allclose(of(shuffled), of(probs), atol=1e-14)


def test_small_disagreement_keeps_its_digits():
    """MI of p +- e in two classes is e^2 / (2 p (1 - p)): a difference of entropies has no digit left."""
    e = 1e-9
    probs = np.array([[[0.3 + e, 0.7 - e]], [[0.3 - e, 0.7 + e]]])
    np.testing.assert_allclose(information.mutual_information(probs), e**2 / (2 * 0.3 * 0.7), rtol=1e-5)


def test_members_sure_of_different_classes():
    probs = np.eye(4)[:, None, :]
    np.testing.assert_allclose(information.mutual_information(probs), [np.log(4)])
    np.testing.assert_array_equal(information.expected_entropy(probs), [0])
    np.testing.assert_array_equal(information.vote_disagreement(probs), [0.75])


def test_missing_option_changes_nothing():
    probs = random_probs(5, 20, 3)
    padded = np.concatenate([probs, np.zeros((5, 20, 1))], axis=-1)
    for of in (information.mutual_information, information.expected_entropy, information.vote_disagreement):
        np.testing.assert_allclose(of(padded), of(probs), rtol=1e-13)


def test_vote_disagreement_counts_against_the_modal_class():
    """Class 1 gets 3 of 5 votes though the mean probability prefers class 0: the variation ratio is 2/5."""
    probs = np.array([[0.99, 0.01], [0.99, 0.01], [0.45, 0.55], [0.45, 0.55], [0.45, 0.55]])[:, None, :]
    assert probs.mean(axis=0).argmax() == 0
    np.testing.assert_allclose(information.vote_disagreement(probs), [0.4])


@pytest.mark.parametrize("members", [2, 5])
def test_score_emits_every_variant_for_every_eval(tmp_path, members):
    parts = {
        part: Samples(np.arange(n), np.zeros(n, np.int64), random_probs(members, n, 4, seed))
        for seed, (part, n) in enumerate([("test", 7), ("shifted", 3)])
    }
    write_samples(tmp_path / "samples.safetensors", parts)
    scores, diagnostics = information.score(SampleFile(tmp_path / "samples.safetensors"), list(parts), {}, 0)
    assert list(scores) == information.SCORE.variants
    for part, samples in parts.items():
        for name in scores:
            expected = getattr(information, name)(samples.probs)
            np.testing.assert_array_equal(scores[name][part], expected)
            assert scores[name][part].dtype == np.float64
    assert diagnostics == {}
