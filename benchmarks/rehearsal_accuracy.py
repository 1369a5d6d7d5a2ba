"""The rehearsal's peak memory against PyTorch's profiler on real runs of small models on the CPU.

    python benchmarks/rehearsal_accuracy.py [SHAPE...]

Shapes are those of `config/models`, with random weights. Every program runs twice: on the rehearsal's device, with the
CPU's kernels, and on the CPU itself under `torch.profiler.profile(profile_memory=True)`.
"""

import argparse
import contextlib
import copy
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from peftuq.models.readout import ReadOut
from peftuq.planning.cards import CARDS
from peftuq.planning.rehearsal import programs, trace
from peftuq.planning.rehearsal.work import Work
from peftuq.planning.requests import PROMPT

ROOT = Path(__file__).parents[1]
ATTENTION, ALL = ["q", "k", "v"], ["q", "k", "v", "o", "gate", "up", "down"]


class Cpu:
    """The CPU as a machine for programs to run on: `peak` bytes while they run, by the profiler."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.peak = self._placed = 0

    def place(self, model: ReadOut) -> None:
        model.to_empty(device="cpu")
        model.hf.tie_weights()  # shared matrices were given memory of their own
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                nn.init.normal_(tensor.data, std=0.02)
            else:
                tensor.zero_()
        tensors = (*model.parameters(), *model.buffers())
        self._placed = sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())

    @contextlib.contextmanager
    def running(self, model: nn.Module | None = None) -> Iterator[None]:
        activity = torch.profiler.ProfilerActivity.CPU
        with torch.profiler.profile(activities=[activity], profile_memory=True) as profiler:
            yield
        events = profiler.profiler.kineto_results.events()
        changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
        now = self.peak = self._placed
        for _, change in changes:
            now += change
            self.peak = max(self.peak, now)

    @contextlib.contextmanager
    def measuring(self) -> Iterator[list[Work]]:
        found: list[Work] = []
        yield found
        found.append(Work(0.0, 0.0, 0, 0, []))

    def keep(self, tensors: Iterable[Tensor], category: str) -> None:
        pass


@dataclass(frozen=True)
class Case:
    """A program on a shape."""

    name: str
    program: str
    shape: str
    spec: dict[str, Any]


def spec(kind: str, targets: list[str], mixture: dict | None, modules: dict, precision: str) -> dict[str, Any]:
    """A job's specification: adapters of rank 8 with dropout, batches of 8 x 64 tokens."""
    adapter = {"targets": targets, "rank": 8, "alpha": 16, "dropout": 0.1, "mixture": mixture}
    balance = {"coefficient": 1} if mixture else None
    optimiser = {"lr": 1e-4, "weight_decay": 0, "batch_size": 16, "epochs": 1, "schedule": "constant"}
    return {
        "task": {
            "kind": kind, "classes": list("abcd"), "max_length": 64, "prompt": PROMPT if kind == "choice" else None,
            "precision": precision, "batch_tokens": 1024,
        },
        "adapter": "peftuq.adapters.mixlora.method" if mixture else "peftuq.adapters.lora",
        "modules": modules,
        "recipe": {
            "version": 1, "adapter": adapter, "loss": {"balance": balance}, "optimiser": {**optimiser, "clip": 1.0},
            "micro_batch_tokens": 512, "checkpoint_steps": 10**9,
        },
        "params": {
            "positions": "all", "head": "excluded", "rank": 10, "exact_below": 512, "batch_tokens": 256,
            "grid": [-3.0, 4.0, 29],
        },
    }  # fmt: skip


def cases(shape: str, config: dict[str, Any], precision: str) -> Iterator[Case]:
    """Training of both kinds of adapter, extraction and Laplace."""
    decoder = "gate" in config["modules"]
    kind, targets = ("choice", ALL) if decoder else ("classification", ATTENTION)
    plain = spec(kind, targets, None, config["modules"], precision)
    mixture = {"experts": 4, "top_k": 2, "experts_at": ["ffn"]}
    mixed = spec(kind, ALL if decoder else [*ATTENTION, "o", "up", "down"], mixture, config["modules"], precision)
    checkpointed = copy.deepcopy(plain)
    checkpointed["recipe"]["gradient_checkpointing"] = True
    for name, program, chosen in (
        ("train lora", "train", plain),
        ("train lora, checkpointed", "train", checkpointed),
        ("train mixlora", "train", mixed),
        ("extract lora", "extract", plain),
        ("extract mixlora", "extract", mixed),
        ("fit_laplace", "fit_laplace", plain),
    ):
        yield Case(f"{name}, {precision}", program, shape, chosen)


def compare(case: Case, config: dict[str, Any]) -> tuple[float, float]:
    """(rehearsed, profiled) peak bytes."""
    with programs.routed_evenly():
        found = trace.rehearse(case.program, case.spec, config, CARDS["a100-80"], "cpu")
    machine = Cpu()
    with programs.routed_evenly():
        getattr(programs, case.program)(case.spec, config, machine)
    return sum(found["peak"].values()), machine.peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("shapes", nargs="*", default=["minilm", "smollm2"])
    worst = 0.0
    print(f"{'shape':<10}{'job':<32}{'rehearsed':>10}{'profiled':>10}{'apart':>8}   MiB")
    for shape in parser.parse_args().shapes:
        config = yaml.safe_load((ROOT / "config" / "models" / f"{shape}.yaml").read_text())
        for precision in ("fp32", "bf16"):
            for case in cases(shape, config, precision):
                rehearsed, profiled = compare(case, config["config"])
                apart = rehearsed / profiled - 1
                worst = max(worst, abs(apart))
                row = f"{rehearsed / 2**20:>10.1f}{profiled / 2**20:>10.1f}{apart:>+8.1%}"
                print(f"{shape:<10}{case.name:<32}{row}", flush=True)
    print(f"at most {worst:.1%} apart, torch {torch.__version__}")
    sys.exit(worst > 0.05)


if __name__ == "__main__":
    main()
