"""An adapter that was trained anywhere, in PEFT's format, on the model that it was trained on."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from peftuq.data.model_files import INDEX, TOKENIZERS, WEIGHTS, ModelFolder, json_object, safetensors_header
from peftuq.errors import UserError
from peftuq.integrity import sha256
from peftuq.specs.task import Kind, Task

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"
RESAVE = "save the adapter with its save_pretrained, and name that folder"
ANOTHER = "name the model that the adapter was trained on"
_HEAD = re.compile(r"(?:^|\.)(?:classifier|classifier\.out_proj|score)(?:\.modules_to_save)?(?:\.default)?\.weight$")
_TASKS: dict[str, Kind] = {"SEQ_CLS": "classification", "CAUSAL_LM": "choice"}


class Description(NamedTuple):
    """`classes`: outputs of a classification head, None for a choice task; `provides`: what methods may need of the
    adapter, of lora (plain factors) and dropout."""

    kind: Kind
    classes: int | None
    provides: list[str]


def describe(model: Path, adapter: Path) -> Description:
    """The task of an adapter, told by its files. Raises `UserError` for one that cannot be read here."""
    for folder, option in ((model, "--model"), (adapter, "--adapter")):
        if not folder.is_dir():
            raise UserError(
                f"{option}: there is no folder {folder}: download it from its hub first, or correct the name"
            )
    files = ModelFolder.of(model, ANOTHER)
    files.configuration()
    files.weights()
    config = json_object(adapter / CONFIG, RESAVE)
    tensors = safetensors_header(adapter / TENSORS, RESAVE)
    _check_type(config.get("peft_type"), adapter / CONFIG)
    head = _classes(tensors)
    kind = _TASKS.get(str(config.get("task_type")), "classification" if head is not None else None)
    if kind is None:
        raise UserError(f"{adapter / CONFIG}: task_type is {config.get('task_type')}, and the adapter has no "
                        "classification head: only SEQ_CLS and CAUSAL_LM can be scored")  # fmt: skip
    if kind == "choice":
        return Description(kind, None, _provides(config))
    classes = head if head is not None else _classes(_model_tensors(model))
    if classes is None:
        raise UserError(f"{adapter / TENSORS}: holds no classification head, and neither do the model's weights: train "
                        "with modules_to_save=[...] naming the head, so that it is saved")  # fmt: skip
    if classes < 2:
        raise UserError(f"{adapter / TENSORS}: its head has one output, a regression: two classes or more are scored")
    return Description(kind, classes, _provides(config))


def _provides(config: dict[str, Any]) -> list[str]:
    changed = ("use_dora", "lora_bias", "alora_invocation_tokens", "use_qalora", "arrow_config")
    if config.get("peft_type") != "LORA" or any(config.get(key) for key in changed):
        return []
    return ["lora", "dropout"] if config.get("lora_dropout") else ["lora"]


def class_names(model: Path, count: int) -> list[str] | None:
    """The names of the classes in a model's configuration; None where they are only counted."""
    names = json_object(model / "config.json", ANOTHER).get("id2label")
    if not isinstance(names, dict) or len(names) != count or any(str(n).startswith("LABEL_") for n in names.values()):
        return None
    if not all(str(key).isascii() and str(key).isdigit() for key in names):
        return None
    return [str(names[key]) for key in sorted(names, key=int)]


def load(model: Path, adapter: Path, task: Task, log: Any) -> Any:
    """The adapter on its model, `adapters.adapted.Adapted`. Raises `UserError` where the two do not fit."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before CUDA starts
    import torch

    from peftuq.adapters import lora
    from peftuq.adapters.adapted import Adapted
    from peftuq.models import backbone, encode
    from peftuq.models.kernels import use_job_kernels

    with _in_the_words_of_this_task(backbone.REMEDY):
        use_job_kernels()
        torch.manual_seed(0)  # a head that the adapter replaces is drawn first
        dtype = backbone.dtype(task.precision)
        tokenizer = backbone.tokenizer(model)
        hf = backbone.load(model, task.kind, len(task.classes), dtype)
        if task.kind == "classification":
            _check_head(hf, model, adapter)
        loaded = lora.load(hf, adapter)
        try:
            _merge_head(hf, task)
            read_out = lora.read_out(loaded, hf, encode.answer_tokens(tokenizer, task), None).to(backbone.device())
            read_out.head()
        except AttributeError as error:
            raise UserError(f"{model}: {type(hf).__name__} has a classification head of an unknown shape: a pooler or "
                            "dense layer and one linear layer, or a linear layer of a decoder, can be read"
                            ) from error  # fmt: skip
        return Adapted(read_out.eval(), tokenizer, task, dtype, log, lora)


def _merge_head(hf: Any, task: Task) -> None:
    """An adapter of the head's dense layer (as of all linear layers) is added to its weights, which methods read."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    from peftuq.models.readout import head_layers

    if task.kind == "classification":
        dense = head_layers(hf).dense
        if isinstance(dense, BaseTunerLayer):
            dense.merge()


def digests(model: Path, adapter: Path) -> dict[str, str]:
    """The sha256 of every file that decides the outputs, by "model/…" and "adapter/…"."""
    names = {"config.json", *TOKENIZERS, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"}
    files = {f"model/{file.name}": file for file in model.iterdir() if file.name in names | _weights(model)}
    files |= {f"adapter/{name}": adapter / name for name in (CONFIG, TENSORS)}
    return {name: sha256(file) for name, file in sorted(files.items())}


def _weights(model: Path) -> set[str]:
    if (model / WEIGHTS).is_file():
        return {WEIGHTS}
    places = json_object(model / INDEX, ANOTHER).get("weight_map", {})
    return {INDEX, *map(str, places.values())}


def _model_tensors(model: Path) -> dict[str, Any]:
    return {
        key: value
        for name in _weights(model) - {INDEX}
        for key, value in safetensors_header(model / name, ANOTHER).items()
    }


def _classes(tensors: dict[str, Any]) -> int | None:
    found = [tensor["shape"][0] for name, tensor in tensors.items() if _HEAD.search(name) and len(tensor["shape"]) == 2]
    return int(found[0]) if found else None


def _check_type(peft_type: Any, file: Path) -> None:
    from peft import PeftType, PromptLearningConfig
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    known = {str(member.value) for member in PeftType}
    if peft_type not in known:
        raise UserError(f"{file}: peft_type is {peft_type!r}, which the installed peft does not have: train one of "
                        f"LORA, IA3, …, or update peft")  # fmt: skip
    if issubclass(PEFT_TYPE_TO_CONFIG_MAPPING[PeftType(peft_type)], PromptLearningConfig):
        raise UserError(f"{file}: peft_type is {peft_type}, which adds tokens to the input and changes no layer: only "
                        "adapters of layers (LoRA and the like, IA3) can be scored")  # fmt: skip


def _check_head(hf: Any, model: Path, adapter: Path) -> None:
    """Every weight of the head was saved, by the model or by the adapter: none is as it was drawn just now."""
    from peftuq.models.readout import head_modules

    saved = [*_model_tensors(model), *safetensors_header(adapter / TENSORS, RESAVE)]
    saved = [re.sub(r"\.(modules_to_save|default|original_module)\b", "", name) for name in saved]
    heads = set(head_modules(hf))
    for name, _ in hf.named_parameters():
        own = name.removeprefix(f"{hf.base_model_prefix}.")
        if own.split(".")[0] in heads and not any(f".{there}".endswith(f".{own}") for there in saved):
            raise UserError(f"{adapter / TENSORS}: lacks {own}, and so do the model's weights: name that layer in "
                            "modules_to_save when you train, so that it is saved")  # fmt: skip


@contextlib.contextmanager
def _in_the_words_of_this_task(remedy: str) -> Iterator[None]:
    """A user's own folders are not to be deleted, as those of the workflow are, which makes them again."""
    try:
        yield
    except UserError as error:
        said = str(error).replace(remedy, ANOTHER).replace("delete the adapter's folder and run again", ANOTHER)
        raise UserError(said) from error
