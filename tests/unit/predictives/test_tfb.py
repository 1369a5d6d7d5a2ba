"""Training-free Bayesianisation: the rotated adapter, its noise, and the search for the noise's size."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from asked import Adapted, examples, read_out

from peftuq.adapters import drawn
from peftuq.artifacts import softmax
from peftuq.predictives import tfb, tfb_code

SEED = 3
PARAMS = {**tfb.PREDICTIVE.params, "anchors": 10, "sigma": [0.01, 3.0], "steps": 4, "tolerance": 0.05}


def factors(r: int = 4, inputs: int = 7, outputs: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(r, inputs), torch.randn(outputs, r)


@pytest.mark.parametrize("outputs", [9, 3])
def test_the_rotated_factors_are_the_same_correction(outputs):
    A, B = factors(outputs=outputs)
    turned = tfb.rotated(A, B)
    torch.testing.assert_close(turned.B @ turned.A, B @ A)
    gram = turned.B.T @ turned.B
    torch.testing.assert_close(gram, torch.diag(gram.diag()), atol=1e-5, rtol=0)
    assert turned.A.shape == A.shape and turned.B.shape == B.shape


def test_a_direction_that_b_lacks_gets_no_noise():
    A, B = factors()
    B[:, 3] = B[:, 2]  # rank 3
    turned = tfb.rotated(A, B)
    assert (turned.scale != 0).sum() == 3 and turned.scale.isfinite().all()
    assert tfb.rotated(A, torch.zeros_like(B)).scale.eq(0).all()


def test_without_noise_the_samples_are_the_adapters_own_answers():
    adapted = Adapted(read_out(dropout=0.0))
    own = softmax(adapted.run(examples()).logits)
    posterior = tfb.Posterior(adapted.read_out, SEED)
    with drawn.weights(adapted.read_out, posterior.draw(0, 0.0)):
        np.testing.assert_allclose(softmax(adapted.run(examples()).logits), own, atol=1e-6)


def test_rows_of_a_have_noise_of_sigma_over_d_and_the_correction_the_same_in_every_direction():
    model = read_out(dropout=0.0)
    posterior, sigma = tfb.Posterior(model, SEED), 0.5
    name = next(iter(drawn.lora_layers(model)))
    B = dict(model.named_parameters())[drawn.factor(name, "B")].detach()
    d = torch.linalg.svdvals(B)
    mean, draws = (
        posterior.draw(0, 0.0)[drawn.factor(name, "A")],
        torch.stack([posterior.draw(m, sigma)[drawn.factor(name, "A")] for m in range(300)]),
    )
    std = (draws - mean).square().mean(dim=(0, 2)).sqrt()
    torch.testing.assert_close(std, sigma / d, rtol=0.05, atol=0)
    turned = posterior.draw(0, 0.0)[drawn.factor(name, "B")]
    noise = turned @ (draws - mean)  # σ U E: U has orthonormal columns
    assert noise.square().sum(dim=1).mean().item() == pytest.approx(sigma**2 * len(d), rel=0.05)


def change(adapted: Adapted, anchors, sigma: float, size: int = 2) -> float:
    """By its definition: the mean of `size` samples of the weights, against the adapter's own answers."""
    own = softmax(adapted.run(anchors).logits)
    answers = own.argmax(axis=1)
    posterior, sampled = tfb.Posterior(adapted.read_out, SEED), []
    for number in range(size):
        with drawn.weights(adapted.read_out, posterior.draw(number, sigma)):
            sampled.append(softmax(adapted.run(anchors).logits))
    nll = [-np.log(p[np.arange(len(answers)), answers]).mean() for p in (own, np.mean(sampled, axis=0))]
    return abs(nll[1] - nll[0]) / nll[0]


@pytest.mark.parametrize("reference", ["paper", "code"])
def test_sigma_is_that_of_a_scan(reference):
    adapted, data = Adapted(read_out(dropout=0.0)), {"train": examples(12), "test": examples(5)}
    anchors = data["train"].take(np.random.default_rng(SEED).permutation(12)[:10])
    params = {**PARAMS, "reference": reference, "tolerance": 0.05 if reference == "paper" else 0.005}
    _, facts = tfb.predict(adapted, data, ["test"], params, SEED, 2)
    low, high = PARAMS["sigma"]
    grid = np.linspace(low, high, 2 ** PARAMS["steps"] + 1)  # what a bisection may try
    over = np.array([change(adapted, anchors, s) for s in grid[1:-1]]) > 0.05  # of the code's: 0.05 / 10 anchors
    first = 1 + int(over.argmax())
    assert over.any() and not over[: first - 1].any() and over[first - 1 :].all()  # a scan with one threshold
    assert float(facts["sigma"]) == pytest.approx(grid[first - 1] if reference == "paper" else grid[first])


@pytest.mark.parametrize("reference, none, all_", [("paper", 1.0, 3.0), ("code", 1.0, 3.0)])
def test_a_range_without_a_threshold_ends_at_the_last_sigma_tried_or_at_its_edge(reference, none, all_):
    params = {"reference": reference, "sigma": [none, all_], "steps": 3, "tolerance": 0.1}
    kept, refused = tfb.search(lambda _: 0.0, params), tfb.search(lambda _: 1.0, params)
    assert (kept, refused) == ((2.75, 1.0) if reference == "paper" else (3.0, 1.25))


def test_samples_repeat_differ_and_leave_the_model_as_it_was():
    adapted, data = Adapted(read_out(dropout=0.0)), {"train": examples(12), "test": examples(5)}
    before = {name: value.clone() for name, value in adapted.read_out.state_dict().items()}
    first, facts = tfb.predict(adapted, data, ["test"], PARAMS, SEED, 3)
    again, _ = tfb.predict(adapted, data, ["test"], PARAMS, SEED, 3)
    other, _ = tfb.predict(adapted, data, ["test"], PARAMS, SEED + 1, 3)
    assert first["test"].probs.shape == (3, 5, 3) and float(facts["sigma"]) > 0
    assert np.array_equal(first["test"].probs, again["test"].probs)
    assert not np.array_equal(first["test"].probs, other["test"].probs)
    assert len(np.unique(first["test"].probs[:, 0, 0])) == 3
    assert all(torch.equal(value, before[name]) for name, value in adapted.read_out.state_dict().items())


def test_the_codes_reading_is_the_same_declaration_but_for_the_reference():
    ours, code = asdict(tfb.PREDICTIVE), asdict(tfb_code.PREDICTIVE)
    assert (ours["params"].pop("reference"), code["params"].pop("reference")) == ("paper", "code")
    assert ours == code and tfb_code.predict is tfb.predict
