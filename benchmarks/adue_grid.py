"""AdUE's 144 fits as one batched problem, against the same fits in a plain loop and against the machine.

    python benchmarks/adue_grid.py

The plain loop is what a careful user writes: an `nn.Module`, autograd, `torch.optim.Adam`, `OneCycleLR`,
one fit after another. It runs a random sample of the fits, half before and half after the batched grid;
its time is scaled by training steps. `limit` is the grid's unavoidable work alone: the first layer's two
matrix products and Adam's pass over the weights. Differences are the largest among the sample's fits, of
scores on 1000 unseen rows and of weights: in float32, as timed, and in float64 for two short fits, where
only a mistake could tell them apart.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from peftuq.artifacts import Head, Record, softmax
from peftuq.scores.adue import search
from peftuq.scores.adue.head_stack import HeadStack
from peftuq.scores.adue.method import SCORE

THREADS, SEED = 2, 0
PARAMS = SCORE.params


@dataclass(frozen=True)
class Case:
    name: str
    width: int
    classes: int
    dense: bool
    rows: int
    sample: int  # fits that the plain loop runs


CASES = [
    Case("encoder 768 -> 768 -> 2", 768, 2, True, 320, 6),
    Case("encoder 384 -> 384 -> 2", 384, 2, True, 512, 8),
    Case("linear 768 -> 2", 768, 2, False, 1000, 16),
    Case("linear 576 -> 4", 576, 4, False, 1000, 16),
]


class Plain(nn.Module):
    def __init__(self, head: Head, dtype: torch.dtype):
        super().__init__()
        layers = [(head.out_weight, head.out_bias)]
        if head.dense_weight is not None:
            layers.insert(0, (head.dense_weight, head.dense_bias))
        self.layers = nn.ModuleList(nn.Linear(w.shape[1], w.shape[0], dtype=dtype) for w, _ in layers)
        for layer, (weight, bias) in zip(self.layers, layers, strict=True):
            layer.weight.data.copy_(torch.tensor(weight))
            layer.bias.data.copy_(torch.tensor(bias))

    def forward(self, h: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            h = torch.tanh(layer(h))
        return self.layers[-1](h)


def uncertainty(logits: Tensor, lam: float) -> Tensor:
    u = 1 - torch.logsumexp(lam * torch.softmax(logits, -1), -1) / lam
    return u.clamp(1e-7, 1 - 1e-7)


def plain_fit(start: Head, part: search.Part, fit: search.Fit) -> Plain:
    head = Plain(start, part.x.dtype)
    initial = [p.detach().clone() for p in head.parameters()]
    batch = PARAMS["batch_size"]
    optimizer = torch.optim.Adam(head.parameters(), lr=fit.lr)
    steps = fit.epochs * -(-len(part.x) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, fit.lr, total_steps=steps, anneal_strategy="cos")
    generator = torch.Generator().manual_seed(SEED)
    for _ in range(fit.epochs):
        for rows in torch.randperm(len(part.x), generator=generator).split(batch):
            u = uncertainty(head(part.x[rows]), fit.lam)
            loss = F.binary_cross_entropy(u, part.error[rows])
            loss = loss + fit.alpha * (u - part.response[rows]).square().mean()
            drift = sum((p - p0).square().sum() for p, p0 in zip(head.parameters(), initial, strict=True))
            optimizer.zero_grad()
            (loss + fit.beta * drift).backward()
            optimizer.step()
            schedule.step()
    return head


def problem(case: Case) -> tuple[Head, Record, Tensor]:
    """A head, rows on which it is wrong as often as it believes, and 1000 unseen rows."""
    rng = np.random.default_rng(SEED)

    def normal(*shape: int, scale: float) -> np.ndarray:
        return rng.normal(0, scale, shape).astype(np.float32)

    d, classes = case.width, case.classes
    out, bias = normal(classes, d, scale=2 / d**0.5), normal(classes, scale=0.1)
    dense = (normal(d, d, scale=1 / d**0.5), normal(d, scale=0.1), "tanh") if case.dense else ()
    head, h = Head(out, bias, *dense), normal(case.rows, d, scale=1.0)
    logits = (head.representation(h) @ out.T + bias).astype(np.float32)
    probs = softmax(logits).cumsum(1)
    label = (rng.random((case.rows, 1)) > probs).sum(1).clip(0, classes - 1)
    unseen = torch.tensor(normal(1000, d, scale=1.0), dtype=torch.float64)
    return head, Record(np.arange(case.rows), label, logits, h), unseen


def batched(start: Head, part: search.Part, fits: list[search.Fit]) -> dict[search.Fit, tuple[HeadStack, int]]:
    """Each fit's place: a stack and its index there."""
    trainer = search.Search(part, part, PARAMS, SEED)
    trained = {}
    for chunk in search.chunks(fits, start, part.x.device):
        stack = trainer.fit(start, chunk)
        trained |= {fit: (stack, index) for index, fit in enumerate(chunk)}
    return trained


def steps(fits: list[search.Fit], rows: int) -> int:
    return sum(fit.epochs for fit in fits) * -(-rows // PARAMS["batch_size"])


def limit(case: Case, head: Head, fits: list[search.Fit]) -> float:
    """Seconds of the two products and Adam for all the fits' steps: a median, in a chunk's shape."""
    together = len(next(search.chunks(fits, head, torch.device("cpu"))))
    outputs = case.width if case.dense else case.classes
    x, slope = (
        torch.randn(PARAMS["batch_size"], case.width),
        torch.randn(PARAMS["batch_size"], together * outputs),
    )
    weight, gradient, first, second = (torch.zeros(case.width, together * outputs) for _ in range(4))
    product, count, times = torch.empty_like(slope), torch.ones(()), []
    for _ in range(20):
        start = time.perf_counter()
        torch.mm(x, weight, out=product)
        torch.mm(x.T, slope, out=gradient)
        torch._fused_adam_(
            [weight], [gradient], [first], [second], [], [count], lr=1e-5, beta1=0.9, beta2=0.999,
            weight_decay=0.1, eps=1e-8, amsgrad=False, maximize=False,
        )  # fmt: skip
        times.append(time.perf_counter() - start)
    return float(np.median(times)) / together * steps(fits, case.rows)


def difference(plain: Plain, place: tuple[HeadStack, int], unseen: Tensor, lam: float) -> tuple[float, float]:
    """Largest |difference| in score and in weight."""
    stack, index = place
    one, two = plain.double(), Plain(stack.head(index), torch.float64)
    with torch.no_grad():
        score = (uncertainty(one(unseen), lam) - uncertainty(two(unseen), lam)).abs().max()
        weights = zip(one.parameters(), two.parameters(), strict=True)
        return float(score), max(float((a - b).abs().max()) for a, b in weights)


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    return function(*arguments), time.perf_counter() - start


def compare(case: Case) -> None:
    head, record, unseen = problem(case)
    part, exact = (search.Part.of(record, dtype, "cpu") for dtype in (torch.float32, torch.float64))
    fits = sorted(search.grid(PARAMS)["adue"], key=lambda fit: (-fit.epochs, fit.lr, fit.beta, fit.alpha))
    sample = random.Random(SEED).sample(fits, case.sample)
    shortest = fits[-2:]
    double = [
        difference(plain_fit(head, exact, f), p, unseen, f.lam) for f, p in batched(head, exact, shortest).items()
    ]
    plain_fit(head, part, fits[-1]), batched(head, part, shortest)  # both warm

    half = case.sample // 2
    plain = [timed(plain_fit, head, part, fit) for fit in sample[:half]]
    trained, ours = timed(batched, head, part, fits)
    plain += [timed(plain_fit, head, part, fit) for fit in sample[half:]]
    single = [difference(net, trained[f], unseen, f.lam) for f, (net, _) in zip(sample, plain, strict=True)]

    scaled = sum(seconds for _, seconds in plain) * steps(fits, case.rows) / steps(sample, case.rows)
    (score32, weight32), (score64, weight64) = (np.max(pairs, 0) for pairs in (single, double))
    bound = limit(case, head, fits)
    print(
        f"{case.name:24} {case.rows:5} {case.sample:6} {scaled:8.1f} {ours:8.1f} {bound:8.1f} "
        f"{scaled / ours:6.1f}x  {score32:8.1e} {weight32:8.1e}  {score64:8.1e} {weight64:8.1e}",
        flush=True,
    )


def main() -> None:
    torch.set_num_threads(THREADS)
    print(f"{len(search.grid(PARAMS)['adue'])} fits, batch {PARAMS['batch_size']}, {THREADS} threads, seconds")
    print(
        f"{'head':24} {'rows':>5} {'sample':>6} {'plain':>8} {'batched':>8} {'limit':>8} {'ratio':>7}  "
        f"{'|dU| f32':>8} {'|dθ| f32':>8}  {'|dU| f64':>8} {'|dθ| f64':>8}"
    )
    for case in CASES:
        compare(case)


if __name__ == "__main__":
    main()
