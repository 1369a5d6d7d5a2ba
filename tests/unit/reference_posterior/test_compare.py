"""The comparison end to end on made-up records: complete, repeatable, and read back as it was written."""

import numpy as np
import pytest

from peftuq import artifacts
from peftuq.reference_posterior import approximations, compare, file, nuts, variational
from peftuq.scores.information import mutual_information

pytestmark = pytest.mark.slow

SPEC = {"inputs": 3, "hidden": 3, "rank": 1, "alpha": 1, "half_lambda": 1, "dropout": 0.2, "examples": 20,
        "chains": 2, "warmup": 20, "draws": 20, "seed": 0}  # fmt: skip
METHODS = ["hmc", "map", "ensemble_5", "ensemble_20", "anchored_5", "anchored_20", "laplace", "mc_dropout", "swag",
           "ivon", "vbll", "sngp", "hmc_5", "hmc_20"]  # fmt: skip


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> artifacts.RecordFile:
    rng = np.random.default_rng(0)
    parts = {}
    for part, n in (("train", 40), ("valid", 30), ("test", 25), ("other", 10)):
        label = rng.integers(0, 2, n)
        h = (rng.normal(size=(n, 5)) + label[:, None] * [1.5, 0, 0, 0, 0]).astype(np.float32)
        parts[part] = artifacts.Record(np.arange(n), label, np.zeros((n, 2), np.float32), h)
    path = tmp_path_factory.mktemp("gold") / "seed0.safetensors"
    artifacts.write_records(path, parts, artifacts.Head(np.zeros((2, 5), np.float32)))
    return artifacts.RecordFile(path)


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Few of everything, and draws that cost nothing: the sampler has its own tests."""

    def sample(potential, starts, warmup, draws, seed):
        noise = np.random.default_rng(seed).normal(size=(len(starts), draws, starts.shape[1]))
        return nuts.Draws(starts[:, None] + 0.3 * noise, 0, 1.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nuts, "sample", sample)
        patch.setattr(approximations, "ADAM_STEPS", 20)
        patch.setattr(variational, "SWAG_STEPS", 40)
        patch.setattr(variational, "IVON_STEPS", 40)
        patch.setattr(compare, "SAMPLES", 10)
        yield


@pytest.fixture(scope="module")
def written(records, tmp_path_factory):
    predictions, facts = compare.compare(records, ["test", "other"], SPEC, lambda line: None)
    path = tmp_path_factory.mktemp("gold") / "gold.safetensors"
    file.write(path, predictions, facts)
    return path


def test_every_method_speaks_of_every_example(written):
    found = file.PosteriorFile(written)
    assert found.methods == METHODS and found.parts == ["test", "other"]
    for part, n in (("test", 25), ("other", 10)):
        for method in METHODS:
            predictions = found.predictions(part, method)
            assert predictions.probs.shape == (len(predictions.mi), n, 2)
            assert predictions.probs.sum(axis=2) == pytest.approx(1)
            assert predictions.mi.min() >= 0
    assert not found.predictions("test", "map").mi.any() and found.predictions("test", "ensemble_20").mi.any()
    assert found.facts["examples"] == 20 and found.facts["parameters"] == 3 + 3 + 3 + 2


def test_the_facts_agree_with_the_arrays(written):
    found = file.PosteriorFile(written)
    exact, own = found.predictions("other", "hmc"), found.predictions("other", "anchored_20")
    stated = found.facts["agreement"]["other"]["anchored_20"][0]
    assert stated["tv"] == pytest.approx(np.abs(own.probs[0, :, 0] - exact.probs[0, :, 0]).mean())
    assert stated["spearman"] == pytest.approx(
        np.corrcoef(*(np.argsort(np.argsort(mi[0])) for mi in (own.mi, exact.mi)))[0, 1]
    )
    assert [len(found.facts["agreement"]["test"][m]) for m in METHODS] == [1, 4, 4, 1, 4, 1, 4, 4, 4, 4, 1, 4, 4, 4]


def test_same_seed_same_bytes(records, written, tmp_path):
    predictions, facts = compare.compare(records, ["test", "other"], SPEC, lambda line: None)
    file.write(tmp_path / "again.safetensors", predictions, facts)
    assert (tmp_path / "again.safetensors").read_bytes() == written.read_bytes()


def test_spread_draws_are_disjoint_and_from_all_chains():
    draws = np.arange(400.0).reshape(400, 1, 1)
    sets = [set(chosen.ravel()) for chosen in compare._spread(draws, 20)]
    assert [len(s) for s in sets] == [20] * 4 and len(set.union(*sets)) == 80
    assert all({int(draw // 100) for draw in s} == {0, 1, 2, 3} for s in sets)


def test_the_small_ensembles_are_disjoint_parts_of_the_large(records):
    parts = compare._parts(records, ["test"], SPEC)
    posterior = compare._posterior(parts, SPEC)
    rng = np.random.default_rng(0)
    size = posterior.network.size
    fitted = compare.Fitted(rng.normal(size=(2, 50, size)), rng.normal(size=(20, size)), rng.normal(size=(20, size)),
                             np.stack([np.eye(size)] * 4), rng.normal(size=(4, size)), {}, {})  # fmt: skip
    samples = compare._samples(posterior.network, fitted, parts["test"].x, SPEC)
    assert np.array_equal(np.concatenate(samples["ensemble_5"]), samples["ensemble_20"][0])
    predictions = {method: compare._predictions(samples[method]) for method in ("ensemble_5", "ensemble_20")}
    assert np.array_equal(predictions["ensemble_20"].mi[0], mutual_information(samples["ensemble_20"][0]))
    assert predictions["ensemble_20"].probs[0] == pytest.approx(predictions["ensemble_5"].probs.mean(axis=0))
