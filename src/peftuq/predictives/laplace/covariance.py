"""Second moments of what flows through a layer, and their leading eigenvectors: exact if small, sketched if wide."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

OVERSAMPLING = 4  # columns of a sketch for each eigenvector that is kept


class Eigen(NamedTuple):
    """Eigenvalues ≥ 0 (k,) and orthonormal eigenvectors (d, k), float64; the other d - k eigenvalues count as 0."""

    values: Float[Tensor, " k"]
    vectors: Float[Tensor, "d k"]


class Exact:
    """Σ x xᵀ as a (d, d) matrix."""

    def __init__(self, width: int, device: torch.device):
        self.width = width
        self.total = torch.zeros(width, width, dtype=torch.float64, device=device)

    def add(self, rows: Float[Tensor, "m d"]) -> None:
        self.total += rows.T @ rows

    def eigen(self) -> Eigen:
        values, vectors = torch.linalg.eigh(self.total)
        return Eigen(values.clamp(min=0.0), vectors)


class Sketch:
    """Σ x xᵀ through its product with a few random vectors: (d, OVERSAMPLING·rank) numbers instead of (d, d).

    A single pass, in which the order of rows and the batches they come in do not matter: the Nyström approximation
    (Tropp et al. 2017), cut to its leading `rank` eigenvectors.
    """

    def __init__(self, width: int, rank: int, generator: torch.Generator, device: torch.device):
        columns = min(width, OVERSAMPLING * rank)
        self.width, self.rank = width, min(rank, width)
        self.test = torch.randn(width, columns, generator=generator, dtype=torch.float64).to(device)
        self.image = torch.zeros_like(self.test)

    def add(self, rows: Float[Tensor, "m d"]) -> None:
        rows = rows.double()  # rounding in the image is magnified by the inverse of the core
        self.image += rows.T @ (rows @ self.test)

    def eigen(self) -> Eigen:
        core = self.test.T @ self.image
        values, vectors = torch.linalg.eigh((core + core.T) / 2)
        root = vectors * torch.where(values > 1e-13 * values[-1], values.rsqrt(), 0.0)
        left, singular, _ = torch.linalg.svd(self.image @ root, full_matrices=False)
        return Eigen(singular.square()[: self.rank], left[:, : self.rank])


def covariance(
    width: int, rank: int, exact_below: int, generator: torch.Generator, device: torch.device
) -> Exact | Sketch:
    """The covariance of rows of a width: exact where the width is small, else the leading `rank` eigenvectors."""
    return Exact(width, device) if width < exact_below else Sketch(width, rank, generator, device)
