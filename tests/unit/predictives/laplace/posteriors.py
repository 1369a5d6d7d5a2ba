"""A tiny adapted model, and its Laplace approximation written down directly: whole Jacobians, whole matrices."""

import copy

import numpy as np
import torch
from recipes import adapter
from tiny import DECODERS, ENCODERS, ROLES, build
from torch.func import functional_call, jacrev

from peftuq.adapters import peft_lora
from peftuq.models.batching import Encoded, collate
from peftuq.models.readout import ReadOut
from peftuq.predictives.laplace import kfac
from peftuq.predictives.laplace.layers import layers_of

ADAPTER = adapter(rank=3, alpha=6)
EXECUTION = kfac.Execution(pad=0, max_tokens=40, dtype=torch.float32)
CLASSES = 3


def examples(n: int, seed: int = 0, options: int = CLASSES) -> Encoded:
    rng = np.random.default_rng(seed)
    tokens = [rng.integers(5, 50, rng.integers(2, 9)).tolist() for _ in range(n)]
    n_options = np.full(n, CLASSES)
    n_options[0] = options
    return Encoded(np.arange(n), rng.integers(0, options, n), tokens, n_options)


def adapted(kind: str) -> ReadOut:
    """A LoRA adapter away from its initialisation (B = 0), frozen."""
    name = "llama" if kind == "choice" else "bert"
    hf = build(copy.deepcopy({**DECODERS, **ENCODERS}[name]), kind, CLASSES)
    peft = peft_lora.attach(hf, ROLES[name], ADAPTER, kind)
    with torch.no_grad():
        for parameter_name, parameter in peft.named_parameters():
            if "lora_" in parameter_name:
                parameter.normal_(std=0.2)
    answers = [51, 52, 53] if kind == "choice" else None
    return ReadOut(peft, hf, answers).eval().requires_grad_(False)


def jacobian(model: ReadOut, layers: dict, data: Encoded, row: int) -> dict[str, torch.Tensor]:
    """Jacobian of one example's logits in every layer's weight: (C, d_out, d_in), float64."""
    batch = collate(data, np.array([row]), pad=0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    mine = {name: names[id(layer.weight)] for name, layer in layers.items()}

    def logits(weights: dict) -> torch.Tensor:
        return functional_call(model, weights, (batch.input_ids, batch.lengths)).logits[0]

    with torch.enable_grad():
        whole = jacrev(logits)({name: layers[key].weight for key, name in mine.items()})
    whole = {key: whole[name].double() for key, name in mine.items()}
    for slab in whole.values():
        slab[data.n_options[row] :] = 0.0
    return whole


def centred(sigma: np.ndarray, data: Encoded) -> np.ndarray:
    """Covariances (N, C, C) of the logits less their mean over an example's options."""
    exists = (np.arange(sigma.shape[-1]) < data.n_options[:, None]).astype(float)
    centring = np.eye(sigma.shape[-1]) - np.einsum("nc,nk->nck", exists, exists) / data.n_options[:, None, None]
    return centring @ sigma @ centring.transpose(0, 2, 1)


def kronecker_hessian(model: ReadOut, layers: dict, data: Encoded, positions: str = "all") -> dict[str, torch.Tensor]:
    """A ⊗ G of each layer by its definition: example by example, label by label, token by token."""
    inputs, outputs = dict.fromkeys(layers, 0.0), dict.fromkeys(layers, 0.0)
    tokens = 0
    for row in range(len(data)):
        batch = collate(data, np.array([row]), pad=0)
        read = len(data.tokens[row]) - 1 if model.causal else 0
        chosen = slice(None) if positions == "all" else slice(read, read + 1)
        tokens += len(data.tokens[row]) if positions == "all" else 1
        for label in range(data.n_options[row]):
            seen, handles = _watch(layers)
            with torch.enable_grad():
                log_p = model(batch.input_ids, batch.lengths, batch.n_options).logits[0].log_softmax(0)[label]
                grads = torch.autograd.grad(log_p, [out for _, out in seen.values()])
            for handle in handles:
                handle.remove()
            for (name, (a, _)), g in zip(seen.items(), grads, strict=True):
                a, g = a[0, chosen].detach().double(), g[0, chosen].double()
                inputs[name] += a.T @ a / int(data.n_options[row])  # once an example, in a loop over labels
                outputs[name] += log_p.detach().exp().double() * g.T @ g
    return {name: torch.kron(outputs[name].contiguous(), inputs[name].contiguous() / tokens) for name in layers}


def _watch(layers: dict) -> tuple[dict, list]:
    """Layers' inputs and outputs in the next forward pass, with gradients to be had at the outputs."""
    seen = {}

    def note(name: str):
        return lambda _, args, out: seen.update({name: (args[0], out if out.requires_grad else out.requires_grad_())})

    return seen, [layer.register_forward_hook(note(name)) for name, layer in layers.items()]


def fitted(kind: str, n: int = 7, **choices) -> tuple[ReadOut, dict, Encoded, kfac.Curvature]:
    model, data = adapted(kind), examples(n, options=2 if kind == "choice" else CLASSES)
    layers = layers_of(model, "excluded")
    chosen = {"positions": "all", "rank": 10, "exact_below": 512, **choices}
    return model, layers, data, kfac.fit(model, layers, data, EXECUTION, **chosen)
