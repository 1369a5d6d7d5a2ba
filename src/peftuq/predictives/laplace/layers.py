"""The layers whose weights get a posterior, and what flows through them: inputs, and gradients of the outputs."""

import contextlib
from collections.abc import Callable, Iterator

from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from peftuq.adapters.mixlora.layers import RoutedLayer
from peftuq.errors import UserError
from peftuq.models.readout import ReadOut, head_layers


def layers_of(model: ReadOut, head: str) -> dict[str, nn.Linear]:
    """The A and B of every LoRA layer, by name, as linear layers.

    `head` "included" adds the trained layers of a classification head; the paper's posterior is over the adapter alone
    ("excluded"). Raises `UserError` where there is no LoRA, or experts.
    """
    if any(isinstance(module, RoutedLayer) for module in model.modules()):
        raise UserError("laplace: has no curvature for routed experts; leave it out for recipes with a mixture")
    found = {
        f"{name}.{factor}": getattr(module, f"lora_{factor}")["default"]
        for name, module in model.named_modules()
        if isinstance(module, LoraLayer)
        for factor in "AB"
    }
    if not found:
        raise UserError("laplace: the model has no LoRA layers; leave it out for recipes without an adapter")
    if model.head_correction is not None:
        name = next(name for name, module in model.named_modules() if module is model.head_correction.layer)
        found[f"{name}.B"] = model.head_correction.rows  # B has no other row that is read
    if head == "included" and model.answer_tokens is None:
        trained = head_layers(model.hf)
        found |= {"head.out": trained.out} | ({"head.dense": trained.dense} if trained.dense is not None else {})
    return found


@contextlib.contextmanager
def hooked(
    layers: dict[str, nn.Linear],
    forward: Callable[[str, Tensor], None],
    backward: Callable[[str, Tensor, Tensor], None],
) -> Iterator[None]:
    """Call hooks in every pass through the layers inside the block.

    `forward(name, a)` with a layer's inputs a (n, T, d_in); `backward(name, a, g)` in each backward pass with the
    gradient g (n, T, d_out) of its outputs. The weights may be frozen: only activations need a gradient, so that a
    backward pass costs as much as a forward pass. Layers without positions (a head's) have T = 1.
    """

    def hook(name: str) -> Callable:
        def on_forward(layer: nn.Linear, args: tuple[Tensor], output: Tensor) -> None:
            if not output.requires_grad:
                output.requires_grad_()
            a = _positions(args[0].detach())
            forward(name, a)
            output.register_hook(lambda g: backward(name, a, _positions(g)))

        return on_forward

    handles = [layer.register_forward_hook(hook(name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _positions(x: Tensor) -> Tensor:
    return x if x.dim() == 3 else x[:, None]
