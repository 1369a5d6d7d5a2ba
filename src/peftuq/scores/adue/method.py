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

What the paper leaves open is a parameter: the batch size (64, its adapters' own); the cycle of Adam's β₁
(torch's default); the random heads' scale (N(0, 0.02²), biases 0, as transformers initialises heads); dropout
inside an encoder's head while it is fine-tuned. That is 0: the text names none, decoder heads have none, a
record does not carry the encoder's, and without it the anchored head computes U_SR's very logits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from peftuq.artifacts import Head, Record, RecordFile, softmax
from peftuq.errors import UserError
from peftuq.metrics.detection import auroc
from peftuq.plugins import Score
from peftuq.scores.adue.head_stack import HeadStack, Plan, train
from peftuq.scores.adue.smoothmax import FLOOR, ErrorLoss, uncertainty

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
    choices={"train_on": ["train", "valid"]},
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
_ROWS = 512  # examples scored at once: bounds the memory of (H, rows, d) activations
_CACHE = 40 << 20  # bytes, of the order of a server's last-level cache


# -- the grid -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fit:
    """The hyper-parameters of one head."""

    lr: float
    epochs: int
    alpha: float
    beta: float
    lam: float

    def named(self) -> dict[str, float]:
        return {("lambda" if key == "lam" else key): value for key, value in vars(self).items()}

    @property
    def plan(self) -> Plan:
        return Plan(self.lr, self.epochs, 2 * self.beta)

    def rank(self, valid_auroc: float | None) -> tuple:
        """Sorts the best first; ties: a fit, the nearest to θ_init (lower rate, fewer epochs, larger β, then α)."""
        return -(valid_auroc or 0.0), self.epochs == 0, self.lr, self.epochs, -self.beta, -self.alpha


def grid(params: Mapping[str, Any]) -> dict[str, set[Fit]]:
    """The fits that each variant which starts from the trained head chooses from; they overlap."""
    positive = {key: [v for v in params[key] if v > 0] for key in ("alpha", "beta")}
    regularisers = {
        "adue": product(params["alpha"], params["beta"]),
        "adue_bce": [(0.0, 0.0)],
        "adue_bce_l2sp": product([0.0], positive["beta"]),
        "adue_bce_reg": product(positive["alpha"], [0.0]),
    }
    return {
        variant: {
            Fit(lr, epochs, float(alpha), float(beta), float(params["lambda"]))
            for lr, epochs, (alpha, beta) in product(params["lr"], params["epochs"], list(pairs))
        }
        for variant, pairs in regularisers.items()
    }


def random_head(like: Head, std: float, rng: np.random.Generator) -> Head:
    """A head of the same architecture: weights N(0, std²), biases 0."""

    def draw(weight: np.ndarray | None) -> np.ndarray | None:
        return None if weight is None else rng.normal(0.0, std, weight.shape).astype(np.float32)

    def zero(bias: np.ndarray | None) -> np.ndarray | None:
        return None if bias is None else np.zeros_like(bias)

    return Head(
        draw(like.out_weight),
        zero(like.out_bias),
        draw(like.dense_weight),
        zero(like.dense_bias),
        like.activation,
    )


# -- training and selection ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A record's tensors: `x` (N, d), `error` and `response` (N,), `missing` (C, N), as in `ErrorLoss`."""

    x: Tensor
    error: Tensor
    response: Tensor
    missing: Tensor

    @classmethod
    def of(cls, record: Record, dtype: torch.dtype, device: str) -> "Part":
        arrays = (
            record.h,
            record.logits.argmax(1) != record.label,
            1 - softmax(record.logits).max(1),
            np.where(np.isneginf(record.logits), -np.inf, 0.0).T,
        )
        return cls(*(torch.tensor(array, dtype=dtype, device=device) for array in arrays))


@dataclass(frozen=True)
class Chosen:
    """A variant's selected head and what it was selected for; `valid_auroc` is None where it is undefined."""

    fit: Fit
    valid_auroc: float | None
    head: Head


def scores(stack: HeadStack, part: Part, base: Tensor, lam: Tensor) -> np.ndarray:
    """U, not clamped, of H heads on N examples, given `stack.base(part.x)`: (H, N)."""
    blocks = []
    parts = zip(part.x.split(_ROWS), base.split(_ROWS), part.missing.split(_ROWS, 1), strict=True)
    for x, first, missing in parts:
        blocks.append(uncertainty(stack.forward(x, first), missing, lam)[0][:, 0])
    return torch.cat(blocks, 1).cpu().numpy()


def error_auroc(score: np.ndarray, error: np.ndarray) -> float | None:
    """AUROC; None where there is no error, or nothing else."""
    try:
        return auroc(score, error)
    except ArithmeticError:
        return None


@dataclass(frozen=True)
class Search:
    """Trains grids of fits on `fitted` (float32) and selects on `valid` (float64)."""

    fitted: Part
    valid: Part
    params: Mapping[str, Any]
    seed: int

    def fit(self, start: Head, fits: Sequence[Fit]) -> HeadStack:
        """One head a fit, trained from `start`; fits run from most to fewest epochs."""
        x = self.fitted.x
        stack = HeadStack.at(start, len(fits), x.dtype, x.device)
        alpha, lam = x.new_tensor([(f.alpha, f.lam) for f in fits]).T[:, :, None, None]
        loss = ErrorLoss(self.fitted.error, self.fitted.response, self.fitted.missing, alpha, lam)
        settings = {key: self.params[key] for key in ("batch_size", "momentum", "dropout")}
        train(stack, x, [f.plan for f in fits], loss.slope, seed=self.seed, **settings)
        return stack

    def select(self, start: Head, wanted: Mapping[str, set[Fit]]) -> tuple[dict[str, Chosen], list[tuple]]:
        """Each variant's best fit of those it wants, and (fit, valid AUROC) of all; each is trained once."""
        fits = sorted(set().union(*wanted.values()), key=lambda f: (-f.epochs, f.lr, f.beta, f.alpha, f.lam))
        error = self.valid.error.cpu().numpy() > 0
        base = HeadStack.at(start, 1, torch.float64, self.valid.x.device).base(self.valid.x)
        best: dict[str, Chosen] = {}
        table = []
        for chunk in chunks(fits, start, self.valid.x.device):
            stack = self.fit(start, chunk)
            lam = self.valid.x.new_tensor([f.lam for f in chunk])[:, None, None]
            u = scores(stack.double(), self.valid, base, lam).clip(FLOOR, 1 - FLOOR)
            for index, fit in enumerate(chunk):
                value = error_auroc(u[index], error)
                table.append((fit, value))
                for variant in (v for v, among in wanted.items() if fit in among):
                    held = best.get(variant)
                    if held is None or fit.rank(value) < held.fit.rank(held.valid_auroc):
                        best[variant] = Chosen(fit, value, stack.head(index))
        return best, table


def chunks(fits: list[Fit], head: Head, device: torch.device) -> Iterator[list[Fit]]:
    """Fits to train together: as many as keep δ, its gradient and Adam's moments in the CPU's cache, or in a
    third of the GPU's free memory. Heads do not interact: results do not depend on it."""
    arrays = (head.dense_weight, head.dense_bias, head.out_weight, head.out_bias)
    size = 4 * 4 * sum(array.size for array in arrays if array is not None)
    memory = _CACHE if device.type == "cpu" else torch.get_device_module(device).mem_get_info(device)[0] // 3
    together = max(1, memory // size)
    for start in range(0, len(fits), together):
        yield fits[start : start + together]


# -- the method ---------------------------------------------------------------------------------------


def check(params: Mapping[str, Any]) -> None:
    """Raises `UserError` for a grid that leaves a variant without a fit."""
    if params["train_on"] not in ("train", "valid"):
        raise UserError(f"config: methods.adue.train_on: must be train or valid, got {params['train_on']!r}")
    for key in ("lr", "epochs", "alpha", "beta"):
        if min(params[key], default=0) < 0 or max(params[key], default=0) <= 0:
            raise UserError(f"config: methods.adue.{key}: needs values >= 0, one of them > 0, got {params[key]!r}")


def selected(inputs: RecordFile, params: dict, seed: int, device: str) -> tuple[dict[str, Chosen], list[dict]]:
    """The head of every variant, and all fits with their hyper-parameters and valid AUROC."""
    fitted = Part.of(inputs[params["train_on"]], torch.float32, device)
    search = Search(fitted, Part.of(inputs["valid"], torch.float64, device), params, seed)
    rng, std = np.random.default_rng(seed), params["init_std"]
    trained, wanted = inputs.head, grid(params)
    classes, width = trained.out_weight.shape[0], fitted.x.shape[1]
    linear = Head(np.empty((classes, width), np.float32), np.empty(classes, np.float32))
    chosen: dict[str, Chosen] = {}
    table: list[dict] = []

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


def score(inputs: RecordFile, evals: list[str], params: dict, seed: int) -> tuple[dict, dict]:
    """Clamped U per variant and eval part, and diagnostics.

    `selected`: per variant the hyper-parameters, their valid AUROC (None if valid has no error, or nothing
    else) and the fraction of clamped examples per eval; `fits`: all fits with their valid AUROC;
    `valid_auroc_sr`: that of the softmax response.

    Raises `UserError` for a grid that leaves a variant without a fit.
    """
    check(params)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    chosen, table = selected(inputs, params, seed, device)
    result: dict[str, dict[str, np.ndarray]] = {variant: {} for variant in SCORE.variants}
    notes = {v: {**chosen[v].fit.named(), "valid_auroc": chosen[v].valid_auroc, "clamped": {}} for v in result}
    for name in evals:
        part = Part.of(inputs[name], torch.float64, device)
        for variant, by_part in result.items():
            head = HeadStack.at(chosen[variant].head, 1, torch.float64, device)
            lam = part.x.new_tensor(chosen[variant].fit.lam)
            raw = scores(head, part, head.base(part.x), lam)[0]
            by_part[name] = raw.clip(FLOOR, 1 - FLOOR)
            notes[variant]["clamped"][name] = float((raw != by_part[name]).mean())
    valid = Part.of(inputs["valid"], torch.float64, "cpu")
    response = error_auroc(valid.response.numpy(), valid.error.numpy() > 0)
    return result, {"selected": notes, "fits": table, "valid_auroc_sr": response}
