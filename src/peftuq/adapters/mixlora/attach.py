"""From a recipe's adapter and a model's file to a MixLoRA adapter on the backbone."""

import re
from collections.abc import Mapping

from peft import PeftModel
from transformers import PreTrainedModel

from peftuq.adapters.mixlora import register  # noqa: F401  PEFT must know the method
from peftuq.adapters.mixlora.config import MixLoraConfig
from peftuq.adapters.mixlora.mixture import Mixture
from peftuq.adapters.peft_lora import target_pattern, wrap
from peftuq.config.recipe import Adapter
from peftuq.config.roles import FFN, PLACES
from peftuq.errors import UserError
from peftuq.specs.task import Kind


def patterns(
    model: PreTrainedModel, modules: Mapping[str, str], adapter: Adapter, mixture: Mixture
) -> dict[str, str | None]:
    """`ffn_modules`, `expert_modules` and `target_modules` of a `MixLoraConfig`.

    `adapter.targets` are the roles to adapt; those that the mixture's `experts_at` covers (`attention`: q, k, v, o;
    `ffn`: gate, up, down) get experts, the others one LoRA. Where the model's file maps a gate, the experts span the
    whole FFN; else each layer has its own. Raises `UserError` for a role that matches nothing or half a gated FFN.
    """
    mixed = [role for part in mixture.experts_at for role in PLACES[part] if role in adapter.targets]
    spanning = [role for role in mixed if role in FFN] if "gate" in modules else []
    if spanning and set(spanning) != set(FFN):
        raise UserError(
            f"adapter.targets has {spanning}: experts on a gated FFN span gate, up and down; name all three"
        )

    def linears(roles: list[str]) -> str | None:
        return target_pattern(model, modules, adapter.model_copy(update={"targets": roles})) if roles else None

    return {
        "ffn_modules": _parents(model, linears(["gate"]), modules["gate"]) if spanning else None,
        "expert_modules": linears([role for role in mixed if role not in spanning]),
        "target_modules": linears([role for role in adapter.targets if role not in mixed]),
    }


def _parents(model: PreTrainedModel, pattern: str, ending: str) -> str:
    """A pattern for the modules that hold what `pattern`, which ends in the group of `ending`, matches."""
    holders = {name.split(".")[-2] for name, _ in model.named_modules() if re.fullmatch(pattern, name)}
    return f"{pattern.removesuffix(f'(?:{ending})')}(?:{'|'.join(sorted(holders))})"


def attach(model: PreTrainedModel, modules: Mapping[str, str], adapter: Adapter, kind: Kind) -> PeftModel:
    """Freeze the backbone and add a fresh mixture (and, for classification, a trainable head), all in float32.

    `adapter` has the section `mixture`. Initialisation draws from torch's global generator.
    """
    mixture = Mixture.of(adapter)
    sizes = {"num_experts": mixture.experts, "top_k": mixture.top_k}
    return wrap(model, kind, MixLoraConfig, adapter, **sizes, **patterns(model, modules, adapter, mixture))
