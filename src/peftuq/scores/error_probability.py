"""Common part of probes for P(correct): a classifier of the adapter's own errors, from z."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from sklearn.preprocessing import StandardScaler

from peftuq.artifacts import RecordFile
from peftuq.representation import representation


class Classifier(Protocol):
    """A scikit-learn classifier."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> Any: ...

    def predict_proba(self, x: np.ndarray) -> np.ndarray: ...


def probed(
    inputs: RecordFile, evals: Sequence[str], part: str, rarest: int, classifier: Classifier
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """P(error) (N,) by evaluation set, from a classifier fitted on the standardised z and the errors of `part`.

    With fewer than `rarest` errors or correct answers there is nothing to tell apart: P(error) is their share. It and
    the number of errors are the diagnostics.
    """
    fitted = inputs[part]
    error = fitted.logits.argmax(axis=1) != fitted.label
    diagnostics: dict[str, Any] = {"examples": len(error), "errors": int(error.sum())}
    if min(error.sum(), (~error).sum()) < rarest:
        return {p: np.full(len(inputs[p].id), error.mean()) for p in evals}, {**diagnostics, "fitted": False}
    head, scaler = inputs.head, StandardScaler()
    classifier.fit(scaler.fit_transform(representation(head, fitted)), error)
    scores = {p: classifier.predict_proba(scaler.transform(representation(head, inputs[p])))[:, 1] for p in evals}
    return scores, {**diagnostics, "fitted": True}
