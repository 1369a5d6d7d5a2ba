"""AdUE: a copy of the classification head, fine-tuned to predict the classifier's own errors.

Zabolotnyi et al., AdUE: Improving uncertainty estimation head for LoRA adapters in LLMs (arXiv 2505.15443),
section 3, appendices C and F. U = 1 − SmoothMax(softmax(head(h))) (eq. 3) is trained on BCE(U, e)
+ α·mean (U − U_SR)² + β·‖θ − θ_init‖² (eq. 4), e = 1 where the classifier is wrong, θ all weights and biases
of the head. Predicted classes never change: AdUE only scores.

A grid of fits is trained a cell and the best by error-AUROC on `valid` is kept, for each variant from its own
part of the grid: `adue_bce` α = β = 0, `adue_bce_l2sp` α = 0, `adue_bce_reg` β = 0. `adue_rand_cls` starts
from a random head of the same architecture, `adue_random_linear` from one random linear layer h -> C, bias
included, with softmax and SmoothMax on top as ever; both are drawn once a cell and anchored by L2-SP to their
own draw. `adue_lambda_*`: another λ at the hyper-parameters selected for `adue`.

Beyond the paper's grid the trained head as it is, of no epochs, is a candidate, chosen only where every fit is worse
on `valid`: with |h|₁ in the hundreds, as at a decoder's last norm, a few steps of the lowest rate reorder near ties.

`reference: code` follows the authors' code where it differs: U is divided by 1 − 1/C, its largest value, a fit
draws errors and correct predictions equally often (with replacement), in batches of 256, and its rate rises for a
tenth of the steps. `random_linear: sigmoid` is their head of that name: h -> 1, with a sigmoid.

What the paper leaves open is a parameter: the batch size (64, its adapters' own); the cycle of Adam's β₁
(torch's default); the random heads' scale (N(0, 0.02²), biases 0, as transformers initialises heads); dropout
inside an encoder's head while it is fine-tuned. That is 0: the text names none, decoder heads have none, a
record does not carry the encoder's, and without it the anchored head computes U_SR's very logits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from peftuq.artifacts import Head, RecordFile
from peftuq.errors import UserError
from peftuq.models.kernels import use_job_kernels
from peftuq.plugins import Score
from peftuq.representation import head_state, stored_representation
from peftuq.scores.adue.head_stack import HeadStack
from peftuq.scores.adue.search import (
    Chosen,
    Fit,
    Part,
    Search,
    batch_size,
    error_auroc,
    grid,
    random_head,
    scale,
    scores,
)
from peftuq.scores.adue.smoothmax import FLOOR

SCORE = Score(
    version=1,
    needs=["train", "valid", "head"],
    reads="records",
    params={
        "train_on": "train",
        "lr": [1e-3, 1e-4, 1e-5],
        "epochs": [5, 10, 20],
        "alpha": [0.0, 0.1, 0.3, 1.0],
        "beta": [0.01, 0.1, 0.5, 1.0],
        "lambda": 100.0,
        "batch_size": 64,
        "momentum": [0.85, 0.95],
        "dropout": 0.0,
        "init_std": 0.02,
        "reference": "paper",  # whose fits; or "code"
        "random_linear": "classes",  # an output a class; or "sigmoid", one for the error itself
    },
    bounds={
        "lr": (0, 1000),
        "epochs": (0, 10_000),
        "alpha": (0, None),
        "beta": (0, None),
        "lambda": (0, None),
        "batch_size": (1, 1_000_000),
        "momentum": (0, 1),
        "dropout": (0, 0.99),
        "init_std": (0, None),
    },
    choices={
        "train_on": ["train", "valid"],
        "reference": ["paper", "code"],
        "random_linear": ["classes", "sigmoid"],
    },
    variants=[
        "adue",
        "adue_bce",
        "adue_bce_l2sp",
        "adue_bce_reg",
        "adue_rand_cls",
        "adue_random_linear",
        "adue_lambda_10",
        "adue_lambda_50",
        "adue_lambda_200",
        "adue_lambda_500",
        "adue_lambda_1000",
    ],
    probabilities=[
        "adue",
        "adue_bce",
        "adue_bce_l2sp",
        "adue_bce_reg",
        "adue_rand_cls",
        "adue_random_linear",
        "adue_lambda_10",
        "adue_lambda_50",
        "adue_lambda_200",
        "adue_lambda_500",
        "adue_lambda_1000",
    ],
    environment="torch",
)

LAMBDAS = [int(v.removeprefix("adue_lambda_")) for v in SCORE.variants if v.startswith("adue_lambda_")]


def check(params: Mapping[str, Any]) -> None:
    """Raises `UserError` for a grid that leaves a variant without a fit."""
    if params["train_on"] not in ("train", "valid"):
        raise UserError(f"config: methods.adue.train_on: must be train or valid, got {params['train_on']!r}")
    for key in ("lr", "epochs", "alpha", "beta"):
        if min(params[key], default=0) < 0 or max(params[key], default=0) <= 0:
            raise UserError(f"config: methods.adue.{key}: needs values >= 0, one of them > 0, got {params[key]!r}")


def selected(
    inputs: RecordFile, params: Mapping[str, Any], seed: int, device: str
) -> tuple[dict[str, Chosen], list[dict[str, Any]]]:
    """The head of every variant, and all fits with their hyper-parameters and valid AUROC."""
    fitted = Part.of(inputs[params["train_on"]], torch.float32, device)
    search = Search(fitted, Part.of(inputs["valid"], torch.float64, device), params, seed)
    rng, std = np.random.default_rng(seed), params["init_std"]
    trained, wanted = inputs.head, grid(params)
    classes, width = trained.out_weight.shape[0], fitted.x.shape[1]
    outputs = classes if params["random_linear"] == "classes" else 1
    linear = Head(np.empty((outputs, width), np.float32), np.empty(outputs, np.float32))
    chosen: dict[str, Chosen] = {}
    table: list[dict[str, Any]] = []

    def select(name: str, start: Head, wanted: Mapping[str, set[Fit]]) -> None:
        best, fits = search.select(start, wanted)
        chosen.update(best)
        table.extend({"start": name, **fit.named(), "valid_auroc": value} for fit, value in fits)

    untouched = Fit(lr=0.0, epochs=0, alpha=0.0, beta=0.0, lam=float(params["lambda"]))
    select("trained", trained, {variant: fits | {untouched} for variant, fits in wanted.items()})
    select("rand_cls", random_head(trained, std, rng), {"adue_rand_cls": wanted["adue"]})
    select("random_linear", random_head(linear, std, rng), {"adue_random_linear": wanted["adue"]})
    anchor = chosen["adue"].fit
    select("trained", trained, {f"adue_lambda_{lam}": {replace(anchor, lam=float(lam))} for lam in LAMBDAS})
    return chosen, table


def score(
    inputs: RecordFile, evals: Sequence[str], params: Mapping[str, Any], seed: int
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
    """Clamped U per variant and eval part, and diagnostics.

    `selected`: per variant the hyper-parameters, their valid AUROC (None if valid has no error, or nothing
    else) and the fraction of clamped examples per eval; `fits`: all fits with their valid AUROC;
    `valid_auroc_sr`: that of the softmax response.

    Raises `UserError` for a grid that leaves a variant without a fit.
    """
    check(params)
    use_job_kernels()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    chosen, table = selected(inputs, params, seed, device)
    result: dict[str, dict[str, np.ndarray]] = {variant: {} for variant in SCORE.variants}
    notes: dict[str, dict[str, Any]] = {
        v: {**chosen[v].fit.named(), "valid_auroc": chosen[v].valid_auroc, "clamped": {}} for v in result
    }
    for name in evals:
        part = Part.of(inputs[name], torch.float64, device)
        for variant, by_part in result.items():
            head = HeadStack.at(chosen[variant].head, 1, torch.float64, device)
            lam = part.x.new_tensor(chosen[variant].fit.lam)
            raw = scores(head, part, head.base(part.x), lam, scale(params, chosen[variant].head))[0]
            by_part[name] = raw.clip(FLOOR, 1 - FLOOR)
            notes[variant]["clamped"][name] = float((raw != by_part[name]).mean())
    valid = Part.of(inputs["valid"], torch.float64, "cpu")
    response = error_auroc(valid.response.numpy(), valid.error.numpy() > 0)
    return result, {"selected": notes, "fits": table, "valid_auroc_sr": response}


def fit_state(inputs: RecordFile, params: Mapping[str, Any], seed: int) -> dict[str, dict[str, np.ndarray]]:
    check(params)
    use_job_kernels()
    chosen, _ = selected(inputs, params, seed, "cuda" if torch.cuda.is_available() else "cpu")
    states = {}
    for variant in SCORE.variants:
        head = chosen[variant].head
        out = {"out_weight": head.out_weight, "lambda": np.array([chosen[variant].fit.lam])}
        if head.out_bias is not None:
            out["out_bias"] = head.out_bias
        if (divisor := scale(params, head)) != 1:
            out["scale"] = np.array([divisor])
        states[variant] = {**head_state(head), **out}
    return states


def apply(
    variant: str, state: Mapping[str, np.ndarray], probs: np.ndarray, logits: np.ndarray, h: np.ndarray
) -> np.ndarray:
    own = stored_representation(state, h) @ state["out_weight"].T + state.get("out_bias", 0.0)
    if own.shape[1] == 1:  # a head that gives P(error) itself
        return np.clip(1 / (1 + np.exp(-own[:, 0])), 1e-7, 1 - 1e-7)
    own = np.where(np.isneginf(logits), -np.inf, own)
    p = np.exp(own - own.max(axis=1, keepdims=True))
    p = np.sort(p / p.sum(axis=1, keepdims=True), axis=1)
    others, top = p[:, :-1], p[:, -1:]
    exists = others > 0  # a missing option takes no part in the sum
    smooth = (exists * np.exp(state["lambda"] * (others - top))).sum(axis=1)
    u = (others.sum(axis=1) - np.log1p(smooth) / state["lambda"]) / state.get("scale", 1.0)
    return np.clip(u, 1e-7, 1 - 1e-7)


# -- for planning: see `planning.rehearsal.programs.TorchScore` ----------------------------------------


def fitting(params: Mapping[str, Any]) -> tuple[str, int]:
    return params["train_on"], batch_size(params)


def rehearse(records: RecordFile, params: Mapping[str, Any], device: str) -> None:
    """All fits of a cell, with as many numbers of epochs to choose from, and small ones."""
    selected(records, {**params, "epochs": list(range(1, len(params["epochs"]) + 1))}, 0, device)


def work(params: Mapping[str, Any], rows: int, head: int) -> float:
    """Six FLOPs for each parameter, row and epoch of a fit: forward, and backward to weights and activations."""
    wanted = grid(params)
    fits = [*set().union(*wanted.values()), *wanted["adue"], *wanted["adue"]]  # and from each of two random heads
    epochs = sum(fit.epochs for fit in fits) + len(LAMBDAS) * max(params["epochs"])
    return 6.0 * epochs * rows * head
