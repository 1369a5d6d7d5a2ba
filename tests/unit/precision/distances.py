"""How far the answers of one adapter in bf16 lie from those in float32, as numbers without a unit."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from peftuq.artifacts import RecordFile, SampleFile, softmax
from peftuq.predictives.laplace.file import LaplaceFile
from peftuq.reference_posterior.features import principal_components

PART = "test"
INPUTS = 3  # principal components
ULP = 2.0**-8  # of bf16: neighbouring numbers lie this far apart, so that a rounding errs by up to half of it
# In units of ULP. A value of a tiny model is rounded some 16 times on its way through both blocks (embedding, norms,
# two products and two sums a block, adapters), at random: √16 · ULP / 2 / √3, about 1 ULP of the length of h, and 4
# times that at the worst of a few hundred values; as much again where a token's experts change on a near tie.
BOUNDS = {
    "h": 8,
    "logits": 64,  # of their spread about an example's mean, which is a few times smaller than the products' terms
    "f_mu": 32,
    "probabilities": 8,  # p (1 - p) ≤ 1/4 of the logits' error
    "answer mass": 2,
    "FLU": 2,  # routers are float32: only their inputs err
    "f_sigma": 32,  # two Jacobians and two Kronecker factors, each with the error of h and of a gradient
    "log prior precision": 2,  # a mean over all of the curvature
    "features": 8,
    "train loss": 4,  # relative; means over examples
    "valid loss": 8,
}
AGREEMENT = 0.9  # at least this share of examples has the same argmax, and all whose margin exceeds the bound


def centred(logits: np.ndarray) -> np.ndarray:
    return logits - logits.mean(axis=-1, keepdims=True)


def largest(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max())


def relative(a: np.ndarray, b: np.ndarray) -> float:
    """Distance of two arrays as vectors: |a - b| / |b|."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def of_logits(a: np.ndarray, b: np.ndarray) -> float:
    """Largest error in units of the logits' spread: their root mean square about an example's mean."""
    return largest(centred(a), centred(b)) / float(np.sqrt(np.square(centred(b)).mean()))


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Share of examples with the same argmax."""
    return float((a.argmax(axis=-1) == b.argmax(axis=-1)).mean())


def records(half: Path, full: Path) -> dict[str, float]:
    a, b = RecordFile(half)[PART], RecordFile(full)[PART]
    found = {
        "h": relative(a.h, b.h),
        "logits": of_logits(a.logits, b.logits),
        "probabilities": largest(softmax(a.logits), softmax(b.logits)),
        "argmax": agreement(a.logits, b.logits),
    }
    if b.answer_mass is not None:
        found["answer mass"] = largest(a.answer_mass, b.answer_mass)
    if b.flu is not None:
        found["FLU"] = largest(a.flu, b.flu)
    return found


def gold_features(half: Path, full: Path) -> dict[str, float]:
    """Inputs of the reference posterior, in units of what their scaling to variance 1 makes of an error of |h|.

    Their inner products are compared: components of near variances may turn into each other.
    """
    grams = []
    for file in map(RecordFile, (half, full)):
        components = principal_components(file["train"].h, INPUTS)
        x = components(file[PART].h)
        grams.append(x @ x.T)
    amplified = np.linalg.norm(components.axes, axis=0).max() * np.sqrt(np.square(file["train"].h).sum(axis=1).mean())
    return {"features": relative(*grams) / float(amplified)}


def samples(half: Path, full: Path) -> dict[str, float]:
    a, b = SampleFile(half)[PART], SampleFile(full)[PART]
    return {"probabilities": largest(a.mean, b.mean), "argmax": agreement(a.mean, b.mean)}


def gaussians(half: Path, full: Path) -> dict[str, float]:
    a, b = LaplaceFile(half), LaplaceFile(full)
    return {
        "f_mu": of_logits(a[PART].f_mu, b[PART].f_mu),
        "f_sigma": relative(a[PART].f_sigma["marglik"], b[PART].f_sigma["marglik"]),
        "log prior precision": abs(float(np.log(a.facts["precision"]["marglik"] / b.facts["precision"]["marglik"]))),
        "argmax": agreement(a[PART].f_mu, b[PART].f_mu),
    }


def training(half: Path, full: Path) -> dict[str, float]:
    """Distances of two trainings' last epochs."""
    a, b = (json.loads((file.parent / "train_log.jsonl").read_text().splitlines()[-1]) for file in (half, full))
    return {name.replace("_", " "): abs(a[name] - b[name]) / b[name] for name in ("train_loss", "valid_loss")}


MEASURES: dict[str, Callable[[Path, Path], dict[str, float]]] = {
    "train": training,
    "extract": records,
    "gold_features": gold_features,
    "fit_laplace": gaussians,
}


def measure(program: str, half: Path, full: Path) -> dict[str, float]:
    return MEASURES.get(program, samples)(half, full)
