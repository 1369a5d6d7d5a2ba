"""One training step, ours and plain PEFT's, in one process on the same weights, batches and settings.

    python benchmarks/training_step.py [--case smollm2 --alternations 5 --precision fp32]

The weights are those of `make demo` (results/models). Plain PEFT is `get_peft_model` on the unmodified backbone, AdamW
with its defaults, autocast in bf16, and two forms of the loss of a choice task: `labels`, the backbone's own over
logits at every position, as its documentation has it, and `answer`, the logits of the last position alone, which is
what ours computes. All work on inputs of one length, without padding. Seconds are medians over rounds in which each
runs once, in an order that alternates; a ratio is the median of the rounds' ratios. With `--threads 1` they are seconds
of the processor, which others that share the machine disturb least. `--layers` keeps the first blocks alone. `limit`:
the products with frozen matrices alone, forward and by their inputs, timed in the same rounds. MiB is the peak of what
a step allocates beside weights, gradients and moments.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
import torch.nn.functional as F
import yaml
from peft import LoraConfig, TaskType, get_peft_model
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from peftuq.adapters import lora, peft_lora
from peftuq.config.recipe import Recipe
from peftuq.models import backbone
from peftuq.models.batching import Batch
from peftuq.models.kernels import use_job_kernels
from peftuq.models.readout import head_modules
from peftuq.training.assemble import assemble
from peftuq.training.step import Step

ROOT = Path(__file__).parents[1]
ANSWERS = [100, 200, 300, 400]  # token ids; which does not matter to the time


class Case(NamedTuple):
    model: str
    kind: str
    targets: tuple[str, ...]
    rank: int
    rows: int
    tokens: int
    dropout: float


ALL = ("q", "k", "v", "o", "gate", "up", "down")
CASES = (
    Case("smollm2", "choice", ALL, 16, 16, 32, 0.05),
    Case("smollm2", "choice", ALL, 16, 16, 32, 0.0),
    Case("minilm", "classification", ("q", "k", "v"), 8, 64, 32, 0.05),
)
Run = Callable[[], None]


class Machine(NamedTuple):
    models: Path
    dtype: torch.dtype
    layers: int | None
    clock: Callable[[], float]


def _backbone(case: Case, machine: Machine) -> backbone.PreTrainedModel:
    torch.manual_seed(0)
    hf = backbone.load(machine.models / case.model / "files", case.kind, len(ANSWERS), machine.dtype)
    blocks = hf.base_model.layers if case.kind == "choice" else hf.base_model.encoder.layer
    del blocks[machine.layers or len(blocks) :]
    hf.config.num_hidden_layers = len(blocks)
    return hf


def _recipe(case: Case) -> Recipe:
    adapter = {"targets": list(case.targets), "rank": case.rank, "alpha": 2 * case.rank, "dropout": case.dropout}
    optimiser = {"lr": 1e-4, "batch_size": case.rows, "epochs": 1}
    return Recipe.model_validate({"version": 1, "adapter": adapter, "optimiser": optimiser})


def _modules(case: Case) -> dict[str, str]:
    return yaml.safe_load((ROOT / f"config/models/{case.model}.yaml").read_text())["modules"]


def ours(case: Case, machine: Machine, ids: Tensor, label: Tensor) -> tuple[Run, nn.Module]:
    recipe, hf = _recipe(case), _backbone(case, machine)
    answers = ANSWERS if case.kind == "choice" else None
    model = assemble(hf, lora, recipe, _modules(case), case.kind, answers)
    step = Step(model, recipe, lora.extra_loss, None, machine.dtype)
    batch = Batch(ids, torch.full((case.rows,), case.tokens), label, torch.full((case.rows,), len(ANSWERS)))
    return lambda: step([batch], 0, 1.0, 1 / case.rows), model


def plain(case: Case, machine: Machine, ids: Tensor, label: Tensor, last: bool) -> Run:
    hf, choice = _backbone(case, machine), case.kind == "choice"
    targets = peft_lora.target_pattern(hf, _modules(case), _recipe(case).adapter)
    config = LoraConfig(
        r=case.rank, lora_alpha=2 * case.rank, lora_dropout=case.dropout, target_modules=targets,
        task_type=TaskType.CAUSAL_LM if choice else TaskType.SEQ_CLS,
        modules_to_save=None if choice else head_modules(hf),
    )  # fmt: skip
    model = get_peft_model(hf, config).train()
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    mask, ignored = torch.ones_like(ids), torch.full_like(ids[:, :-1], -100)
    labels = torch.cat([ignored, torch.tensor(ANSWERS)[label][:, None]], dim=1) if choice else label

    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=machine.dtype == torch.bfloat16):
            if last:
                logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=1).logits[:, -1].float()
                loss = F.cross_entropy(logits, labels[:, -1])
            else:
                loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return run


def frozen_products(case: Case, model: nn.Module, dtype: torch.dtype) -> tuple[Run, float]:
    """The products with the frozen matrices of all blocks, forward and backward by the input, and their FLOPs."""
    matrices = []
    for name, module in model.named_modules():
        own = module.base_layer if isinstance(module, LoraLinear) else module
        if type(own) is nn.Linear and ".layer" in name and "lora_" not in name and not name.endswith("base_layer"):
            matrices.append(own.weight.detach().to(dtype))
    tokens = case.rows * case.tokens
    inputs = {n: torch.randn(tokens, n).to(dtype) for n in {size for w in matrices for size in w.shape}}

    def run() -> None:
        for weight in matrices:
            F.linear(inputs[weight.shape[1]], weight)
        for weight in reversed(matrices):
            torch.mm(inputs[weight.shape[0]], weight)

    return run, sum(4.0 * tokens * weight.numel() for weight in matrices)


def peak(run: Run) -> float:
    """MiB: the most that is allocated beyond what was there before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        run()
    now = most = 0
    for event in sorted(profiled.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return most / 2**20


def contest(case: Case, machine: Machine, alternations: int) -> None:
    torch.manual_seed(1)
    ids, label = torch.randint(5, 20_000, (case.rows, case.tokens)), torch.randint(len(ANSWERS), (case.rows,))
    run, model = ours(case, machine, ids, label)
    runs = {"ours": run, "plain, labels": plain(case, machine, ids, label, last=False)}
    if case.kind == "choice":
        runs["plain, answer"] = plain(case, machine, ids, label, last=True)
    runs["limit"], flops = frozen_products(case, model, machine.dtype)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for alternation in range(alternations + 1):
        for name in list(runs) if alternation % 2 else reversed(list(runs)):
            start = machine.clock()
            runs[name]()
            if alternation:  # the first warms up: moments, memory
                seconds[name].append(machine.clock() - start)
    rate = flops / median(seconds["limit"]) / 1e9
    print(f"\n{case.model} {' '.join(case.targets)}, rank {case.rank}, {case.rows} × {case.tokens} tokens, "
          f"dropout {case.dropout}, {machine.dtype}; frozen products {rate:.0f} GFLOP/s")  # fmt: skip
    for name, times in seconds.items():
        ratio = median(a / b for a, b in zip(times, seconds["ours"], strict=True))
        print(f"{name:14}{median(times):8.3f} s{ratio:7.2f} × ours", flush=True)
    for name in list(runs)[:-1]:
        print(f"{name:14}{peak(runs[name]):8.0f} MiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=ROOT / "results/models")
    parser.add_argument("--case", choices=sorted({case.model for case in CASES}), help="only cases of this model")
    parser.add_argument("--alternations", type=int, default=5)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--layers", type=int)
    args = parser.parse_args()
    use_job_kernels()
    torch.set_num_threads(args.threads)
    clock = time.process_time if args.threads == 1 else time.perf_counter
    machine = Machine(args.models, backbone.dtype(args.precision), args.layers, clock)
    for case in CASES:
        if args.case in (None, case.model):
            contest(case, machine, args.alternations)


if __name__ == "__main__":
    main()
