"""An ensemble through its fine-tuning: the answers of M members after every epoch (LoRA ensembles, section 7)."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from peftuq.artifacts import EpochFile, Samples
from peftuq.metrics import calibration
from peftuq.predictives.ensemble import pool
from peftuq.scores.information import mutual_information
from peftuq.scores.softmax import entropy


def groups(members: int, size: int) -> list[list[int]]:
    """The disjoint ensembles of `size` among the first members, in order: what a band over ensembles is made of."""
    return [list(range(start, start + size)) for start in range(0, members - size + 1, size)]


def curve_point(samples: Samples) -> dict[str, float]:
    """One ensemble after one epoch: mean entropy and mutual information (nats); with labels nll, accuracy, ECE, too.

    The ECE has 10 bins.
    """
    mean = samples.mean
    uncertainty = {
        "entropy": float(entropy(mean).mean()),
        "mutual_information": float(mutual_information(samples.probs).mean()),
    }
    if not samples.labelled:
        return uncertainty
    return {
        "nll": calibration.nll(mean, samples.label),
        "accuracy": calibration.accuracy(mean, samples.label),
        "ece_10": calibration.ece(mean.max(axis=1), mean.argmax(axis=1) == samples.label, 10),
        **uncertainty,
    }


def curves(members: Sequence[EpochFile], sizes: Sequence[int]) -> list[dict[str, Any]]:
    """A row per part, epoch, size M and disjoint ensemble of that size."""
    rows = []
    for part in members[0].parts:
        for epoch in range(1, members[0].epochs + 1):
            samples = [member.samples(epoch, part) for member in members]
            for size in sizes:
                for group in groups(len(members), size):
                    point = curve_point(pool([samples[k] for k in group]))
                    rows.append({"part": part, "epoch": epoch, "size": size, "first": group[0], **point})
    return rows


def examples(members: Sequence[EpochFile], size: int) -> dict[str, np.ndarray]:
    """Per example of the first `size` members: "<epoch>/<part>/" + entropy, mutual_information (nats), correct.

    Examples without labels have no "correct".
    """
    arrays = {}
    for part in members[0].parts:
        for epoch in range(1, members[0].epochs + 1):
            samples = pool([member.samples(epoch, part) for member in members[:size]])
            key = f"{epoch}/{part}"
            arrays[f"{key}/entropy"] = entropy(samples.mean)
            arrays[f"{key}/mutual_information"] = mutual_information(samples.probs)
            if samples.labelled:
                arrays[f"{key}/correct"] = (samples.mean.argmax(axis=1) == samples.label).astype(np.uint8)
    return arrays


def facts(members: Sequence[EpochFile], size: int) -> dict[str, str]:
    """Facts about `examples`: "members" M, and "options", the most that a question of each part has (JSON)."""
    options = {part: int(np.isfinite(members[0].record(1, part).logits).sum(axis=1).max()) for part in members[0].parts}
    return {"members": str(size), "options": json.dumps(options)}
