"""Temperature scaling (Guo et al. 2017): one number, fitted on the validation part."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from peftuq.artifacts import RecordFile, Samples
from peftuq.plugins import Predictive

PREDICTIVE = Predictive(
    version=1,
    reads="records",
    needs=["valid"],
    sized=False,
    samples=False,
    params={"bounds": (0.01, 100.0)},
    bounds={"bounds": [(1e-6, 1), (1, 1e6)]},
)


def fit(logits: np.ndarray, label: np.ndarray, bounds: Sequence[float]) -> float:
    """The temperature within `bounds` that minimises the NLL of `label` (N,) under softmax(`logits` / T)."""
    logits = logits.astype(np.float64)

    def nll(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        top = scaled.max(axis=1)
        logsumexp = np.log(np.exp(scaled - top[:, None]).sum(axis=1)) + top
        return float(np.mean(logsumexp - scaled[np.arange(len(label)), label]))

    # The NLL is convex in 1/T, so it has one minimum in log T as well.
    found = minimize_scalar(nll, bounds=np.log(bounds), method="bounded", options={"xatol": 1e-8})
    return float(np.exp(found.x))


def predict(
    inputs: Sequence[RecordFile], evals: Sequence[str], params: Mapping[str, Any], seed: int, size: int | None
) -> tuple[dict[str, Samples], dict[str, str]]:
    """Samples (M = 1) of one adapter at its fitted temperature."""
    (record,) = inputs
    state = fit_state(record, params, seed)
    samples = {}
    for part in evals:
        of = record[part]
        samples[part] = Samples(of.id, of.label, apply(state, of.logits)[None])
    return samples, {"temperature": repr(float(state["temperature"][0]))}


def fit_state(inputs: RecordFile, params: Mapping[str, Any], seed: int) -> dict[str, np.ndarray]:
    valid = inputs["valid"]
    return {"temperature": np.array([fit(valid.logits, valid.label, params["bounds"])])}


def apply(state: Mapping[str, np.ndarray], logits: np.ndarray) -> np.ndarray:
    scaled = logits.astype(np.float64) / state["temperature"]
    p = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)
