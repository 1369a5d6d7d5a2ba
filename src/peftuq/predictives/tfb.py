"""Training-free Bayesianisation of a LoRA adapter (TFB, Shi et al. 2024, arXiv 2412.05723).

With B = U diag(d) Vᵀ the adapter is B A = B' A' for B' = U diag(d) and A' = Vᵀ A, and its posterior
A'_ij ~ N((Vᵀ A)_ij, (σ/d_i)²): the correction has noise σ U E, E standard normal, of the same size in all directions
of B. σ is the largest in a range that keeps the negative log-likelihood of the adapter's own answers on anchors
(examples of train, whose labels are not used), |NLL(σ) - NLL(0)| ≤ tolerance · NLL(0), found by bisection.

Paper and code (Wang-ML-Lab/bayesian-peft, `tfblora.py`) disagree, and `reference` chooses: the code divides the change
by the number of anchors, and keeps the smallest σ it tried that changes too much, or the largest of the range. It also
turns the noise's sign at random for every position of an input; here, as in the paper, a sample is one draw of weights.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from peftuq.adapters import drawn
from peftuq.adapters.adapted import Adapted
from peftuq.artifacts import Samples, softmax
from peftuq.plugins import Predictive
from peftuq.predictives import passes
from peftuq.progress import Progress

PREDICTIVE = Predictive(
    version=1,
    reads="adapter",
    needs=["lora", "train"],
    sized=True,
    samples=True,
    params={
        "reference": "paper",  # which reading of the criterion; or "code"
        "tolerance": 0.003,  # relative change of the NLL
        "anchors": 500,  # examples of train
        "sigma": (0.001, 0.015),  # the range
        "steps": 5,  # of the bisection
    },
    bounds={"tolerance": (0, None), "anchors": (1, None), "sigma": (0, None), "steps": (1, 50)},
    choices={"reference": ["paper", "code"]},
)
NEGLIGIBLE = 1e-6  # of the largest singular value: directions that B does not have get no noise


class Rotated(NamedTuple):
    """A layer's factors in the basis of B's singular vectors, and 1/d_i, the size of the noise on row i of A'."""

    A: Tensor
    B: Tensor
    scale: Tensor


def rotated(A: Tensor, B: Tensor) -> Rotated:
    """A' (r, i), B' (o, r) and 1/d (r, 1) of factors A (r, i) and B (o, r); computed in float64 on the CPU.

    Directions without a singular value, and those beyond a B with o < r, have 1/d = 0.
    """
    U, d, Vt = torch.linalg.svd(B.detach().double().cpu(), full_matrices=False)
    missing = (0, B.shape[1] - len(d))
    has = d > NEGLIGIBLE * d.max()
    scale = F.pad(torch.where(has, 1 / torch.where(has, d, 1.0), 0.0), missing)[:, None]
    turned = F.pad(Vt @ A.detach().double().cpu(), (0, 0, *missing))
    return Rotated(turned.to(A), F.pad(U * d, missing).to(B), scale.to(A))


class Posterior:
    """The posterior of a model's adapter; σ is given with each draw."""

    def __init__(self, model: nn.Module, seed: int):
        parameters = dict(model.named_parameters())
        self._model, self._seed = model, seed
        self._layers = {
            name: rotated(*(parameters[drawn.factor(name, of)] for of in "AB")) for name in drawn.lora_layers(model)
        }

    def draw(self, number: int, sigma: float) -> dict[str, Tensor]:
        """Factors by their parameters' names; of one number all σ share their noise E."""
        generator = drawn.generator(self._seed, number)
        found = {}
        for name, layer in self._layers.items():
            found[drawn.factor(name, "A")] = layer.A + sigma * layer.scale * drawn.normal(layer.A, generator)
            found[drawn.factor(name, "B")] = layer.B
        return found

    def draws(self, size: int, sigma: float) -> Iterator[AbstractContextManager[None]]:
        """Blocks inside which the model has the factors of a draw."""
        return (drawn.weights(self._model, self.draw(number, sigma)) for number in range(size))


def search(change: Callable[[float], float], params: Mapping[str, Any]) -> float:
    """σ by bisection; `change(σ)`: what is compared with the tolerance."""
    low, high = params["sigma"]
    largest_kept, smallest_refused = low, high
    for _ in range(params["steps"]):
        middle = (low + high) / 2
        if change(middle) > params["tolerance"]:
            smallest_refused = high = middle
        else:
            largest_kept = low = middle
    return float(largest_kept if params["reference"] == "paper" else smallest_refused)


def relative_change(nll: float, own: float) -> float:
    """|NLL(σ) - NLL(0)| / NLL(0): infinite where an adapter without any doubt gets some."""
    return abs(nll - own) / own if own > 0 else float("inf" if nll > 0 else 0)


def predict(
    adapted: Adapted,
    data: Mapping[str, Mapping[str, Any]],
    evals: Sequence[str],
    params: Mapping[str, Any],
    seed: int,
    size: int | None,
) -> tuple[dict[str, Samples], dict[str, str]]:
    """`size` samples of each evaluation set; in the search for σ each σ has as many."""
    assert size is not None  # as `sized`
    train = adapted.encode(data["train"])
    anchors = train.take(np.random.default_rng(seed).permutation(len(train))[: params["anchors"]])
    encoded = {part: adapted.encode(data[part]) for part in evals}
    examples = (1 + size * params["steps"]) * len(anchors) + size * sum(map(len, encoded.values()))
    progress = Progress(adapted.log, "passes", examples, "examples")
    posterior = Posterior(adapted.read_out, seed)
    logits = adapted.run(anchors, progress).logits
    answers = logits.argmax(axis=1)

    def nll(probabilities: np.ndarray) -> float:
        chosen = np.take_along_axis(probabilities, answers[:, None], axis=1)
        return float(-np.log(chosen.clip(min=1e-12)).mean())

    def change(sigma: float) -> float:
        samples = passes.predict(adapted, {"anchors": anchors}, posterior.draws(size, sigma), progress)
        found = relative_change(nll(samples["anchors"].mean), own)
        return found / len(anchors) if params["reference"] == "code" else found

    own = nll(softmax(logits))
    sigma = search(change, params)
    adapted.log(f"sigma {sigma:g}")
    return passes.predict(adapted, encoded, posterior.draws(size, sigma), progress), {"sigma": repr(sigma)}
