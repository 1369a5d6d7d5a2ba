"""What training minimises: loss on the label or answer only, never on prompt or padding."""

import torch.nn.functional as F
from torch import Tensor

from peftuq.models.readout import Output


def cross_entropy(output: Output, label: Tensor, over: str) -> Tensor:
    """Mean cross-entropy, nats: over the classes, or for a choice task over `options` or the whole `vocabulary`."""
    if output.logsumexp is None or over == "options":
        return F.cross_entropy(output.logits, label)
    return (output.logsumexp - output.logits.gather(1, label[:, None]).squeeze(1)).mean()
