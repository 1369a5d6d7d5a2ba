"""The read-out: from tokens to h and logits, for both kinds of task.

Classification reads the head of `AutoModelForSequenceClassification`; choice reads the rows of the LM head that
belong to the answer tokens, at the one position that matters. The read-out is computed in float32 even
where the backbone runs in bf16: a bf16 logit of 20 is only known to 0.06.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from transformers import PreTrainedModel, masking_utils

from peftuq.artifacts import Head
from peftuq.errors import UserError
from peftuq.models import answer_rows
from peftuq.models.autocast import no_autocast
from peftuq.models.read_positions import ReadPositions
from peftuq.models.vocabulary import corrected_logsumexp, logsumexp, recomputed_logsumexp

# A row is one sequence here. To find out whether it holds several would wait for the device in every forward pass.
masking_utils.find_packed_sequence_indices = lambda position_ids: None
_needs_no_mask = masking_utils._ignore_bidirectional_mask_sdpa


def _known_to_need_no_mask(padding_mask: Tensor | None, *sizes: int | None, **named: int | None) -> bool:
    """Whether an encoder's batch has no padding, as far as can be known without waiting for the device."""
    on_host = padding_mask is None or padding_mask.device.type == "cpu"
    return on_host and bool(_needs_no_mask(padding_mask, *sizes, **named))


masking_utils._ignore_bidirectional_mask_sdpa = _known_to_need_no_mask


class Output(NamedTuple):
    """`logits` (N, C), -inf for missing options; `h` (N, d); `logsumexp` (N,): of the vocabulary, choice only.

    Of mixtures of experts only: `flu` (N, L, 2) in [K/E, 1], mean over the tokens and at the last one; `balance`, the
    load-balancing loss. Of evidential models only: `evidence`, mean and standard deviation of the evidence before its
    softplus, at options that there are.
    """

    logits: Float[Tensor, "N C"]
    h: Float[Tensor, "N d"]
    logsumexp: Float[Tensor, " N"] | None
    flu: Float[Tensor, "N L 2"] | None = None
    balance: Float[Tensor, ""] | None = None
    evidence: tuple[Float[Tensor, "N C"], Float[Tensor, "N C"]] | None = None


def _active(module: nn.Module) -> nn.Module:
    """The trained copy where PEFT keeps one beside the original (`modules_to_save`)."""
    copies = getattr(module, "modules_to_save", None)
    return copies["default"] if isinstance(copies, nn.ModuleDict) and "default" in copies else module


@dataclass(frozen=True)
class HeadLayers:
    """The layers of a classification head: `out(drop(activation(dense(drop(h)))))`, or `out(h)` for decoders."""

    out: nn.Linear
    dense: nn.Linear | None = None
    activation: str = ""
    dropout: float = 0.0
    input_dropout: float = 0.0

    def __call__(self, h: Float[Tensor, "N d"], training: bool) -> Float[Tensor, "N C"]:
        if self.dense is None:
            return self.out(h)
        z = self.dense(F.dropout(h, self.input_dropout, training))
        z = torch.tanh(z) if self.activation == "tanh" else F.gelu(z)
        return self.out(F.dropout(z, self.dropout, training))


def head_modules(model: PreTrainedModel) -> list[str]:
    """Names of the modules that make up a classifier's head: trained with the adapter, saved with it."""
    if hasattr(model, "score"):
        return ["score"]
    return ["pooler", "classifier"] if getattr(model.base_model, "pooler", None) is not None else ["classifier"]


def head_layers(model: PreTrainedModel) -> HeadLayers:
    """The head of a sequence classifier, found by its shape; `UserError` for one of an unknown shape."""
    if hasattr(model, "score"):
        return HeadLayers(_active(model.score))
    head = _active(model.classifier)
    if isinstance(head, nn.Linear):
        pooler = _active(model.base_model.pooler)
        return HeadLayers(head, pooler.dense, "tanh", dropout=model.dropout.p)
    if hasattr(head, "dense") and hasattr(head, "out_proj"):
        gelu = getattr(head, "activation", None) is not None
        return HeadLayers(head.out_proj, head.dense, "gelu" if gelu else "tanh", head.dropout.p, head.dropout.p)
    raise UserError(f"{type(model).__name__}: its classification head has neither dense/out_proj nor a pooler")


class ReadOut(nn.Module):
    """A backbone (plain or adapted) as a function of right-padded tokens.

    `answer_tokens` (C,) are the answer tokens of a choice task, None for classification. `answer`: what the loss of a
    choice task is over; for `options`, training has no use for the vocabulary, and its outputs have no `logsumexp`.
    """

    reads_all_positions = False  # of the last block, in training

    def __init__(
        self, model: nn.Module, hf: PreTrainedModel, answer_tokens: list[int] | None = None, answer: str = "vocabulary"
    ):
        super().__init__()
        self.answer = answer
        self.model = model  # owns the parameters; the adapter's layers sit inside `hf`
        self._hf = [hf]  # a list, so that the weights are not registered twice
        self.causal = not hasattr(hf, "classifier")
        self._positions = None if self.reads_all_positions else ReadPositions(hf)
        tokens = None if answer_tokens is None else torch.tensor(answer_tokens)
        self.register_buffer("answer_tokens", tokens, persistent=False)
        self.head_correction = None if tokens is None else answer_rows.of_head(hf.get_output_embeddings(), tokens)

    @property
    def hf(self) -> PreTrainedModel:
        return self._hf[0]

    def forward(
        self, input_ids: Int[Tensor, "N T"], lengths: Int[Tensor, " N"], n_options: Int[Tensor, " N"] | None = None
    ) -> Output:
        h = self._hidden(input_ids, lengths)
        with no_autocast(h.device):
            h = h.to(torch.promote_types(h.dtype, torch.float32))
            if self.answer_tokens is None:
                return Output(head_layers(self.hf)(h, self.training), h, None)
            vocabulary = self.hf.get_output_embeddings().weight
            logits, correction = F.linear(h, vocabulary[self.answer_tokens].to(h.dtype)), self.head_correction
            if correction is not None:
                low = correction.low(h)
                logits = logits + correction(low)
            if n_options is not None:
                missing = torch.arange(logits.shape[1], device=h.device) >= n_options[:, None]
                logits = logits.masked_fill(missing, -torch.inf)
            if self.training:
                return Output(logits, h, None if self.answer == "options" else recomputed_logsumexp(h, vocabulary))
            if correction is not None:
                return Output(logits, h, corrected_logsumexp(h, vocabulary, *correction.of_vocabulary(low)))
            return Output(logits, h, logsumexp(h, vocabulary))

    def _hidden(self, input_ids: Tensor, lengths: Tensor) -> Float[Tensor, "N d"]:
        if self._positions is not None:
            self._positions.at = lengths - 1 if self.training else None
        if self.causal:
            # Padding is to the right of every real token, where causal attention cannot look: no mask is needed.
            hidden = self.hf.base_model(input_ids=input_ids, use_cache=False).last_hidden_state
            if hidden.shape[1] == 1:
                return hidden[:, 0]
            return hidden[torch.arange(len(lengths), device=hidden.device), lengths - 1]
        mask = torch.arange(input_ids.shape[1], device=input_ids.device) < lengths[:, None]
        return self.hf.base_model(input_ids=input_ids, attention_mask=mask.long()).last_hidden_state[:, 0]

    def normalise_head(self) -> None:
        """Keep the head's dense layer at spectral norm 1 while it trains (Miyato et al. 2018); none: no effect."""
        dense = head_layers(self.hf).dense if self.answer_tokens is None else None
        if dense is not None:
            parametrizations.spectral_norm(dense)

    def bake_head(self) -> None:
        """Replace a normalised dense layer by its effective weights, which any loader understands."""
        dense = head_layers(self.hf).dense if self.answer_tokens is None else None
        if dense is not None and nn.utils.parametrize.is_parametrized(dense):
            nn.utils.parametrize.remove_parametrizations(dense, "weight", leave_parametrized=True)

    def head(self) -> Head:
        """The layers from h to the logits as arrays; for a choice task the LM head's rows of the answer tokens."""
        if self.answer_tokens is not None:
            rows = self.hf.get_output_embeddings().weight[self.answer_tokens]
            return Head(_array(rows if self.head_correction is None else rows + self.head_correction.weight()))
        layers = head_layers(self.hf)
        dense = {}
        if layers.dense is not None:
            dense = {"dense_weight": _array(layers.dense.weight), "dense_bias": _array(layers.dense.bias)}
        bias = None if layers.out.bias is None else _array(layers.out.bias)
        return Head(_array(layers.out.weight), bias, **dense, activation=layers.activation)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
