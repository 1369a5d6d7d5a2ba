"""One training step as a GPU would run it, rehearsed: ours and plain PEFT's with the same settings.

`python benchmarks/rehearsed_step.py [MODEL DATASET RECIPE]`: peak memory (GiB), FLOPs, bytes moved, kernels launched,
reads for which the host waits, and the roofline time on an A100 of 80 GB, all of one optimiser step over the recipe's
batch of examples of 512 tokens. Plain PEFT is `get_peft_model` on the unmodified backbone under autocast, with the
backbone's own loss (`labels`), in as many micro-batches as ours or, where it says "whole", in one.
"""

import contextlib
import importlib.util
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import yaml
from torch import Tensor, nn
from transformers import masking_utils

from peftuq.adapters import lora, peft_lora
from peftuq.adapters.peft_lora import trainable
from peftuq.config.study import Study
from peftuq.jobs.jobs import Jobs
from peftuq.planning.cards import CARDS, GIB
from peftuq.planning.rehearsal import programs
from peftuq.planning.rehearsal.specs import Rehearsed
from peftuq.planning.rehearsal.tracer import Tracer
from peftuq.planning.rehearsal.work import Work
from peftuq.planning.requests import request

ROOT = Path(__file__).parents[1]
CARD = CARDS["a100-80"]
TOKENS = 512  # of each example
CASES = (
    ("llama2_7b", "obqa", "lora_wide"),
    ("mistral_7b", "obqa", "lora_wide"),
    ("llama2_7b", "obqa", "mixlora"),
    ("roberta", "newsgroups", "lora"),
)

WAITING = (
    "find_packed_sequence_indices",
    "_ignore_bidirectional_mask_sdpa",
)  # transformers' checks that ours leaves out


def untouched(stack: contextlib.ExitStack) -> None:
    """The backbone's code as transformers has it, until `stack` is closed."""
    fresh = importlib.util.module_from_spec(masking_utils.__spec__)
    masking_utils.__spec__.loader.exec_module(fresh)
    for name in WAITING:
        stack.enter_context(mock.patch.object(masking_utils, name, getattr(fresh, name)))


class Plain(nn.Module):
    """A backbone with PEFT's adapter, nothing of ours in it."""

    def __init__(self, spec: Rehearsed, config: dict[str, Any]):
        super().__init__()
        with torch.device("meta"), mock.patch.object(peft_lora, "recompute", lambda model: None):
            hf = programs._backbone(spec.task, config)
            self.model = lora.attach(hf, spec.modules, spec.recipe.adapter, spec.task.kind)
        self.choice = spec.task.kind == "choice"

    def forward(self, tokens: Tensor, labels: Tensor) -> Tensor:
        return self.model(input_ids=tokens, attention_mask=torch.ones_like(tokens), labels=labels).loss


def plain(spec: Rehearsed, config: dict[str, Any], micro_batches: int) -> tuple[dict[str, int], list[Work]]:
    """Peak memory, and the work of one step of a training by plain PEFT."""
    tracer = Tracer("cuda", CARD.memory)
    model = Plain(spec, config)
    tracer.place(model)
    rows = spec.recipe.optimiser.batch_size
    parameters = list(trainable(model).values())
    with contextlib.ExitStack() as stack, tracer.running(model):
        untouched(stack)
        optimiser = torch.optim.AdamW(parameters, lr=1e-4, fused=True)
        _warm(parameters, optimiser, micro_batches)
        tokens = torch.zeros(rows // micro_batches, TOKENS, dtype=torch.long, device=tracer.device)
        labels = tokens if model.choice else tokens[:, 0]
        with tracer.measuring() as work:
            for _ in range(micro_batches):
                with torch.autocast(tracer.device.type, torch.bfloat16):
                    loss = model(tokens, labels)
                (loss / micro_batches).backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
    return tracer.peak(), work


def ours(spec: dict[str, Any], config: dict[str, Any]) -> tuple[dict[str, int], list[Work], int]:
    """Peak memory, the work of one step of our training, and its micro-batches."""
    tracer = Tracer("cuda", CARD.memory)
    rows = spec["recipe"]["optimiser"]["batch_size"]
    whole = programs.Shape(rows, TOKENS)
    with programs.routed_evenly(), mock.patch.object(programs, "trained", lambda spec: whole):
        work = programs.train(spec, config, tracer)
    return tracer.peak(), [work], -(-rows // (spec["recipe"]["micro_batch_tokens"] // TOKENS))


def _warm(parameters: list[nn.Parameter], optimiser: torch.optim.Optimizer, micro_batches: int) -> None:
    """The optimiser's moments, and gradients unless a step has one batch: what earlier steps leave behind."""
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    if micro_batches == 1:
        optimiser.zero_grad(set_to_none=True)


def line(name: str, peak: dict[str, int], work: Work) -> str:
    memory = sum(peak.values()) / GIB
    return (
        f"{name:<34}{memory:>8.1f}{peak['kept activations'] / GIB:>8.1f}{work.flops / 1e12:>9.1f}"
        f"{work.bytes / 1e9:>8.0f}{work.kernels:>9}{work.reads:>7}{work.seconds(CARD):>8.2f}"
    )


def main(cases: list[tuple[str, str, str]]) -> None:
    study = Study(yaml.safe_load((ROOT / "config/paper.yaml").read_text()), ROOT / "config")
    jobs = Jobs(study)
    print(f"{'':34}{'GiB':>8}{'kept':>8}{'TFLOP':>9}{'GB':>8}{'kernels':>9}{'reads':>7}{'s':>8}")
    for case in cases:
        adapter = next(adapter for adapter in study.adapters if adapter[:3] == tuple(case))
        spec = request(jobs, jobs.train.rule_of(adapter.recipe), adapter).spec
        config = study.models.get(case[0], "model", "").config
        name = f"{case[0]} {case[2]}"
        peak, work, parts = ours(spec, config)
        print(line(f"{name}: ours, {parts} parts", peak, work[0]), flush=True)
        if spec["recipe"]["adapter"].get("mixture") is None:
            for count in dict.fromkeys((parts, 1)):
                peak, work = plain(Rehearsed.model_validate(spec), config, count)
                print(line(f"{name}: plain, {count if count > 1 else 'whole'}", peak, work[0]), flush=True)


if __name__ == "__main__":
    main([tuple(sys.argv[1:4])] if sys.argv[1:] else list(CASES))
