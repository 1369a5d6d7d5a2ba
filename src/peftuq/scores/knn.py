"""Distance to the k-th nearest training example, on z (`knn`) and on z at length 1 (`knn_l2`).

Sun et al. (2022), Out-of-distribution detection with deep nearest neighbors, section 3. They normalise z: between rows
of length 1 the Euclidean distance d orders examples as the cosine distance d² / 2 does. `k`: 10; theirs is 50 for
50,000 training images, and is chosen by the size of the training set. Never more than there are training examples.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from peftuq.artifacts import RecordFile
from peftuq.plugins import Score
from peftuq.representation import NORMALISATIONS, head_state, representation, stored_representation

SCORE = Score(
    version=1,
    reads="records",
    needs=["train", "head"],
    params={"k": 10},
    bounds={"k": (1, 1_000_000)},
    variants=["knn", "knn_l2"],
)


def distances(train: np.ndarray, z: np.ndarray, k: int) -> np.ndarray:
    """Euclidean distance (N,) of `z` (N, d) to the k-th nearest row of `train` (n, d), the farthest if k > n; >= 0."""
    found = NearestNeighbors(n_neighbors=min(k, len(train)), algorithm="brute").fit(train).kneighbors(z)
    return found[0][:, -1]


def score(
    inputs: RecordFile, evals: Sequence[str], params: Mapping[str, Any], seed: int
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
    """Every variant on every evaluation set, each (N,); nothing is random, so `seed` is not used."""
    z = {part: representation(inputs.head, inputs[part]) for part in ("train", *evals)}
    scores = {
        f"knn{suffix}": {part: distances(normalise(z["train"]), normalise(z[part]), params["k"]) for part in evals}
        for suffix, normalise in NORMALISATIONS.items()
    }
    return scores, {}


def fit_state(inputs: RecordFile, params: Mapping[str, Any], seed: int) -> dict[str, dict[str, np.ndarray]]:
    z = representation(inputs.head, inputs["train"])
    shared = {**head_state(inputs.head), "k": np.array([min(params["k"], len(z))])}
    return {f"knn{suffix}": {**shared, "train": normalise(z)} for suffix, normalise in NORMALISATIONS.items()}


def apply(
    variant: str, state: Mapping[str, np.ndarray], probs: np.ndarray, logits: np.ndarray, h: np.ndarray
) -> np.ndarray:
    z, train = stored_representation(state, h, unit=variant == "knn_l2"), state["train"]
    squared = np.square(z).sum(axis=1)[:, None] - 2 * z @ train.T + np.square(train).sum(axis=1)
    place = int(state["k"][0]) - 1
    return np.sqrt(np.maximum(np.partition(squared, place, axis=1)[:, place], 0.0))
