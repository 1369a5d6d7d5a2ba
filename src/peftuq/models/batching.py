"""Which examples go together: batches of like lengths, a function of the seed alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

WINDOW = 50  # batches that are sorted by length together: enough for little padding, far from a full sort


@dataclass(frozen=True)
class Encoded:
    """Tokenised examples: `tokens[i]` are example i's token ids, without padding."""

    id: np.ndarray
    label: np.ndarray
    tokens: Sequence[Sequence[int]]
    n_options: np.ndarray  # (N,) answer options that exist; C for classification

    @cached_property
    def lengths(self) -> np.ndarray:
        return np.array([len(tokens) for tokens in self.tokens], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, rows: Sequence[int] | np.ndarray) -> "Encoded":
        rows = np.asarray(rows)
        return Encoded(self.id[rows], self.label[rows], [self.tokens[row] for row in rows], self.n_options[rows])


@dataclass(frozen=True)
class Batch:
    """Right-padded: `input_ids` (n, T), `lengths`, `label`, `n_options` (n,)."""

    input_ids: torch.Tensor
    lengths: torch.Tensor
    label: torch.Tensor
    n_options: torch.Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on `device`; a GPU is not waited for."""
        tensors = (self.input_ids, self.lengths, self.label, self.n_options)
        if device.type == "cuda":
            tensors = tuple(tensor.pin_memory() for tensor in tensors)
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in tensors))


def collate(data: Encoded, rows: np.ndarray, pad: int) -> Batch:
    lengths = torch.tensor([len(data.tokens[row]) for row in rows])
    input_ids = torch.full((len(rows), int(lengths.max())), pad)
    for position, row in enumerate(rows):
        input_ids[position, : lengths[position]] = torch.as_tensor(data.tokens[row])
    return Batch(input_ids, lengths, torch.from_numpy(data.label[rows]), torch.from_numpy(data.n_options[rows]))


def epoch_batches(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Rows of each training batch of an epoch: shuffled, of like lengths; the last, partial batch is kept."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    window = WINDOW * batch_size
    order = np.concatenate(
        [part[np.argsort(lengths[part], kind="stable")] for part in np.split(order, range(window, len(order), window))]
    )
    batches = np.split(order, range(batch_size, len(order), batch_size))
    return [batches[i] for i in rng.permutation(len(batches))]


def token_batches(lengths: np.ndarray, max_tokens: int) -> list[np.ndarray]:
    """Rows of each batch of an evaluation (or part of a training batch): the longest first, padding counted.

    At most `max_tokens` a batch; an example longer than `max_tokens` is a batch of its own.
    """
    order = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        size = max(1, max_tokens // max(1, int(lengths[order[start]])))
        batches.append(order[start : start + size])
        start += size
    return batches
