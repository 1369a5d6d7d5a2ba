"""The linearised predictive distribution of an adapter's posterior: logits ~ N(f_mu, f_Sigma) for every example.

f_Sigma = J (F + λ)⁻¹ Jᵀ with J the Jacobian of an example's answer logits in the weights, less their mean over its
options: a shift that all options share changes no probability, so that C - 1 backward passes suffice. J
exists for one batch at a time, as each layer's slabs Σ_t g_t a_tᵀ, and meets (F + λ)⁻¹ only through a layer's Kronecker
factors.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftuq.models.batching import Encoded, collate, token_batches
from peftuq.models.readout import ReadOut
from peftuq.predictives.laplace.kfac import Curvature, Execution, Factors, backward_each
from peftuq.predictives.laplace.layers import hooked
from peftuq.progress import Progress

SLABS = 2**28  # numbers that the slabs of a batch may hold: 1 GiB in float32


def quadratic_forms(
    jacobian: Float[Tensor, "n C out in"], factors: Factors, precisions: Float[Tensor, " P"]
) -> Float[Tensor, "P n C C"]:
    """J_c (A ⊗ G + λ)⁻¹ J_c'ᵀ of one layer, for several precisions λ; c counts rows of any Jacobian.

    In the eigenbasis the inverse is a division. What lies outside the eigenvectors that are kept has curvature 0, so
    that its share is what is left of J_c J_c'ᵀ, divided by λ.
    """
    jacobian = jacobian.double()
    inside = (factors.outputs.vectors.T @ (jacobian @ factors.inputs.vectors)).flatten(2)
    spectrum = factors.spectrum.flatten()
    forms = torch.stack([(inside / (spectrum + precision)) @ inside.mT for precision in precisions])
    if factors.spectrum.shape != jacobian.shape[2:]:
        whole = jacobian.flatten(2)
        outside = whole @ whole.mT - inside @ inside.mT
        forms += outside / precisions[:, None, None, None]
    return forms


def contrasts(logits: Float[Tensor, "n C"]) -> Float[Tensor, "n C k"]:
    """An orthonormal basis of what is left of the logits without their mean over an example's options; k = C - 1."""
    exists = logits.isfinite().double()
    mean = exists[:, :, None] * exists[:, None] / exists.sum(dim=1)[:, None, None]
    centring = torch.eye(logits.shape[1], dtype=torch.float64, device=logits.device) - mean
    return torch.linalg.eigh(centring).eigenvectors[:, :, 1:]  # the shift of all options has eigenvalue 0


class _Slabs:
    """The Jacobian of a batch, layer by layer: a slab (n, d_out, d_in) for each backward pass."""

    def __init__(self, layers: dict[str, nn.Linear]):
        self._biased = {name for name, layer in layers.items() if layer.bias is not None}
        self.of: dict[str, list[Tensor]] = {name: [] for name in layers}

    def forward(self, name: str, a: Tensor) -> None:
        self.of[name].clear()

    def backward(self, name: str, a: Tensor, g: Tensor) -> None:
        if name in self._biased:
            a = torch.cat([a, torch.ones_like(a[..., :1])], dim=-1)
        self.of[name].append(g.float().mT @ a.float())


def distribution(
    model: ReadOut,
    layers: dict[str, nn.Linear],
    data: Encoded,
    execution: Execution,
    curvature: Curvature,
    precisions: list[float],
    progress: Progress | None = None,
) -> tuple[Float[np.ndarray, "N C"], Float[np.ndarray, "P N C C"]]:
    """f_mu and, for each prior precision, the centred f_Sigma of every example; -inf and 0 where no option is.

    One forward and C - 1 backward passes, whatever the number of precisions. The model must be in evaluation mode with
    frozen weights.
    """
    device = next(model.parameters()).device
    weights = sum(layer.weight.numel() for layer in layers.values())
    order, means, covariances = [], [], []
    lambdas = torch.tensor(precisions, dtype=torch.float64, device=device)
    slabs = _Slabs(layers)
    classes = int(data.n_options.max()) if model.answer_tokens is None else len(model.answer_tokens)
    most = max(1, SLABS // (classes * weights))
    with hooked(layers, slabs.forward, slabs.backward):
        for rows in _at_most(token_batches(data.lengths, execution.max_tokens), most):
            batch = collate(data, rows, execution.pad).to(device)
            logits = execution.logits(model, batch)
            basis = contrasts(logits.detach())
            backward_each(logits, basis.unbind(dim=2))
            size = basis.shape[2]
            forms = torch.zeros(len(lambdas), len(rows), size, size, dtype=torch.float64, device=device)
            for name, factors in curvature.factors.items():
                if slabs.of[name]:
                    forms += quadratic_forms(torch.stack(slabs.of[name], dim=1), factors, lambdas)
            order.append(rows)
            means.append(logits.detach().double().cpu())
            covariances.append((basis @ forms @ basis.mT).cpu())
            if progress is not None:
                progress(len(rows))
    back = np.argsort(np.concatenate(order), kind="stable")
    return torch.cat(means).numpy()[back], torch.cat(covariances, dim=1).numpy()[:, back]


def _at_most(batches: list[np.ndarray], most: int) -> list[np.ndarray]:
    return [part for rows in batches for part in np.split(rows, range(most, len(rows), most))]
