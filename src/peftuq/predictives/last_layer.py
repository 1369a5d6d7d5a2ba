"""Common parts of Bayesian last layers on stored representations: inputs, and samples of their Gaussian logits."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from peftuq.artifacts import RecordFile, Samples
from peftuq.predictives.laplace.link import monte_carlo
from peftuq.representation import representation

Logits = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # x (N, d) → means, variances (N, C)


class Scaling(NamedTuple):
    """z standardised, over √d: rows (d,) whose mean squared length is 1 where they were fitted to, whatever d is.

    A weight's prior variance is then that of a logit. Features that were trained through the layer would have found a
    scale for its prior themselves; stored ones cannot.
    """

    mean: np.ndarray
    divisor: np.ndarray

    @classmethod
    def of(cls, z: np.ndarray) -> "Scaling":
        """Fit to z (N, d); a coordinate in which no example differs is left at 0."""
        std = z.std(axis=0)
        varies = std > 1e-12 * np.abs(z).max()
        return cls(z.mean(axis=0), np.where(varies, std, np.inf) * np.sqrt(z.shape[1]))

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """(N, d) from z (N, d)."""
        return (z - self.mean) / self.divisor


def sampled(
    record: RecordFile, evals: Sequence[str], scaling: Scaling, logits: Logits, draws: int, seed: int
) -> dict[str, Samples]:
    """Samples (M = 100) by evaluation set, whose mean is that of `draws` samples of the options' independent logits."""
    samples, head = {}, record.head
    for part in evals:
        of = record[part]
        mean, variance = logits(scaling(representation(head, of)))
        f_mu = np.where(np.isneginf(of.logits), -np.inf, mean)
        f_sigma = variance[:, :, None] * np.eye(mean.shape[1])
        samples[part] = Samples(of.id, of.label, monte_carlo(f_mu, f_sigma, draws, seed))
    return samples
