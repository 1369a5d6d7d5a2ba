"""Common part of probes for P(correct): a classifier of the adapter's own errors, from z."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from sklearn.preprocessing import StandardScaler

from peftuq.artifacts import Head, RecordFile
from peftuq.representation import head_state, representation, stored_representation


class Classifier(Protocol):
    """A scikit-learn classifier."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> Any: ...

    def predict_proba(self, x: np.ndarray) -> np.ndarray: ...


class Probe(NamedTuple):
    """A fitted classifier and the scaling of its inputs; None where there was nothing to tell apart."""

    fitted: tuple[StandardScaler, Classifier] | None
    error_rate: float
    diagnostics: dict[str, Any]


def probe(inputs: RecordFile, part: str, rarest: int, classifier: Classifier) -> Probe:
    """The classifier fitted on the standardised z and the errors of `part`.

    With fewer than `rarest` errors or correct answers there is nothing to tell apart. Diagnostics: the number of
    examples and of errors.
    """
    record = inputs[part]
    error = record.logits.argmax(axis=1) != record.label
    fitted = bool(min(error.sum(), (~error).sum()) >= rarest)
    diagnostics = {"examples": len(error), "errors": int(error.sum()), "fitted": fitted}
    if not fitted:
        return Probe(None, float(error.mean()), diagnostics)
    scaler = StandardScaler()
    classifier.fit(scaler.fit_transform(representation(inputs.head, record)), error)
    return Probe((scaler, classifier), float(error.mean()), diagnostics)


def probed(inputs: RecordFile, evals: Sequence[str], found: Probe) -> dict[str, np.ndarray]:
    """P(error) (N,) by evaluation set; the share of errors where there was nothing to tell apart."""
    if found.fitted is None:
        return {part: np.full(len(inputs[part].id), found.error_rate) for part in evals}
    (scaler, classifier), head = found.fitted, inputs.head
    return {
        part: classifier.predict_proba(scaler.transform(representation(head, inputs[part])))[:, 1] for part in evals
    }


def state(head: Head, found: Probe, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> dict[str, Any]:
    """The state of a probe for `apply`: of a network's layers, or of one that always says the share of errors."""
    if found.fitted is None:
        with np.errstate(divide="ignore"):
            constant = np.log(found.error_rate) - np.log1p(-found.error_rate)
        width = head.out_weight.shape[1]
        weights, biases, mean, scale = [np.zeros((width, 1))], [np.array([constant])], np.zeros(width), np.ones(width)
    else:
        mean, scale = found.fitted[0].mean_, found.fitted[0].scale_
    layers = {f"weight_{place}": weight for place, weight in enumerate(weights)}
    layers |= {f"bias_{place}": bias for place, bias in enumerate(biases)}
    return {**head_state(head), "mean": mean, "scale": scale, **layers}


def apply(
    variant: str, state: Mapping[str, np.ndarray], probs: np.ndarray, logits: np.ndarray, h: np.ndarray
) -> np.ndarray:
    x = (stored_representation(state, h) - state["mean"]) / state["scale"]
    depth = sum(name.startswith("weight_") for name in state)
    for layer in range(depth):
        x = (np.maximum(x, 0.0) if layer else x) @ state[f"weight_{layer}"] + state[f"bias_{layer}"]
    return 1 / (1 + np.exp(-x[:, 0]))
