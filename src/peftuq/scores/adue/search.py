"""The grid of AdUE's fits, how they are trained, and how the best of them is selected."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from peftuq.artifacts import Head, Record, softmax
from peftuq.metrics.detection import auroc
from peftuq.scores.adue.head_stack import HeadStack, Plan, train
from peftuq.scores.adue.smoothmax import FLOOR, ErrorLoss, uncertainty

CODE_BATCH, CODE_RISE = 256, 0.1  # of the authors' code
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

    def rank(self, valid_auroc: float | None) -> tuple[float, bool, float, int, float, float]:
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

    def draw(weight: np.ndarray) -> np.ndarray:
        return rng.normal(0.0, std, weight.shape).astype(np.float32)

    def zero(bias: np.ndarray | None) -> np.ndarray | None:
        return None if bias is None else np.zeros_like(bias)

    return Head(
        draw(like.out_weight),
        zero(like.out_bias),
        None if like.dense_weight is None else draw(like.dense_weight),
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


def is_code(params: Mapping[str, Any]) -> bool:
    """Whether the fits follow the authors' code where it differs from the paper."""
    return params["reference"] == "code"


def batch_size(params: Mapping[str, Any]) -> int:
    return CODE_BATCH if is_code(params) else params["batch_size"]


def scale(params: Mapping[str, Any], head: Head) -> float:
    """The factor that U is divided by: 1 − 1/C in the authors' code, but for a head of one output."""
    classes = len(head.out_weight)
    return 1 - 1 / classes if is_code(params) and classes > 1 else 1.0


def balanced(error: Tensor) -> Tensor:
    """Weights (N,) that make errors and correct predictions equally likely to be drawn."""
    wrong = error.double().mean()
    return torch.where(error > 0, 1 / wrong.clamp(min=1 / len(error)), 1 / (1 - wrong).clamp(min=1 / len(error)))


def scores(stack: HeadStack, part: Part, base: Tensor, lam: Tensor, divisor: float = 1.0) -> np.ndarray:
    """U / `divisor`, not clamped, of H heads on N examples, given `stack.base(part.x)`: (H, N)."""
    blocks = []
    parts = zip(part.x.split(_ROWS), base.split(_ROWS), part.missing.split(_ROWS, 1), strict=True)
    for x, first, missing in parts:
        blocks.append(uncertainty(stack.forward(x, first), missing, lam)[0][:, 0])
    return (torch.cat(blocks, 1) / divisor).cpu().numpy()


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
        part, divisor = self.fitted, scale(self.params, start)
        loss = ErrorLoss(part.error, part.response, part.missing, alpha, lam, divisor)
        settings = {key: self.params[key] for key in ("momentum", "dropout")} | {"batch_size": batch_size(self.params)}
        if is_code(self.params):
            settings |= {"rise": CODE_RISE, "weights": balanced(part.error)}
        train(stack, x, [f.plan for f in fits], loss.slope, seed=self.seed, **settings)
        return stack

    def select(
        self, start: Head, wanted: Mapping[str, set[Fit]]
    ) -> tuple[dict[str, Chosen], list[tuple[Fit, float | None]]]:
        """Each variant's best fit of those it wants, and (fit, valid AUROC) of all; each is trained once."""
        fits = sorted(set().union(*wanted.values()), key=lambda f: (-f.epochs, f.lr, f.beta, f.alpha, f.lam))
        error = self.valid.error.cpu().numpy() > 0
        base = HeadStack.at(start, 1, torch.float64, self.valid.x.device).base(self.valid.x)
        best: dict[str, Chosen] = {}
        table = []
        for chunk in chunks(fits, start, self.valid.x.device):
            stack = self.fit(start, chunk)
            lam = self.valid.x.new_tensor([f.lam for f in chunk])[:, None, None]
            u = scores(stack.double(), self.valid, base, lam, scale(self.params, start)).clip(FLOOR, 1 - FLOOR)
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
