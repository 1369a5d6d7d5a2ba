"""Predictives that need no model: ensembles, checkpoint ensembles, temperature, and ensembles through training."""

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from peftuq import artifacts
from peftuq.artifacts import EpochFile, Head, Record, RecordFile, SampleFile, Samples
from peftuq.errors import UserError
from peftuq.evaluation import training_dynamics
from peftuq.predictives import checkpoint_ensemble, ensemble, posterior_ensemble, temperature

N, C = 40, 3


def record(seed: int, n: int = N, scale: float = 2.0) -> Record:
    rng = np.random.default_rng(seed)
    logits = (rng.normal(size=(n, C)) * scale).astype(np.float32)
    label = np.random.default_rng(0).integers(0, C, n)
    return Record(np.arange(n), label, logits, rng.normal(size=(n, 4)).astype(np.float32))


def record_file(tmp_path, seed: int, **parts: Record) -> RecordFile:
    path = tmp_path / f"{seed}.safetensors"
    artifacts.write_records(path, parts or {"test": record(seed)}, Head(np.zeros((C, 4), np.float32)))
    return RecordFile(path)


def epoch_file(tmp_path, seed: int, epochs: int = 3) -> EpochFile:
    path = tmp_path / f"epochs{seed}.safetensors"
    records = [{part: record(100 * seed + 10 * e + len(part)) for part in ("valid", "test")} for e in range(epochs)]
    artifacts.write_epochs(path, records)
    return EpochFile(path)


def softmax(logits: np.ndarray) -> np.ndarray:
    return scipy.special.softmax(logits.astype(np.float64), axis=-1)


def test_members_are_averaged_as_probabilities_not_logits(tmp_path):
    files = [record_file(tmp_path, seed) for seed in range(3)]
    samples, _ = ensemble.predict(files, ["test"], {}, 0, 3)
    logits = np.stack([record(seed).logits for seed in range(3)])
    np.testing.assert_allclose(samples["test"].mean, softmax(logits).mean(axis=0), atol=1e-12)
    assert np.abs(samples["test"].mean - softmax(logits.mean(axis=0))).max() > 0.01


def test_members_must_have_answered_the_same_examples(tmp_path):
    files = [record_file(tmp_path, 0), record_file(tmp_path, 1, test=record(1, N - 1))]
    with pytest.raises(ValueError, match="same examples"):
        ensemble.predict(files, ["test"], {}, 0, 2)


def test_samples_survive_their_file(tmp_path):
    samples, _ = ensemble.predict([record_file(tmp_path, seed) for seed in range(2)], ["test"], {}, 0, 2)
    artifacts.write_samples(tmp_path / "s.safetensors", samples)
    read = SampleFile(tmp_path / "s.safetensors")["test"]
    assert np.array_equal(read.probs, samples["test"].probs) and np.array_equal(read.label, samples["test"].label)


def test_checkpoint_ensemble_is_the_last_epochs(tmp_path):
    file = epoch_file(tmp_path, 1)
    samples, _ = checkpoint_ensemble.predict([file], ["test"], {}, 0, 2)
    expected = np.stack([softmax(record(100 + 10 * e + 4).logits) for e in (1, 2)])
    np.testing.assert_allclose(samples["test"].probs, expected, atol=1e-12)
    with pytest.raises(UserError, match="trains 3 epochs"):
        checkpoint_ensemble.predict([file], ["test"], {}, 0, 4)


@given(st.integers(0, 1000), st.floats(0.2, 5))
def test_temperature_is_the_best_one_and_keeps_the_prediction(seed, scale):
    found = record(seed, scale=scale)
    t = temperature.fit(found.logits, found.label, [0.01, 100.0])

    def nll(at: float) -> float:
        log_probs = scipy.special.log_softmax(found.logits.astype(np.float64) / at, axis=1)
        return -log_probs[np.arange(N), found.label].mean()

    grid = np.exp(np.linspace(np.log(0.02), np.log(50), 200))
    assert nll(t) <= min(map(nll, grid)) + 1e-6
    assert (softmax(found.logits / t).argmax(1) == found.logits.argmax(1)).all()


def test_temperature_is_fitted_on_valid_alone(tmp_path):
    valid, test = record(0), record(1)
    _, one = temperature.predict([record_file(tmp_path, 0, valid=valid, test=test)], ["test"],
                                 temperature.PREDICTIVE.params, 0, None)  # fmt: skip
    wrong = Record(test.id, (test.label + 1) % C, test.logits, test.h)
    _, two = temperature.predict([record_file(tmp_path, 1, valid=valid, test=wrong)], ["test"],
                                 temperature.PREDICTIVE.params, 0, None)  # fmt: skip
    assert one == two


def test_groups_are_disjoint_and_the_first_is_a_prefix():
    assert training_dynamics.groups(20, 5) == [list(range(s, s + 5)) for s in (0, 5, 10, 15)]
    assert training_dynamics.groups(7, 5) == [[0, 1, 2, 3, 4]]


def test_curves_have_a_row_for_every_part_epoch_size_and_group(tmp_path):
    members = [epoch_file(tmp_path, seed) for seed in range(4)]
    rows = training_dynamics.curves(members, [1, 2, 4])
    assert len(rows) == 2 * 3 * (4 + 2 + 1)
    assert all(row["mutual_information"] == 0 for row in rows if row["size"] == 1)
    one = next(r for r in rows if (r["part"], r["epoch"], r["size"], r["first"]) == ("test", 2, 2, 2))
    probs = np.stack([softmax(record(100 * seed + 10 + 4).logits) for seed in (2, 3)])
    mean = probs.mean(axis=0)
    assert one["entropy"] == pytest.approx(-(mean * np.log(mean)).sum(axis=1).mean())
    within = -(probs * np.log(probs)).sum(axis=2).mean()
    assert one["mutual_information"] == pytest.approx(one["entropy"] - within)


def test_examples_of_a_trace_lie_in_the_feasible_region(tmp_path):
    arrays = training_dynamics.examples([epoch_file(tmp_path, seed) for seed in range(3)], 3)
    for epoch in (1, 2, 3):
        h, mi = (arrays[f"{epoch}/test/{name}"] for name in ("entropy", "mutual_information"))
        assert h.shape == mi.shape == (N,) and (mi >= 0).all() and (mi <= h + 1e-12).all() and (h <= np.log(C)).all()


def test_pool_keeps_labels_and_order():
    samples = [Samples(np.arange(2), np.array([1, 0]), np.full((1, 2, 2), 0.5)) for _ in range(3)]
    pooled = ensemble.pool(samples)
    assert pooled.probs.shape == (3, 2, 2) and pooled.label.tolist() == [1, 0]


def test_an_ensemble_of_posteriors_is_the_mixture_of_its_members(tmp_path):
    files, members = [], []
    for seed in (0, 1):
        probs = softmax(np.random.default_rng(seed).normal(size=(3, N, C)))
        members.append(Samples(np.arange(N), np.zeros(N, int), probs))
        artifacts.write_samples(tmp_path / f"{seed}.safetensors", {"test": members[-1]}, {})
        files.append(SampleFile(tmp_path / f"{seed}.safetensors"))
    found = posterior_ensemble.predict(files, ["test"], {}, 0, 2)[0]["test"]
    assert found.probs.shape == (6, N, C)
    np.testing.assert_allclose(found.mean, (members[0].mean + members[1].mean) / 2, rtol=1e-12)
