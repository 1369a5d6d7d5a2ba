"""LoRA adapters through PEFT: where they attach, how they are made and loaded."""

import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from peft import LoraConfig, PeftConfig, PeftModel, TaskType, get_peft_model, get_peft_model_state_dict
from peft.utils import load_peft_weights, set_peft_model_state_dict
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import PreTrainedModel

from peftuq.config.recipe import Adapter
from peftuq.data.model_files import json_object, safetensors_header
from peftuq.errors import UserError
from peftuq.files import INTEGRITY
from peftuq.models.answer_rows import AnswerRows
from peftuq.models.backbone import check_finite
from peftuq.models.readout import head_modules
from peftuq.models.recompute.install import recompute
from peftuq.specs.task import Kind


def target_pattern(model: PreTrainedModel, modules: Mapping[str, str], adapter: Adapter) -> str:
    """A regular expression that matches exactly the linear layers to adapt.

    `modules` maps the roles q, k, v, … to name endings (regular expressions) in this architecture. Raises
    `UserError` for a role that the model's file does not map or that matches nothing.
    """
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    inner = [role for role in adapter.targets if role != "lm_head"]
    for role in inner:
        ending = modules.get(role)
        if ending is None or not any(re.fullmatch(rf".*\.(?:{ending})", name) for name in names):
            raise UserError(f"{type(model).__name__}: modules.{role} = {ending!r} matches no linear layer")
    layers = r".*\."
    if adapter.top_layers is not None:
        depth = model.config.get_text_config().num_hidden_layers
        kept = range(max(0, depth - adapter.top_layers), depth)
        layers = rf".*\.(?:{'|'.join(map(str, kept))})\.(?:.*\.)?"
    patterns = [rf"{layers}(?:{'|'.join(modules[role] for role in inner)})"] if inner else []
    return "|".join([*patterns, *([_lm_head(model)] if "lm_head" in adapter.targets else [])])


def _lm_head(model: PreTrainedModel) -> str:
    """The name of a causal model's LM head, as a regular expression. Raises `UserError` for a model without one."""
    head = model.get_output_embeddings()
    name = next((name for name, module in model.named_modules() if module is head and head is not None), None)
    if name is None:
        raise UserError(f"{type(model).__name__}: adapter.targets has lm_head, but it has no LM head")
    return re.escape(name)


def attach(model: PreTrainedModel, modules: Mapping[str, str], adapter: Adapter, kind: Kind) -> PeftModel:
    """Freeze the backbone and add a fresh adapter (and, for classification, a trainable head), both in float32.

    Initialisation draws from torch's global generator.
    """
    return wrap(model, kind, LoraConfig, adapter, target_modules=target_pattern(model, modules, adapter))


def wrap(
    model: PreTrainedModel, kind: Kind, method: Callable[..., PeftConfig], adapter: Adapter, **where: str | int | None
) -> PeftModel:
    """`model` frozen, with a fresh adapter of a PEFT `method` and what a task of this kind trains beside it.

    `where`: the method's own fields. All that is trained is float32.
    """
    classification = kind == "classification"
    sizes = {"r": adapter.rank, "lora_alpha": adapter.alpha, "lora_dropout": adapter.dropout}
    config = method(
        **(sizes if adapter.rank is not None else {}),
        modules_to_save=head_modules(model) if classification else None,
        task_type=TaskType.SEQ_CLS if classification else TaskType.CAUSAL_LM,
        **where,
    )
    peft = get_peft_model(model, config)
    for parameter in trainable(peft).values():
        if not parameter.is_meta:
            parameter.data = parameter.data.to(torch.float32)
    recompute(peft)
    return peft


Extend = Callable[[PeftModel, Mapping[str, Tensor]], None]


def load(model: PreTrainedModel, folder: str | Path, extend: Extend | None = None) -> PeftModel:
    """A saved adapter on its backbone, in evaluation mode. Raises `UserError` for one not whole, or another's.

    `extend(peft, tensors)` gives LoRA what the adapter's kind saved beside it, of the shapes in the file's `tensors`.
    """
    remedy = "delete the adapter's folder and run again"
    # Files that are not there PEFT would look for on a hub.
    json_object(Path(folder) / "adapter_config.json", remedy)
    safetensors_header(Path(folder) / "adapter_model.safetensors", remedy)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", f"Unexpected keyword arguments .*{INTEGRITY}")  # of no concern to PEFT
            peft = PeftModel.from_pretrained(model, folder).eval()
        tensors = load_peft_weights(str(folder), device="cpu")
        if extend is not None:
            extend(peft, tensors)
            set_peft_model_state_dict(peft, tensors)
            peft.eval().requires_grad_(False)
    except (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError, SafetensorError) as error:
        raise UserError(f"{folder}: adapter_config.json and adapter_model.safetensors are no adapter of this model "
                        f"({error}); {remedy}") from error  # fmt: skip
    check_finite(tensors.items(), f"{folder}/adapter_model.safetensors", remedy)
    saved = set(tensors)
    wanted = set(get_peft_model_state_dict(peft, save_embedding_layers=False))
    if wanted != saved:
        name = min(wanted ^ saved)
        what = "lacks" if name in wanted else "has, beyond its model,"
        raise UserError(f"{folder}: the adapter {what} {name}, one of "
                        f"{len(wanted ^ saved)}: it is of another model; {remedy}")  # fmt: skip
    return peft


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def count_parameters(module: nn.Module) -> dict[str, int]:
    """How many parameters are trained, and how many there are in all; a head's rows that nothing reads are not."""
    unread = sum(part.unread for part in module.modules() if isinstance(part, AnswerRows))
    return {
        "trainable": sum(p.numel() for p in trainable(module).values()) - unread,
        "all": sum(p.numel() for p in module.parameters()),
    }
