"""MLP probe for P(correct): a small network on z that is trained to tell the adapter's errors from its right answers.

Azaria and Mitchell (2023), SAPLMA: ReLU layers of 256, 128 and 64 units, a sigmoid, five epochs of Adam on the
cross-entropy; rate 10⁻³ and batches of 32 are Keras' defaults, which they leave. Theirs reads one token's hidden state,
as this reads z: nothing attends to other tokens.

Params
  train_on  "valid": answers that the adapter was not trained on, whose errors are like the test set's; or "train".
  l2        penalty on the squared weights; theirs has none.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from peftuq.artifacts import RecordFile
from peftuq.plugins import Score
from peftuq.scores.error_probability import Probe, apply, probe, probed, state

__all__ = ["SCORE", "apply", "fit_state", "score"]

SCORE = Score(
    version=1,
    reads="records",
    needs=["train", "valid", "head"],
    params={"train_on": "valid", "hidden": [256, 128, 64], "epochs": 5, "lr": 1e-3, "batch_size": 32, "l2": 0.0},
    bounds={
        "hidden": (1, 100_000),
        "epochs": (1, 10_000),
        "lr": (0, 1000),
        "batch_size": (1, 1_000_000),
        "l2": (0, None),
    },
    choices={"train_on": ["train", "valid"]},
    variants=["mlp_probe"],
    probabilities=["mlp_probe"],
)


def _fit(inputs: RecordFile, params: Mapping[str, Any], seed: int) -> tuple[Probe, MLPClassifier]:
    network = MLPClassifier(
        hidden_layer_sizes=params["hidden"],
        max_iter=params["epochs"],
        learning_rate_init=params["lr"],
        batch_size=min(params["batch_size"], len(inputs[params["train_on"]].id)),
        alpha=params["l2"],
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is given, not found
        return probe(inputs, params["train_on"], 1, network), network


def score(
    inputs: RecordFile, evals: Sequence[str], params: Mapping[str, Any], seed: int
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
    """P(error) (N,) on every evaluation set; `seed` draws weights and batches. Diagnostics: those of `probe`."""
    found, _ = _fit(inputs, params, seed)
    return {"mlp_probe": probed(inputs, evals, found)}, found.diagnostics


def fit_state(inputs: RecordFile, params: Mapping[str, Any], seed: int) -> dict[str, dict[str, np.ndarray]]:
    found, network = _fit(inputs, params, seed)
    layers = (network.coefs_, network.intercepts_) if found.fitted else ([], [])
    return {"mlp_probe": state(inputs.head, found, *layers)}
