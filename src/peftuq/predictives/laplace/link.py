"""From a Gaussian over logits to probabilities of the options: NumPy alone, for jobs that load no model."""

import numpy as np

# 100 cells of equal probability: what 10⁵ logit samples are gathered into, see `normals`.
SPLITS = (5, 5, 2, 2)
CHUNK = 2**24  # numbers that are worked on at a time


def root(f_mu: np.ndarray, f_sigma: np.ndarray) -> np.ndarray:
    """R (N, C, C-1), R Rᵀ the covariance of the logits less their mean over an example's options, widest column first.

    `f_mu` (N, C), `f_sigma` (N, C, C).

    A shift that all options share changes no probability, so that C - 1 directions suffice. Options with
    f_mu = -inf do not take part.
    """
    exists = np.isfinite(f_mu).astype(np.float64)
    centring = np.eye(f_mu.shape[1]) - exists[:, :, None] * exists[:, None] / exists.sum(axis=1)[:, None, None]
    values, vectors = np.linalg.eigh(centring @ f_sigma @ centring.transpose(0, 2, 1))
    columns = vectors * np.sqrt(values.clip(min=0.0))[:, None]
    return columns[:, :, :0:-1]


def normals(draws: int, dimensions: int, seed: int) -> np.ndarray:
    """Standard normal samples (draws, dimensions), in an order in which 100 equal runs of them are cells of neighbours.

    The samples are split into equal parts by the first coordinate, each part by the next, and so on in turn: the first
    coordinates, along which logits vary most, are split finest. Raises `ValueError` unless 100 divides `draws`.
    """
    if draws % np.prod(SPLITS):
        raise ValueError(f"draws: must be a multiple of {np.prod(SPLITS)}, got {draws}")
    cells = np.random.default_rng(seed).standard_normal((1, draws, dimensions))
    for level, parts in enumerate(SPLITS):
        coordinate = cells[:, :, level % dimensions]
        ordered = np.take_along_axis(cells, np.argsort(coordinate, axis=1)[:, :, None], axis=1)
        cells = ordered.reshape(len(cells) * parts, -1, dimensions)
    return cells.reshape(draws, dimensions)


def monte_carlo(f_mu: np.ndarray, f_sigma: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Probabilities (M, N, C) under `draws` samples of the correlated logits: M = 100 means over equal cells of them.

    Their mean is that of all samples. Every example sees the same standard normal draws, so that its distribution
    depends on no other example. As a cell's samples lie close together, scores of the spread lose little (nothing to
    speak of for two options, and always to the side of less spread).
    """
    wide, cells = root(f_mu, f_sigma), int(np.prod(SPLITS))
    standard = normals(draws, wide.shape[2], seed)
    probs = np.empty((cells, *f_mu.shape))
    step = max(1, CHUNK // (draws * f_mu.shape[1]))
    for start in range(0, len(f_mu), step):
        rows = slice(start, start + step)
        logits = standard @ wide[rows].transpose(0, 2, 1)  # (n, draws, C)
        logits += f_mu[rows, None]
        logits -= logits.max(axis=2, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=2, keepdims=True)
        probs[:, rows] = logits.reshape(len(logits), cells, -1, f_mu.shape[1]).mean(axis=2).transpose(1, 0, 2)
    return probs


def probit(f_mu: np.ndarray, f_sigma: np.ndarray) -> np.ndarray:
    """Closed-form mean probabilities (N, C), normalised (Lu et al. 2020, mean-field with covariances).

    1 / p_c = Σ_k exp(-(μ_c - μ_k) / √(1 + π/8 Var[f_c - f_k])): MacKay's probit approximation for each pair of options,
    and exactly his for two.
    """
    variance = np.einsum("ncc->nc", f_sigma)
    spread = (variance[:, :, None] + variance[:, None] - 2 * f_sigma).clip(min=0.0)
    lowest = np.where(np.isfinite(f_mu), f_mu, np.inf).min(axis=1, keepdims=True)
    finite = np.where(np.isfinite(f_mu), f_mu, lowest)
    margins = (finite[:, None] - finite[:, :, None]) / np.sqrt(1 + np.pi / 8 * spread)  # [n, c, k]: μ_k - μ_c
    missing = ~np.isfinite(f_mu)
    margins[np.broadcast_to(missing[:, None], margins.shape)] = -np.inf
    with np.errstate(over="ignore"):
        probs = 1 / np.exp(margins).sum(axis=2)
    probs[missing] = 0.0
    return probs / probs.sum(axis=1, keepdims=True)
