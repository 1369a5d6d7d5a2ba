"""Tiny adapted models as the predictives ask them."""

import copy

import numpy as np
import torch
from recipes import adapter
from tiny import ENCODERS, ROLES, build

from peftuq.adapters import peft_lora
from peftuq.models import inference
from peftuq.models.batching import Encoded
from peftuq.models.readout import ReadOut


class Adapted:
    """The part of a model that the plug-in uses, with batches and padding to choose."""

    log = staticmethod(lambda line: None)

    def __init__(self, read_out, max_tokens=64, pad=0):
        self.read_out, self.max_tokens, self.pad = read_out, max_tokens, pad

    def encode(self, columns):
        return columns

    def run(self, data, progress=None):
        return inference.run(self.read_out, data, self.pad, self.max_tokens, torch.float32, progress)


def examples(n: int = 12) -> Encoded:
    rng = np.random.default_rng(0)
    tokens = [rng.integers(5, 60, rng.integers(2, 12)).tolist() for _ in range(n)]
    return Encoded(np.arange(n), rng.integers(0, 3, n), tokens, np.full(n, 3))


def read_out(dropout: float = 0.3) -> ReadOut:
    config = copy.deepcopy(ENCODERS["bert"])
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.5
    hf = build(config, "classification")
    peft = peft_lora.attach(hf, ROLES["bert"], adapter(rank=4, alpha=8, dropout=dropout), "classification")
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.5)
    return ReadOut(peft, hf).eval()
