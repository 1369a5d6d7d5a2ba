"""Kronecker-factored Fisher information of an adapter (KFAC), as in Laplace-LoRA (Yang et al. 2024).

For a linear layer W with inputs a_t and gradients g_t of the log-likelihood at its outputs, the Fisher information of
the training set, Σ_n E_y[(Σ_t g_t a_tᵀ)⊗²], is taken as A ⊗ G with A the mean of a aᵀ over all real tokens and G the
sum of g gᵀ over tokens, examples and labels (KFAC-expand, Eschenhagen et al. 2023). The expectation over labels is
exact: one backward pass for each column of a square root of the softmax's Hessian. Only the answer logits at the
position that is read enter, while every token on the way to them counts.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftuq.models.batching import Batch, Encoded, collate, token_batches
from peftuq.models.readout import ReadOut
from peftuq.predictives.laplace.covariance import Eigen, covariance
from peftuq.predictives.laplace.layers import hooked
from peftuq.progress import Progress


class Factors(NamedTuple):
    """A layer's Fisher information A ⊗ G through the eigenvectors of both factors."""

    inputs: Eigen
    outputs: Eigen

    @property
    def spectrum(self) -> Float[Tensor, "k_out k_in"]:
        """Eigenvalues of the layer's Fisher information that are not 0."""
        return self.outputs.values[:, None] * self.inputs.values


class Curvature(NamedTuple):
    """Curvature on the training set: `log_likelihood` is the sum over its examples at the saved weights."""

    factors: dict[str, Factors]
    log_likelihood: float
    squared_norm: float  # Σ θ² over all weights of the layers

    @property
    def spectrum(self) -> Float[Tensor, " k"]:
        return torch.cat([factors.spectrum.flatten() for factors in self.factors.values()])


@dataclass(frozen=True)
class Execution:
    """How a model is run: padding token, tokens in a batch (padding included), precision of the backbone."""

    pad: int
    max_tokens: int
    dtype: torch.dtype

    def logits(self, model: ReadOut, batch: Batch) -> Float[Tensor, "n C"]:
        device = batch.input_ids.device
        with torch.autocast(device.type, dtype=self.dtype, enabled=self.dtype != torch.float32):
            return model(batch.input_ids, batch.lengths, batch.n_options).logits


def softmax_hessian_root(logits: Float[Tensor, "n C"]) -> Float[Tensor, "n C k"]:
    """L with L Lᵀ = diag(p) - p pᵀ, p = softmax(logits), and k = C - 1 columns: its Cholesky factor.

    Column j sets label j against those after it; with r_j the probability of labels j, j+1, …, it is
    √(p_j r_{j+1} / r_j) at j and -p_i √(p_j / (r_j r_{j+1})) at i > j. Missing options (-inf) have rows of 0.
    """
    p = logits.double().softmax(dim=1)
    # Not `cumsum`, which has no deterministic kernel on CUDA.
    rest = torch.stack(list(itertools.accumulate(p.flip(1).unbind(dim=1))), dim=1).flip(1)
    here, after = rest[:, :-1], rest[:, 1:]
    ratio = torch.where(after > 0, p[:, :-1] / (here * after), 0.0).sqrt()
    below = torch.ones(p.shape[1], p.shape[1] - 1, device=p.device).tril(-1)
    root = -p[:, :, None] * ratio[:, None] * below
    root.diagonal(dim1=1, dim2=2)[:] = ratio * after
    return root


class _Moments:
    """The covariances of every layer, accumulated by hooks."""

    def __init__(self, layers: dict[str, nn.Linear], rank: int, exact_below: int, seed: int):
        generator = torch.Generator().manual_seed(seed)
        self._real: Tensor | None = None
        self.tokens = dict.fromkeys(layers, 0)
        self.inputs, self.outputs = {}, {}
        for name, layer in layers.items():
            size = (rank, exact_below, generator, layer.weight.device)
            self.inputs[name] = covariance(layer.in_features + (layer.bias is not None), *size)
            self.outputs[name] = covariance(layer.out_features, *size)

    def expect(self, batch: Batch, causal: bool, positions: str) -> None:
        """Which positions (n, T) of the coming batch count."""
        position = torch.arange(batch.input_ids.shape[1], device=batch.lengths.device)
        last = batch.lengths[:, None] - 1
        read = last if causal else torch.zeros_like(last)
        self._real = position <= last if positions == "all" else position == read

    def _rows(self, x: Float[Tensor, "n T d"]) -> Float[Tensor, "m d"]:
        return (x[self._real] if x.shape[1] == self._real.shape[1] else x.flatten(0, 1)).float()

    def forward(self, name: str, a: Tensor) -> None:
        rows = self._rows(a)
        if self.inputs[name].width > rows.shape[1]:
            rows = torch.cat([rows, torch.ones_like(rows[:, :1])], dim=1)
        self.tokens[name] += len(rows)
        self.inputs[name].add(rows)

    def backward(self, name: str, a: Tensor, g: Tensor) -> None:
        self.outputs[name].add(self._rows(g))

    def factors(self, name: str) -> Factors:
        inputs = self.inputs[name].eigen()
        return Factors(Eigen(inputs.values / self.tokens[name], inputs.vectors), self.outputs[name].eigen())


def fit(
    model: ReadOut,
    layers: dict[str, nn.Linear],
    data: Encoded,
    execution: Execution,
    positions: str,
    rank: int,
    exact_below: int,
    progress: Progress | None = None,
) -> Curvature:
    """The curvature of `data`'s log-likelihood in the weights of `layers`.

    `positions`: factors over `all` real tokens, or only over the one that is `read` (as in the bayesian-lora library).
    Factors of `exact_below` columns or more keep their `rank` leading eigenvectors (Yang et al. 2024: 10), the others
    all. The model must be in evaluation mode, its weights frozen.
    """
    device = next(model.parameters()).device
    moments = _Moments(layers, rank, exact_below, seed=0)
    log_likelihood = 0.0
    with hooked(layers, moments.forward, moments.backward):
        for rows in token_batches(data.lengths, execution.max_tokens):
            batch = collate(data, rows, execution.pad).to(device)
            moments.expect(batch, model.causal, positions)
            logits = execution.logits(model, batch)
            root = softmax_hessian_root(logits.detach())
            backward_each(logits, root.unbind(dim=2))
            right = logits.detach().double().log_softmax(dim=1).gather(1, batch.label[:, None])
            log_likelihood += float(right.sum())
            if progress is not None:
                progress(len(rows))
    factors = {name: moments.factors(name) for name in layers}
    weights = (p.detach().double() for layer in layers.values() for p in (layer.weight, layer.bias) if p is not None)
    squared_norm = sum(float(w.square().sum()) for w in weights)
    return Curvature(factors, log_likelihood, squared_norm)


def backward_each(logits: Float[Tensor, "n C"], seeds: Sequence[Float[Tensor, "n C"]]) -> None:
    """One backward pass from the logits for each seed; the graph is freed with the last."""
    for k, seed in enumerate(seeds):
        logits.backward(seed.to(logits.dtype), retain_graph=k + 1 < len(seeds))
