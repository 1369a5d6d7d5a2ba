"""Pretrained weights from a local folder: the backbone in a job's precision, a classification head in float32."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from peftuq.data.model_files import ModelFolder
from peftuq.errors import UserError
from peftuq.models.readout import head_modules

# Its progress bars and warnings (a fresh head is "missing") would hide the job's own lines; mistakes are raised below.
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def dtype(precision: str) -> torch.dtype:
    """The backbone's type for `bf16` or `fp32`. Raises `UserError` on a GPU that does not compute in it.

    Every processor does, if slowly.
    """
    if precision == "bf16" and torch.cuda.is_available() and not torch.cuda.is_bf16_supported(False):
        raise UserError(
            f"{torch.cuda.get_device_name()} does not compute in bf16: send this job to a GPU of compute capability 8 "
            "or more, or set precision: fp32 in the configuration"
        )
    return {"bf16": torch.bfloat16, "fp32": torch.float32}[precision]


def load(folder: str | Path, kind: str, n_classes: int, dtype: torch.dtype) -> PreTrainedModel:
    """The backbone with a classification head of `n_classes` (`classification`) or its LM head (`choice`).

    A classification head is float32 from the start, whatever `dtype`: converted later it would keep rounded weights.
    One that the weights lack is initialised from torch's global generator: seed it first. Raises `UserError` for files
    that are not whole, weights that are not the architecture's, and a weight that is no number.
    """
    files = ModelFolder.of(folder, REMEDY)
    files.configuration()
    files.weights()
    try:
        found = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder}/config.json: no configuration of a known model ({error}); {REMEDY}") from error
    config = _config(found, n_classes, kind)
    auto = AutoModelForCausalLM if kind == "choice" else _with_float32_head(type(on_meta(config, kind, n_classes)))
    try:
        model, report = auto.from_pretrained(
            folder, config=config, dtype=dtype, use_safetensors=True,
            local_files_only=True, trust_remote_code=False, output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported, and refused below in words of our own
        )  # fmt: skip
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise UserError(f"{folder}: cannot load the weights ({error}); {REMEDY}") from error
    _check_weights(model, report, f"{folder}")
    check_finite(model.named_parameters(), f"{folder}", f"these weights were saved broken: {REMEDY}")
    return model


def check_finite(tensors: Iterable[tuple[str, torch.Tensor]], where: str, remedy: str) -> None:
    """Raises `UserError` naming the first tensor that holds a NaN or an infinity."""
    for name, tensor in tensors:
        # A sum needs no memory; one of sound weights may overflow, and is then looked at value by value.
        whole = torch.isfinite(tensor.detach().sum(dtype=torch.float32))
        if not whole and not torch.isfinite(tensor.detach()).all():
            raise UserError(f"{where}: {name} holds NaN or infinite values: {remedy}")


REMEDY = "delete the folder and fetch the model again"

# Heads of pretraining, which no task here uses: files have them, and models leave them out.
_OTHER_HEADS = {
    *("cls", "lm_head", "discriminator_predictions", "generator_predictions", "generator_lm_head"),
    *("classifier", "score", "qa_outputs", "pooler"),
    *("position_ids", "inv_freq"),  # buffers that older files hold
}


def _check_weights(model: PreTrainedModel, report: dict[str, Any], where: str) -> None:
    """Every tensor of the backbone is its file's, and the other way round; only a head may be fresh.

    Raises `UserError` naming the first that is missing, left over or of another shape.
    """
    prefix = f"{model.base_model_prefix}."
    fresh = set(head_modules(model)) if hasattr(model, "score") or hasattr(model, "classifier") else set()
    own = [name.removeprefix(prefix) for name in report["missing_keys"]]
    missing = [name for name in own if name.split(".")[0] not in fresh]
    left = [name.removeprefix(prefix) for name in report["unexpected_keys"]]
    unexpected = [name for name in left if not _OTHER_HEADS & {name.split(".")[0], name.split(".")[-1]}]
    mismatched = [str(entry[0] if isinstance(entry, tuple) else entry) for entry in report["mismatched_keys"]]
    head = [name for name in mismatched if name.removeprefix(prefix).split(".")[0] in fresh]
    if head:
        raise UserError(f"{where}: {head[0]} is of a head for another number of classes, and the task has "
                        f"{model.config.num_labels}: save the model without its head, and one will be "
                        "trained")  # fmt: skip
    for what, names in (("lack", missing), ("have, beyond the architecture,", unexpected), ("misshape", mismatched)):
        if names:
            raise UserError(f"{where}: the weights {what} {sorted(names)[0]}, one of {len(names)}: they are not of the "
                            f"architecture in config.json; {REMEDY}")  # fmt: skip


def on_meta(config: AutoConfig, kind: str, n_classes: int, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """The same model without storage: shapes, types and names only, for any size."""
    auto = AutoModelForSequenceClassification if kind == "classification" else AutoModelForCausalLM
    with torch.device("meta"):
        model = auto.from_config(_config(config, n_classes, kind), dtype=dtype, trust_remote_code=False)
    if kind == "classification":
        _cast_head(model)
    return model


def _cast_head(model: PreTrainedModel) -> None:
    for name in head_modules(model):
        # A module of the head by its own name: a pooler lies in the encoder.
        (getattr(model, name) if hasattr(model, name) else getattr(model.base_model, name)).float()


def _with_float32_head(cls: type[PreTrainedModel]) -> type[PreTrainedModel]:
    """The class with a head that is float32 before it gets weights: then they are loaded or drawn in float32.

    (`_keep_in_fp32_modules_strict` alone covers what the file has, and a fresh head would be drawn in bf16.)
    """

    def initialise(self: PreTrainedModel, *arguments: object, **options: object) -> None:
        cls.__init__(self, *arguments, **options)
        _cast_head(self)

    return type(cls.__name__, (cls,), {"__init__": initialise, "__module__": cls.__module__})


def _config(config, n_classes: int, kind: str):
    if kind == "classification":
        config.num_labels = n_classes
        # Decoders read the last token by position here; transformers only needs that some pad token exists.
        if getattr(config, "pad_token_id", None) is None:
            eos = config.eos_token_id
            config.pad_token_id = eos[0] if isinstance(eos, list) else eos
    return config


def tokenizer(folder: str | Path) -> PreTrainedTokenizerFast:
    """The backbone's tokenizer; padding is on the right, where a causal model cannot see it.

    Raises `UserError` for files that are not whole, and for one without any token to pad with.
    """
    ModelFolder.of(folder, REMEDY).tokenizer()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the library that reads them raises its own, which have no name
        raise UserError(f"{folder}: cannot load the tokenizer ({error}); {REMEDY}") from error
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise UserError(f"{folder}/tokenizer_config.json: neither pad_token nor eos_token is given, and shorter inputs "
                        "need one to be padded with: add pad_token")  # fmt: skip
    return tokenizer


class Limits(NamedTuple):
    """The inputs that a model takes: ids below `rows`, and at most `positions` of them; None: any number."""

    rows: int
    positions: int | None

    @classmethod
    def of(cls, model: PreTrainedModel) -> "Limits":
        return cls(model.get_input_embeddings().weight.shape[0], _positions(model))

    def check(self, tokens: Iterable[Sequence[int]], where: str) -> None:
        """Raises `UserError` for an input that the model has no row or position for, which it would fail at."""
        for ids in tokens:
            if ids and max(ids) >= self.rows:
                raise UserError(f"{where}: its text has the token {max(ids)}, and the embedding {self.rows} rows: the "
                                f"tokenizer is of another model; {REMEDY}")  # fmt: skip
            if self.positions is not None and len(ids) > self.positions:
                raise UserError(f"{where}: an input has {len(ids)} tokens, and the model {self.positions} positions: "
                                "lower max_length in the model's file or in the recipe")  # fmt: skip


def _positions(model: PreTrainedModel) -> int | None:
    """Rows of a model's table of positions, those for padding left out; its configuration's limit without a table."""
    for name, module in model.named_modules():
        if name.endswith(("position_embeddings", "wpe")) and isinstance(module, nn.Embedding):
            return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)
