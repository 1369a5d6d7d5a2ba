"""The state of an unfinished training: one safetensors file, so it is there whole or not at all."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from peftuq import integrity
from peftuq.errors import UserError
from peftuq.files import atomic

FILE = "state.safetensors"
_IDENTITY = integrity.Identity(FILE, integrity.Made(*["0" * 16] * 3))  # the job's own is longer, and stands beside it


@dataclass
class Position:
    """Progress of a training: steps taken, a row of `log` for each finished epoch, `sums` since the last of them.

    `sums` has those of every process, by its number; empty where nothing has been summed.
    """

    step: int
    log: list[dict[str, Any]]
    sums: list[dict[str, float]]
    seconds: float


def save(
    folder: str | os.PathLike[str],
    identity: str,
    position: Position,
    state: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
) -> None:
    """Write trained tensors, optimiser moments and position."""
    tensors = {f"state/{name}": tensor for name, tensor in state.items()}
    for index, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{index}/{name}": torch.as_tensor(value) for name, value in moments.items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"identity": identity, "position": json.dumps(vars(position))}
    made = Path(folder) / f"new-{FILE}"
    with atomic(made) as temporary:
        save_file(tensors, temporary, metadata=metadata)
    integrity.embed(made, _IDENTITY)
    os.replace(made, Path(folder) / FILE)  # whole, and with its checksum


def restore(
    folder: str | os.PathLike[str], identity: str, state: dict[str, Tensor], optimiser: torch.optim.Optimizer
) -> Position | None:
    """Load a checkpoint of the same job into `state` and `optimiser`; None: none is there and whole, start afresh."""
    try:
        integrity.check(Path(folder) / FILE)
        with safe_open(Path(folder) / FILE, framework="pt") as file:
            if file.metadata()["identity"] != identity:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
            position = Position(**json.loads(file.metadata()["position"]))
    except (FileNotFoundError, SafetensorError, UserError):
        return None
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(tensors[f"state/{name}"])
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        kind, *rest = name.split("/")
        if kind == "optimiser":
            moments.setdefault(int(rest[0]), {})[rest[1]] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
    return position
