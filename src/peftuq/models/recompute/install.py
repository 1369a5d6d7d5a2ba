"""Where an adapted model recomputes instead of keeping."""

from types import MethodType

from peft import PeftModel
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn

from peftuq.models.recompute.dropout import drop
from peftuq.models.recompute.gated import gated
from peftuq.models.recompute.lora import gated_linear, linear
from peftuq.models.recompute.norm import gemma_norm, llama_norm
from peftuq.models.recompute.siblings import join


def gated_ffn(module: nn.Module, x: Tensor) -> Tensor:
    """The forward pass of Llama's, Mistral's, Qwen2's and 3's, and Gemma 3's FFN."""
    if not module.training:
        return type(module).forward(module, x)
    gate, up, down = module.gate_proj(x), module.up_proj(x), module.down_proj
    y = gated_linear(down, gate, up, module.act_fn) if type(down) is LoraLinear else None
    return down(gated(gate, up, module.act_fn)) if y is None else y


GATED_FFNS = ("LlamaMLP", "MistralMLP", "Qwen2MLP", "Qwen3MLP", "Gemma3MLP")

# By name, so that no architecture is imported that is not used; one that is not listed computes as it always did.
_FORWARDS = {
    **dict.fromkeys(("LlamaRMSNorm", "MistralRMSNorm", "Qwen2RMSNorm", "Qwen3RMSNorm"), llama_norm),
    "Gemma3RMSNorm": gemma_norm,
    **dict.fromkeys(GATED_FFNS, gated_ffn),
}


def recompute(model: PeftModel) -> None:
    """Let LoRA layers, frozen norms and gated FFNs keep less while training; results agree to rounding.

    Modules, their names and what is saved stay as they are, and in evaluation mode they compute as they always did.
    While training, hooks inside a LoRA layer, and on the last layer of a gated FFN, are passed by.
    """
    for module in model.modules():
        forward = linear if type(module) is LoraLinear else _FORWARDS.get(type(module).__name__)
        if forward is not None:
            module.forward = MethodType(forward, module)
    for name, module in model.named_modules():
        if type(module) is nn.Dropout and ".lora_dropout." not in name:
            module.forward = MethodType(drop, module)
    join(model)
