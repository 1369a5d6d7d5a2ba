"""Monte-Carlo dropout (Gal and Ghahramani 2016) of an adapter: its own dropout stays on at inference.

Nothing else is sampled: the model stays in evaluation mode. Whether an element is dropped is a hash of the seed, the
pass, the example's tokens, the position, the layer and the channel: samples depend neither on batches nor on padding.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from peftuq.adapters.adapted import Adapted
from peftuq.artifacts import Samples
from peftuq.errors import UserError
from peftuq.models.readout import ReadOut
from peftuq.plugins import Predictive
from peftuq.predictives import passes
from peftuq.progress import Progress

PREDICTIVE = Predictive(
    version=1,
    reads="adapter",
    needs=["lora", "dropout"],
    sized=True,
    samples=True,
)

_ODD = (-7046029254386353131, -4658895280553007687, -7723592293110705685)  # splitmix64's, signed


def mixed(x: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """splitmix64's finaliser (Steele et al. 2014) on int64: every bit of the result depends on every bit of x."""
    x = x * _ODD[0]
    x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * _ODD[1]
    x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * _ODD[2]
    return x ^ ((x >> 31) & 0x1FFFFFFFF)


def example_keys(input_ids: Int[Tensor, "n T"], lengths: Int[Tensor, " n"]) -> Int[Tensor, "n T"]:
    """A key for every position of every example: of its tokens and the position alone."""
    position = torch.arange(input_ids.shape[1], device=input_ids.device)
    tokens = mixed(mixed(input_ids.long() + 1) + position) * (position < lengths[:, None])
    return mixed(tokens.sum(dim=1, keepdim=True) ^ mixed(position + 1))


def kept(keys: Int[Tensor, "n T"], layer: int, width: int, p: float) -> Float[Tensor, "n T width"]:
    """1 / (1 - p) with probability 1 - p, else 0."""
    channel = mixed(torch.arange(width, device=keys.device) + (layer << 32))
    uniform = mixed(keys[..., None] ^ channel) & 0xFFFFFF
    return (uniform >= round(p * 2**24)).float() / (1 - p)


def dropouts(model: nn.Module) -> dict[str, nn.Dropout]:
    """The adapter's dropout layers by name, in the order of the model; raises `UserError` if they drop nothing."""
    found = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Dropout) and ".lora_dropout." in name and module.p > 0
    }
    if not found:
        raise UserError(
            "mc_dropout: the adapter was trained without dropout, so that all samples would be the same; set "
            "adapter.dropout above 0 in its recipe, or leave mc_dropout out"
        )
    return found


@contextlib.contextmanager
def dropping(read_out: ReadOut, seed: int, draw: int) -> Iterator[None]:
    """Inside the block the adapter drops inputs; the masks are a function of (`seed`, `draw`) and of each example."""
    keys: list[Tensor] = []
    salt = mixed(mixed(torch.tensor(seed + 1)) + draw).item()

    def note(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        every = example_keys(args[0], args[1]) ^ salt
        read = torch.arange(len(every), device=every.device), args[1] - 1
        keys[:] = [every, every[read][:, None]]

    def drop(layer: int) -> Callable[[nn.Dropout, tuple[Tensor], Tensor], Tensor]:
        def dropped(module: nn.Dropout, args: tuple[Tensor], output: Tensor) -> Tensor:
            x = args[0]
            every, read = keys  # an LM head sees the positions that are read, and no others
            of_positions = read if x.shape[:-1].numel() == len(read) else every
            return x * kept(of_positions, layer, x.shape[-1], module.p).to(x.dtype).view(x.shape)

        return dropped

    handles = [read_out.register_forward_pre_hook(note)]
    handles += [module.register_forward_hook(drop(i)) for i, module in enumerate(dropouts(read_out).values())]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def predict(
    adapted: Adapted,
    data: Mapping[str, Mapping[str, Any]],
    evals: Sequence[str],
    params: Mapping[str, Any],
    seed: int,
    size: int | None,
) -> tuple[dict[str, Samples], dict[str, str]]:
    """`size` samples of each evaluation set. Raises `UserError` if the adapter has no dropout."""
    assert size is not None  # as `sized`
    encoded = {part: adapted.encode(data[part]) for part in evals}
    progress = Progress(adapted.log, "passes", size * sum(map(len, encoded.values())), "examples")
    draws = (dropping(adapted.read_out, seed, draw) for draw in range(size))
    return passes.predict(adapted, encoded, draws, progress), {}
