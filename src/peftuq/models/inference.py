"""Inference over examples, in batches of like lengths; records are in the order of the examples."""

import numpy as np
import torch
from torch import Tensor

from peftuq.artifacts import Record
from peftuq.models.batching import Encoded, collate, token_batches
from peftuq.models.readout import ReadOut
from peftuq.progress import Progress


@torch.inference_mode()
def run(
    model: ReadOut, data: Encoded, pad: int, max_tokens: int, dtype: torch.dtype, progress: Progress | None = None
) -> Record:
    """The record of every example; dropout is off, and the model is left in the mode it was in.

    `max_tokens` bounds a batch after padding. The results do not depend on it but for rounding.
    """
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    parts: list[dict[str, Tensor]] = []
    batches = token_batches(data.lengths, max_tokens)
    for rows in batches:
        batch = collate(data, rows, pad).to(device)
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            output = model(batch.input_ids, batch.lengths, batch.n_options)
        part = {"logits": output.logits, "h": output.h}
        if output.logsumexp is not None:
            part["answer_mass"] = (output.logits.logsumexp(dim=1) - output.logsumexp).exp().clamp(max=1.0)
        if output.flu is not None:
            part["flu"] = output.flu
        parts.append({name: tensor.float().to("cpu", non_blocking=True) for name, tensor in part.items()})
        if progress is not None:
            progress(len(rows))
    if device.type != "cpu":
        torch.get_device_module(device).synchronize(device)  # once: copies of any batch may still be under way
    model.train(was_training)
    back = np.argsort(np.concatenate(batches), kind="stable")
    arrays = {name: torch.cat([part[name] for part in parts]).numpy()[back] for name in parts[0]}
    return Record(id=data.id, label=data.label, **arrays)
