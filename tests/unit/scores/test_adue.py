"""AdUE end to end on small record files: against a naive implementation, and rule by rule."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch.nn import functional as F

from peftuq.artifacts import Head, Record, RecordFile, softmax, write_records
from peftuq.errors import UserError
from peftuq.scores.adue import method as adue
from peftuq.scores.adue import search

torch.set_num_threads(1)
SIZES = {"train": 160, "valid": 120, "test": 90, "shift": 40}
SMALL = {"lr": [1e-2, 1e-3], "epochs": [2, 1], "alpha": [0.0, 1.0], "beta": [0.01, 1.0], "batch_size": 32}


def parameters(**changes) -> dict:
    return {**adue.SCORE.params, **changes}


def problem(seed: int, classes: int, activation: str, sizes: dict = SIZES) -> tuple[dict[str, Record], Head]:
    """Gaussian classes, a tenth of the labels noise, and a classifier that was fitted on `train`."""
    rng, d = np.random.default_rng(seed), 12
    means, spread = rng.normal(0, 0.8, (classes, d)), np.linspace(0.3, 1.6, d)
    dense = {}
    if activation:
        dense = {
            "dense_weight": np.eye(d) * 0.7 + rng.normal(0, 0.1, (d, d)),
            "dense_bias": rng.normal(0, 0.1, d),
        }
    inner = Head(np.zeros((classes, d)), **dense, activation=activation)
    data = {}
    for part, n in sizes.items():
        label = rng.integers(classes, size=n)
        h = means[label] + rng.normal(size=(n, d)) * spread
        data[part] = h.astype(np.float32), np.where(rng.random(n) < 0.1, rng.integers(classes, size=n), label)
    model = LogisticRegression(C=1.0).fit(inner.representation(data["train"][0]), data["train"][1])
    out, bias = model.coef_, model.intercept_
    if classes == 2:
        out, bias = np.concatenate([-out, out]) / 2, np.concatenate([-bias, bias]) / 2
    arrays = {k: np.float32(v) for k, v in {"out_weight": out, "out_bias": bias, **dense}.items()}
    head = Head(**arrays, activation=activation)
    return {part: record(head, h, label) for part, (h, label) in data.items()}, head


def record(head: Head, h: np.ndarray, label: np.ndarray) -> Record:
    logits = head.representation(h) @ head.out_weight.T + (0 if head.out_bias is None else head.out_bias)
    return Record(np.arange(len(h)), label, logits.astype(np.float32), h)


@pytest.fixture
def stored(tmp_path):
    def store(records: dict[str, Record], head: Head) -> RecordFile:
        write_records(tmp_path / "records.safetensors", records, head)
        return RecordFile(tmp_path / "records.safetensors")

    return store


def error(part: Record) -> np.ndarray:
    return part.logits.argmax(1) != part.label


def tensors(head: Head) -> list[torch.Tensor]:
    names = ("dense_weight", "dense_bias", "out_weight", "out_bias")
    return [torch.tensor(getattr(head, name)) for name in names if getattr(head, name) is not None]


def naive_u(weights: list[torch.Tensor], h: torch.Tensor, activation: str, lam: float) -> torch.Tensor:
    *dense, out, bias = weights
    if dense:
        h = {"tanh": torch.tanh, "gelu": F.gelu}[activation](F.linear(h, *dense))
    smooth = torch.logsumexp(lam * torch.softmax(F.linear(h, out, bias), -1), -1) / lam
    return (1 - smooth).clamp(1e-7, 1 - 1e-7)


def naive_fit(head: Head, part: Record, lr, epochs, alpha, beta, lam, batch, seed) -> list[torch.Tensor]:
    initial = tensors(head)
    weights = [w.clone().requires_grad_() for w in initial]
    h, e = torch.tensor(part.h), torch.tensor(error(part)).float()
    response = torch.tensor(1 - softmax(part.logits).max(1)).float()
    optimizer = torch.optim.Adam(weights, lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * -(-len(h) // batch))
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for rows in torch.randperm(len(h), generator=generator).split(batch):
            u = naive_u(weights, h[rows], head.activation, lam)
            loss = F.binary_cross_entropy(u, e[rows]) + alpha * (u - response[rows]).square().mean()
            drift = sum((w - w0).square().sum() for w, w0 in zip(weights, initial, strict=True))
            optimizer.zero_grad()
            (loss + beta * drift).backward()
            optimizer.step()
            schedule.step()
    return [w.detach().double() for w in weights]


@pytest.mark.parametrize(("classes", "activation"), [(2, "tanh"), (4, "gelu"), (3, "")])
def test_equals_a_naive_implementation(stored, classes, activation):
    records, head = problem(3, classes, activation)
    result, notes = adue.score(stored(records, head), ["test"], parameters(**SMALL), seed=7)
    h = {part: torch.tensor(r.h).double() for part, r in records.items()}
    fits = {}
    for lr, epochs, alpha, beta in itertools.product(*(SMALL[k] for k in ("lr", "epochs", "alpha")), [0.0, 0.01, 1.0]):
        weights = naive_fit(head, records["train"], lr, epochs, alpha, beta, 100.0, 32, 7)
        u = {part: naive_u(weights, h[part], activation, 100.0).numpy() for part in ("valid", "test")}
        fits[lr, epochs, alpha, beta] = roc_auc_score(error(records["valid"]), u["valid"]), u["test"]
    members = {
        "adue": lambda alpha, beta: beta > 0,
        "adue_bce": lambda alpha, beta: alpha == beta == 0,
        "adue_bce_l2sp": lambda alpha, beta: alpha == 0 < beta,
        "adue_bce_reg": lambda alpha, beta: beta == 0 < alpha,
    }
    for variant, member in members.items():
        chosen = notes["selected"][variant]
        key = tuple(chosen[k] for k in ("lr", "epochs", "alpha", "beta"))
        assert member(*key[2:])
        assert chosen["valid_auroc"] == pytest.approx(fits[key][0], abs=1e-12)
        assert chosen["valid_auroc"] == pytest.approx(max(fits[k][0] for k in fits if member(*k[2:])), abs=1e-12)
        np.testing.assert_allclose(result[variant]["test"], fits[key][1], atol=1e-5)
    anchor = notes["selected"]["adue"]
    key = [anchor[k] for k in ("lr", "epochs", "alpha", "beta")]
    for lam in adue.LAMBDAS:
        chosen = notes["selected"][f"adue_lambda_{lam}"]
        assert [chosen[k] for k in ("lambda", "lr", "epochs", "alpha", "beta")] == [lam, *key]
        weights = naive_fit(head, records["train"], *key, float(lam), 32, 7)
        expected = naive_u(weights, h["test"], activation, float(lam)).numpy()
        np.testing.assert_allclose(result[f"adue_lambda_{lam}"]["test"], expected, atol=1e-5)


@pytest.mark.parametrize("activation", ["tanh", ""])
def test_random_starts_equal_a_naive_implementation(stored, activation):
    records, head = problem(4, 3, activation)
    one = {"lr": [1e-2], "epochs": [2], "alpha": [1.0], "beta": [0.1], "batch_size": 32}
    result, _ = adue.score(stored(records, head), ["test"], parameters(**one), seed=7)
    rng = np.random.default_rng(7)
    linear = Head(np.zeros((3, 12), np.float32), np.zeros(3, np.float32))
    for variant, like in (("adue_rand_cls", head), ("adue_random_linear", linear)):
        start = adue.random_head(like, 0.02, rng)
        weights = naive_fit(start, records["train"], 1e-2, 2, 1.0, 0.1, 100.0, 32, 7)
        expected = naive_u(weights, torch.tensor(records["test"].h).double(), start.activation, 100.0)
        np.testing.assert_allclose(result[variant]["test"], expected.numpy(), atol=1e-5)


def same(one: tuple, two: tuple) -> bool:
    arrays = (one[0][v][part].tobytes() == two[0][v][part].tobytes() for v in one[0] for part in one[0][v])
    return all(arrays) and one[1] == two[1]


def test_the_outputs_are_what_the_declaration_says(stored):
    assert adue.LAMBDAS == [10, 50, 200, 500, 1000]
    result, notes = adue.score(stored(*problem(0, 3, "tanh")), ["test", "shift"], parameters(**SMALL), seed=0)
    assert list(result) == adue.SCORE.variants == list(notes["selected"])
    for part, u in ((part, by_part[part]) for by_part in result.values() for part in ("test", "shift")):
        assert (u.dtype, u.shape) == (np.float64, (SIZES[part],))
        assert ((u >= 1e-7) & (u <= 1 - 1e-7)).all()
    json.dumps(notes, allow_nan=False)


def test_the_papers_grid_has_144_fits_and_the_ablations_are_its_neighbours():
    grid = adue.grid(parameters())
    assert [len(grid[v]) for v in ("adue", "adue_bce", "adue_bce_l2sp", "adue_bce_reg")] == [144, 9, 36, 27]
    assert grid["adue_bce_l2sp"] < grid["adue"]
    assert len(set().union(*grid.values())) == 180


@pytest.mark.parametrize(("seed", "classes", "activation"), [(0, 2, "tanh"), (1, 5, "gelu"), (2, 3, "")])
def test_default_grid_stays_near_or_beats_the_softmax_response_on_valid(stored, seed, classes, activation):
    records, head = problem(seed, classes, activation)
    _, notes = adue.score(stored(records, head), ["test"], parameters(), seed=0)
    response = roc_auc_score(error(records["valid"]), 1 - softmax(records["valid"].logits).max(1))
    assert notes["valid_auroc_sr"] == pytest.approx(response, abs=1e-12)
    assert notes["selected"]["adue"]["valid_auroc"] >= response - 0.002
    assert len(notes["fits"]) == 1 + 180 + 144 + 144 + 5


@pytest.mark.parametrize("activation", ["tanh", ""])
def test_the_head_as_it_is_stays_where_every_fit_is_worse_on_valid(stored, activation):
    records, head = problem(0, 3, activation)
    # Errors of train that speak against those of valid: whatever a fit learns is wrong there.
    train = records["train"]
    wrong = error(train)
    misled = np.where(wrong, train.logits.argmax(1), (train.logits.argmax(1) + 1) % 3)
    settings = parameters(**{**SMALL, "lr": [0.1, 0.3], "alpha": [0.0, 1e-9], "beta": [0.0, 1e-9]})
    records = {**records, "train": replace(train, label=misled)}
    result, notes = adue.score(stored(records, head), ["test"], settings, 0)
    for variant in ("adue", "adue_bce_l2sp"):
        chosen = notes["selected"][variant]
        assert [chosen[k] for k in ("lr", "epochs", "alpha", "beta")] == [0, 0, 0, 0]
        assert chosen["valid_auroc"] == pytest.approx(notes["valid_auroc_sr"], abs=0.002)
        weights = [w.double() for w in tensors(head)]
        expected = naive_u(weights, torch.tensor(records["test"].h).double(), activation, 100.0)
        np.testing.assert_allclose(result[variant]["test"], expected.numpy(), atol=1e-6)
    assert notes["selected"]["adue_lambda_10"]["epochs"] == 0


def test_same_seed_same_bytes(stored):
    file = stored(*problem(0, 3, "tanh"))
    one, two, other = (adue.score(file, ["test"], parameters(**SMALL), seed) for seed in (1, 1, 2))
    assert same(one, two)
    assert not same(one, other)


@pytest.mark.parametrize("activation", ["tanh", ""])
def test_the_number_of_heads_trained_at_once_changes_nothing(stored, monkeypatch, activation):
    file = stored(*problem(0, 3, activation))
    whole = adue.score(file, ["test"], parameters(**SMALL), 1)
    for cache in (1, 3 * 16 * 200):
        monkeypatch.setattr(search, "_CACHE", cache)
        parts = adue.score(file, ["test"], parameters(**SMALL), 1)
        assert parts[1]["selected"] == whole[1]["selected"]
        assert len(parts[1]["fits"]) == len(whole[1]["fits"])
        for variant, by_part in whole[0].items():
            np.testing.assert_allclose(parts[0][variant]["test"], by_part["test"], rtol=0, atol=1e-6)


def test_test_labels_and_other_evals_play_no_part(stored):
    records, head = problem(0, 3, "tanh")
    one = adue.score(stored(records, head), ["test"], parameters(**SMALL), 0)
    test, valid = records["test"], records["valid"]
    odd = {"test": replace(test, label=(test.label + 1) % 3), "shift": replace(test, h=test.h * 9)}
    assert same(one, adue.score(stored({**records, **odd}, head), ["test"], parameters(**SMALL), 0))
    odd = {"valid": replace(valid, label=(valid.label + 1) % 3)}
    assert not same(one, adue.score(stored({**records, **odd}, head), ["test"], parameters(**SMALL), 0))


def test_the_authors_code_and_its_random_linear_head(stored):
    """Balanced batches of 256, a rise of a tenth, U over 1 - 1/C; a sigmoid on one output, which is not divided."""
    records, head = problem(3, 3, "", {**SIZES, "train": 600})
    grid = {"lr": [1e-2], "epochs": [4], "alpha": [1.0], "beta": [0.01]}
    params = parameters(**grid, reference="code", random_linear="sigmoid")
    result, notes = adue.score(stored(records, head), ["test"], params, seed=7)
    assert {notes["selected"][variant]["epochs"] for variant in ("adue", "adue_random_linear")} == {4}
    rng = np.random.default_rng(7)
    search.random_head(head, 0.02, rng)
    single = search.random_head(Head(np.empty((1, 12), np.float32), np.empty(1, np.float32)), 0.02, rng)

    def smooth(weights, h):
        u = 1 - torch.logsumexp(100 * torch.softmax(F.linear(h, *weights), -1), -1) / 100
        return (u / (1 - 1 / 3)).clamp(1e-7, 1 - 1e-7)

    def sigmoid(weights, h):
        return torch.sigmoid(F.linear(h, *weights))[:, 0].clamp(1e-7, 1 - 1e-7)

    test, wrong = torch.tensor(records["test"].h).double(), torch.tensor(error(records["train"]))
    share = wrong.double().mean()
    drawn_by = torch.where(wrong, 1 / share, 1 / (1 - share))
    for variant, start, u_of in (("adue", head, smooth), ("adue_random_linear", single, sigmoid)):
        initial = tensors(start)
        weights = [w.clone().requires_grad_() for w in initial]
        h, e = torch.tensor(records["train"].h), wrong.float()
        response = torch.tensor(1 - softmax(records["train"].logits).max(1)).float()
        optimizer = torch.optim.Adam(weights, 1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=4 * 3, pct_start=0.1)
        generator = torch.Generator().manual_seed(7)
        for _ in range(4):
            for rows in torch.multinomial(drawn_by, 600, replacement=True, generator=generator).split(256):
                u = u_of(weights, h[rows])
                loss = F.binary_cross_entropy(u, e[rows]) + (u - response[rows]).square().mean()
                drift = sum((w - w0).square().sum() for w, w0 in zip(weights, initial, strict=True))
                optimizer.zero_grad()
                (loss + 0.01 * drift).backward()
                optimizer.step()
                schedule.step()
        expected = u_of([w.detach().double() for w in weights], test)
        np.testing.assert_allclose(result[variant]["test"], expected, atol=1e-4)
    # A draw takes errors as often as correct predictions.
    assert float(search.balanced(wrong.float())[wrong].sum()) == pytest.approx(600)
    assert float(search.balanced(wrong.float())[~wrong].sum()) == pytest.approx(600)


def test_train_on_valid_never_reads_train(stored):
    records, head = problem(0, 3, "")
    settings = parameters(**SMALL, train_on="valid")
    one = adue.score(stored(records, head), ["test"], settings, 0)
    assert same(one, adue.score(stored({**records, "train": records["shift"]}, head), ["test"], settings, 0))
    as_train = adue.score(stored({**records, "train": records["valid"]}, head), ["test"], parameters(**SMALL), 0)
    assert same(one, as_train)


def test_ties_go_to_the_fit_nearest_to_the_start():
    near, untouched = adue.Fit(1e-4, 5, 0.3, 0.5, 100.0), adue.Fit(0.0, 0, 0.0, 0.0, 100.0)
    assert near.rank(0.7) < untouched.rank(0.7) < near.rank(0.699)
    for farther in ({"lr": 1e-3}, {"epochs": 10}, {"beta": 0.1}, {"alpha": 0.1}, {"epochs": 10, "beta": 1.0}):
        other = replace(near, **farther)
        assert near.rank(0.7) < other.rank(0.7)
        assert other.rank(0.71) < near.rank(0.7)
        assert near.rank(None) < other.rank(None)


def test_valid_without_errors_selects_the_nearest_fit_and_says_so(stored):
    records, head = problem(0, 3, "")
    valid = records["valid"]
    right = replace(valid, label=valid.logits.argmax(1))
    _, notes = adue.score(stored({**records, "valid": right}, head), ["test"], parameters(**SMALL), 0)
    chosen = notes["selected"]["adue"]
    assert chosen["valid_auroc"] is None is notes["valid_auroc_sr"]
    assert [chosen[k] for k in ("lr", "epochs", "alpha", "beta")] == [1e-3, 1, 1.0, 1.0]


def test_clamped_examples_are_counted(stored):
    records, head = problem(0, 3, "")
    sharp = Head(head.out_weight * 6, head.out_bias * 6)
    records = {part: record(sharp, r.h, r.label) for part, r in records.items()}
    still = {**SMALL, "lr": [1e-13]}  # the heads stay where they start: U is a function of the logits alone
    result, notes = adue.score(stored(records, sharp), ["test"], parameters(**still), 0)
    p = softmax(sharp.representation(records["test"].h) @ sharp.out_weight.T.astype(float) + sharp.out_bias)
    u = 1 - np.log(np.exp(100 * p).sum(1)) / 100
    assert 0.1 < (u < 1e-7).mean() < 0.9
    np.testing.assert_allclose(result["adue"]["test"], u.clip(1e-7, 1 - 1e-7), rtol=1e-6, atol=1e-13)
    assert notes["selected"]["adue"]["clamped"] == {"test": (u < 1e-7).mean()}


@pytest.mark.parametrize("activation", ["tanh", ""])
def test_a_missing_option_leaves_the_problem_of_the_others(stored, activation):
    records, head = problem(0, 3, activation)
    rng = np.random.default_rng(0)
    extra = {
        "out_weight": np.vstack([head.out_weight, rng.normal(0, 3, (1, 12))]),
        "out_bias": [*head.out_bias, 5.0],
    }
    wider = Head(**{**vars(head), **{name: np.float32(array) for name, array in extra.items()}})
    pad = {"pad_width": ((0, 0), (0, 1)), "constant_values": -np.inf}
    masked = {part: replace(r, logits=np.pad(r.logits, **pad)) for part, r in records.items()}
    few = adue.score(stored(records, head), ["test"], parameters(**SMALL), 0)[0]
    many = adue.score(stored(masked, wider), ["test"], parameters(**SMALL), 0)[0]
    for variant in set(few) - {"adue_rand_cls", "adue_random_linear"}:  # their draws have other shapes
        np.testing.assert_allclose(many[variant]["test"], few[variant]["test"], rtol=0, atol=1e-6)


def test_random_heads_are_drawn_as_stated():
    ones = np.ones((300, 300), np.float32)
    drawn = adue.random_head(Head(ones[:5], None, ones, ones[0], "tanh"), 0.02, np.random.default_rng(0))
    assert drawn.out_bias is None
    assert (drawn.dense_bias == 0).all()
    assert drawn.activation == "tanh"
    for weight in (drawn.out_weight, drawn.dense_weight):
        assert weight.std() == pytest.approx(0.02, rel=0.05)
        assert abs(weight.mean()) < 1e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_on": "test"}, "methods.adue.train_on: must be train or valid"),
        ({"alpha": [0.0]}, "methods.adue.alpha: needs values"),
        ({"beta": [-1.0, 1.0]}, "methods.adue.beta: needs values"),
        ({"lr": []}, "methods.adue.lr: needs values"),
    ],
)
def test_grids_that_leave_a_variant_without_a_fit_are_refused(stored, change, message):
    with pytest.raises(UserError, match=message):
        adue.score(stored(*problem(0, 3, "")), ["test"], parameters(**change), 0)


# -- planning ------------------------------------------------------------------------------------------


def test_the_work_of_a_cell_is_that_of_the_papers_473_fits():
    """468 of them in equal numbers for each rate and number of epochs, and five of the selected one."""
    found = adue.work(adue.SCORE.params, 1000, 10)
    assert found == 6 * 1000 * 10 * (468 / 9 * 3 * (5 + 10 + 20) + 5 * 20)
