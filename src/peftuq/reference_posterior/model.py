"""A network of two layers with LoRA on both, small enough for its posterior to be sampled exactly.

z = tanh((W1 + s·B1 A1) x + b1), logits = (W2 + s·B2 A2) z + b2: W and b are frozen, the factors A and B are the
parameters θ, in one vector. The posterior is that of `training/losses.Prior` over the factors with scale `posterior`:
-log p(θ | data) = N·(CE + prior) = Σ CE + half_lambda·‖θ - θ_0‖², up to a constant.
"""

from typing import Any, NamedTuple

import numpy as np

from peftuq.reference_posterior.backend import jax, jnp
from peftuq.reference_posterior.optimise import minimiser


class Layers(NamedTuple):
    """W1 (k, d), b1 (k,), W2 (C, k), b2 (C,)."""

    weight1: Any
    bias1: Any
    weight2: Any
    bias2: Any


class Factors(NamedTuple):
    """A1 (r, d), B1 (k, r), A2 (r, k), B2 (C, r)."""

    a1: Any
    b1: Any
    a2: Any
    b2: Any


def split(theta: Any, shapes: tuple[tuple[int, ...], ...]) -> list[Any]:
    """A vector as arrays of these shapes, in their order."""
    ends = np.cumsum([np.prod(shape, dtype=int) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(jnp.split(theta, ends[:-1]), shapes, strict=True)]


def layer_shapes(inputs: int, hidden: int, classes: int) -> tuple[tuple[int, ...], ...]:
    return (hidden, inputs), (hidden,), (classes, hidden), (classes,)


def fit_layers(x: np.ndarray, y: np.ndarray, hidden: int, classes: int, half_lambda: float, seed: int) -> Layers:
    """The layers that adaptation starts from: the MAP on x (N, d), y (N,), under the prior that the factors get."""
    shapes = layer_shapes(x.shape[1], hidden, classes)

    def potential(theta):
        return cross_entropy(forward(Layers(*split(theta, shapes)), x), y) + half_lambda * (theta**2).sum()

    size = sum(int(np.prod(shape)) for shape in shapes)
    start = np.random.default_rng(seed).normal(size=size) / np.sqrt(hidden)
    return Layers(*map(np.asarray, split(minimiser(potential)(start), shapes)))


def forward(layers: Layers, x: Any) -> Any:
    """Logits (N, C) without an adapter."""
    return jnp.tanh(x @ layers.weight1.T + layers.bias1) @ layers.weight2.T + layers.bias2


def cross_entropy(logits: Any, y: Any) -> Any:
    """Sum over the examples, nats."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), jnp.asarray(y)[:, None], axis=1).sum()


class Network(NamedTuple):
    """Frozen layers, the rank of the correction and its scaling s = alpha / rank."""

    layers: Layers
    rank: int
    scaling: float

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        (k, d), c, r = self.layers.weight1.shape, len(self.layers.bias2), self.rank
        return (r, d), (k, r), (r, k), (c, r)

    @property
    def size(self) -> int:
        """The number of parameters."""
        return sum(int(np.prod(shape)) for shape in self.shapes)

    def factors(self, theta: Any) -> Factors:
        return Factors(*split(theta, self.shapes))

    def initial(self, rng: np.random.Generator) -> np.ndarray:
        """LoRA's start: A uniform within ±1/√(its inputs) (PEFT's Kaiming rule), B zero."""
        parts = [
            rng.uniform(-1, 1, shape) / np.sqrt(shape[1]) if index % 2 == 0 else np.zeros(shape)
            for index, shape in enumerate(self.shapes)
        ]
        return np.concatenate([part.ravel() for part in parts])

    def logits(self, theta: Any, x: Any, masks: tuple[Any, Any] = (1.0, 1.0)) -> Any:
        """(N, C) from x (N, d); `masks` multiply what A1 and A2 read, as dropout does."""
        w, f = self.layers, self.factors(theta)
        first = self.scaling * (x * masks[0]) @ f.a1.T @ f.b1.T
        z = jnp.tanh(x @ w.weight1.T + w.bias1 + first)
        return z @ w.weight2.T + w.bias2 + self.scaling * (z * masks[1]) @ f.a2.T @ f.b2.T


class Posterior(NamedTuple):
    """Posterior of a network's θ given x (N, d) and y (N,), under the prior N(0, 1/(2·half_lambda))."""

    network: Network
    x: np.ndarray
    y: np.ndarray
    half_lambda: float

    @property
    def prior_std(self) -> float:
        return (2 * self.half_lambda) ** -0.5

    def potential(self, theta: Any, centre: Any = 0.0, masks: tuple[Any, Any] = (1.0, 1.0)) -> Any:
        """-log p(θ | data) up to a constant; `centre` (θ_0) is 0 except for an anchored member."""
        misfit = cross_entropy(self.network.logits(theta, self.x, masks), self.y)
        return misfit + self.half_lambda * ((theta - centre) ** 2).sum()


def probabilities(network: Network, thetas: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Predictive distributions (M, N, C) of the parameters `thetas` (M, D)."""
    one = jax.jit(lambda theta: jax.nn.softmax(network.logits(theta, x)))
    return np.asarray(jax.lax.map(one, jnp.asarray(thetas)))
