"""Which representations distances are measured on: z as it is, at length 1, or through a normalised head."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from scipy.special import ndtr

from peftuq.artifacts import Head, Record
from peftuq.errors import UserError


def spectrally_normalised(head: Head, spectral_norm: str) -> Head:
    """The head whose representation is scored; `UserError` for an unknown `spectral_norm`."""
    if spectral_norm not in ("none", "posthoc"):
        raise UserError(f"config: methods: spectral_norm: {spectral_norm!r} is unknown; use none or posthoc")
    if spectral_norm == "none" or head.dense_weight is None:
        return head
    weight = head.dense_weight.astype(np.float64)
    return replace(head, dense_weight=weight / np.linalg.norm(weight, 2))


def representation(head: Head, record: Record) -> np.ndarray:
    """z (N, d) in float64 of a record's examples."""
    assert record.h is not None  # as of every record but an epoch's
    return head.representation(record.h)


def l2_normalised(z: np.ndarray) -> np.ndarray:
    """Rows of `z` (N, d) at length 1; a row of zeros stays."""
    length = np.linalg.norm(z, axis=1, keepdims=True)
    return z / np.where(length > 0, length, 1.0)


def head_state(head: Head) -> dict[str, np.ndarray]:
    """Arrays by which `stored_representation` knows a head's layers before the last."""
    if head.dense_weight is None:
        return {}
    state = {"dense_weight": head.dense_weight.astype(np.float64), head.activation: np.ones(1)}
    return state if head.dense_bias is None else {**state, "dense_bias": head.dense_bias.astype(np.float64)}


def stored_representation(state: Mapping[str, np.ndarray], h: np.ndarray, unit: bool = False) -> np.ndarray:
    """z (N, d) in float64 of `h` (N, d), by the arrays of `head_state`; `unit`: at length 1."""
    z = h.astype(np.float64)
    if "dense_weight" in state:
        z = z @ state["dense_weight"].T + state.get("dense_bias", 0.0)
        z = np.tanh(z) if "tanh" in state else z * ndtr(z)
    length = np.linalg.norm(z, axis=1, keepdims=True)
    return z / np.where(length > 0, length, 1.0) if unit else z


NORMALISATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"": lambda z: z, "_l2": l2_normalised}
