"""Results of rehearsals: memory against the profiler on the CPU, operations counted by hand, and planted faults."""

import contextlib
import inspect

import pytest
import torch
from closed_forms import adapter_parameters
from small_jobs import DECODER, ENCODER, MIXTURE, spec
from torch import nn

from peftuq.adapters import full, ia3, ib_edl, ivon, mc_lora
from peftuq.models import inference, readout
from peftuq.planning import cost
from peftuq.planning.cards import CARDS
from peftuq.planning.rehearsal import programs, trace
from peftuq.planning.rehearsal.batches import Shape, longest
from peftuq.planning.rehearsal.specs import Rehearsed
from peftuq.planning.rehearsal.tracer import CATEGORIES, Tracer
from peftuq.planning.rehearsal.work import Work

CARD = CARDS["a100-80"]
JOBS = {
    "train lora": ("train", DECODER, None),
    "train classifier": ("train", ENCODER, None),
    "extract": ("extract", DECODER, None),
    "extract mixlora": ("extract", DECODER, MIXTURE),
    "fit_laplace": ("fit_laplace", DECODER, None),
}


class Cpu:
    """Real tensors; `peak` is the profiler's."""

    device = torch.device("cpu")

    def place(self, model):
        model.to_empty(device="cpu")
        model.hf.tie_weights()
        tensors = [*model.parameters(), *model.buffers()]
        for tensor in tensors:
            nn.init.normal_(tensor.data, std=0.02) if tensor.is_floating_point() else tensor.zero_()
        self.placed = sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())

    @contextlib.contextmanager
    def running(self, model=None):
        activities = [torch.profiler.ProfilerActivity.CPU]
        with torch.profiler.profile(activities=activities, profile_memory=True) as profiler:
            yield
        events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
        now = self.peak = self.placed
        for event in sorted(events, key=lambda e: e.start_ns()):
            now += event.nbytes()
            self.peak = max(self.peak, now)

    @contextlib.contextmanager
    def measuring(self):
        yield (found := [])
        found.append(Work(0.0, 0.0, 0, 0, []))

    def keep(self, tensors, category):
        pass


@pytest.mark.parametrize("job, precision", [
    *((job, precision) for job in ("train lora", "train classifier", "fit_laplace") for precision in ("fp32", "bf16")),
    ("extract", "fp32"), ("extract mixlora", "fp32"),
])  # fmt: skip
def test_the_peak_is_the_profilers_on_the_cpu(job, precision):
    program, config, mixture = JOBS[job]
    wanted = spec(config, precision, mixture)
    found = trace.rehearse(program, wanted, config, CARD, "cpu")
    machine = Cpu()
    with programs.routed_evenly():
        getattr(programs, program)(wanted, config, machine)
    assert sum(found["peak"].values()) == pytest.approx(machine.peak, rel=0.05)


def test_categories_make_up_the_peak():
    wanted = spec(DECODER)
    tracer = Tracer("cuda")
    with programs.routed_evenly():
        programs.train(wanted, DECODER, tracer)
    peak = tracer.peak()
    assert tuple(peak) == CATEGORIES and all(peak.values())
    changes = [(h.born, h.size) for h in tracer._all] + [(h.died, -h.size) for h in tracer._all if h.died]
    now = most = 0
    for _, change in sorted(changes):
        most = max(most, now := now + change)
    assert sum(peak.values()) == most
    backbone = programs._backbone(Rehearsed.model_validate(wanted).task, DECODER)
    frozen = sum(p.numel() * p.element_size() for p in backbone.parameters())
    assert peak["weights"] == pytest.approx(frozen, rel=0.1)  # rounded up to the allocator's blocks, and buffers


def test_operations_are_those_of_the_shapes():
    """4 W + 6 P for a token that is trained on, 2 W + 2 P for one that is asked about, and attention's products."""
    blocks = 2 * (32 * 32 + 2 * 32 * 16 + 32 * 32 + 3 * 32 * 48)
    adapter = 2 * 4 * (64 + 48 + 48 + 64 + 3 * 80)
    attention = 2 * 2 * 16 * 32 * 2  # a token: q kᵀ and p v, 16 positions, 32 wide, 2 layers
    trained = trace.rehearse("train", spec(DECODER), DECODER, CARD)
    head = (
        2 * 96 * 32 / 16
    )  # the vocabulary, once an example; twice more to compute it again, and for the gradient of h
    unread = 15 / 16 * 3 * (4 * 32 * 48 + 6 * 4 * 80)  # the last block's FFN, but at the position that is read
    by_hand = 4 * blocks + 6 * adapter - unread + 3.5 * attention + 3 * head
    # Less than that: the first block's inputs need no gradient.
    assert trained["work"]["flops"] / trained["tokens"] == pytest.approx(by_hand, rel=0.1)
    asked = trace.rehearse("extract", spec(DECODER), DECODER, CARD)
    by_hand = 2 * (blocks + adapter) + attention + head
    assert asked["work"]["flops"] / asked["tokens"] == pytest.approx(by_hand, rel=0.02)


def test_no_kernel_is_faster_than_it_is_launched():
    small = Work(1e3, 1e3, 10, 0, [("bfloat16", 1e3, 1e3)] * 10)
    assert small.seconds(CARD) == 10 * CARD.launch
    large = Work(312e12, 0, 1, 0, [("bfloat16", 312e12, 0.0)])
    assert large.seconds(CARD) == pytest.approx(1)
    assert Work(0, 2039e9, 1, 0, [("float32", 0.0, 2039e9)]).seconds(CARD) == pytest.approx(1)


def test_checkpointing_trades_memory_for_work():
    plain = trace.rehearse("train", spec(DECODER), DECODER, CARD)
    wanted = spec(DECODER)
    wanted["recipe"]["gradient_checkpointing"] = True
    spared = trace.rehearse("train", wanted, DECODER, CARD)
    assert spared["peak"]["kept activations"] < plain["peak"]["kept activations"] / 2
    assert spared["work"]["flops"] > 1.2 * plain["work"]["flops"]


def test_every_program_runs():
    sampled = {**spec(DECODER), "params": {"choice": ["options"], "classification": ["dummy"]}}
    for program, config, wanted in (
        ("predict_with_model", DECODER, {**sampled, "module": "peftuq.predictives.mc_dropout"}),
        ("predict_with_model", DECODER, {**sampled, "module": "peftuq.predictives.spuq"}),
        ("predict_with_model", ENCODER, {**sampled, **spec(ENCODER), "module": "peftuq.predictives.mc_dropout"}),
        ("extract", ENCODER, spec(ENCODER)),
    ):
        assert sum(trace.rehearse(program, wanted, config, CARD)["peak"].values()) > 0


def test_fits_of_heads_grow_with_their_rows():
    from peftuq.scores.adue.method import SCORE

    params = {**SCORE.params, "lr": [1e-3], "alpha": [0.0, 0.1], "beta": [0.1], "epochs": [1, 2]}
    wanted = {"task": spec(ENCODER, "fp32")["task"], "module": "peftuq.scores.adue.method", "params": params}
    few, more = (
        trace.rehearse("fit_score", {**wanted, "rows": {"train": rows, "valid": 600}}, ENCODER, CARD)
        for rows in (1000, 100_000)
    )
    grown = sum(more["peak"].values()) - sum(few["peak"].values())
    assert grown >= 99_000 * 32 * 4 and few["work"] == more["work"]  # at least x itself; a step is a step
    assert more["job"] == {"part": "train", "flops": 100 * few["job"]["flops"]}


def test_a_score_without_what_a_rehearsal_needs_is_named():
    wanted = {**spec(ENCODER, "fp32"), "module": "peftuq.scores.softmax", "params": {}, "rows": {"train": 10}}
    with pytest.raises(trace.Fault, match=r"peftuq\.scores\.softmax defines no fitting, rehearse, work"):
        trace.rehearse("fit_score", wanted, ENCODER, CARD)


@pytest.mark.parametrize("config, mixture", [(DECODER, None), (DECODER, MIXTURE), (ENCODER, None)])
def test_trainable_parameters_are_those_of_the_shapes(config, mixture):
    wanted, shape = spec(config, mixture=mixture), cost.Shape.of(config)
    head = cost.head_parameters(shape, 3, dense=True) if config is ENCODER else 0
    expected = adapter_parameters(shape, wanted["recipe"]["adapter"]) + head
    assert trace.rehearse("train", wanted, config, CARD)["trainable"] == expected


BLOCK = 2 * 32 * 32 + 2 * 16 * 32 + 3 * 32 * 48  # a block's linear layers: q, o; k, v; gate, up, down


@pytest.mark.parametrize(
    "kind, trained",
    [
        (ivon, None),
        (ib_edl, None),
        (mc_lora, 2 * 7 * (4 + 8)),  # and of every layer's ranks and draws
        (ia3, 2 * (2 * 32 + 2 * 16 + 3 * 48)),  # outputs, and what `down` reads
        (full, 2 * BLOCK),
    ],
)
def test_kinds_with_a_training_of_their_own_run_and_their_parameters_are_counted(kind, trained):
    wanted = spec(DECODER)
    plain = trace.rehearse("train", wanted, DECODER, CARD)["trainable"]
    adapter = wanted["recipe"]["adapter"] | {"mixture": None, kind.KIND.section: kind.KIND.params}
    if not kind.KIND.low_rank:
        adapter = {name: value for name, value in adapter.items() if name not in ("rank", "alpha", "dropout")}
        plain = 0
    wanted = {**wanted, "adapter": kind.__name__, "recipe": {**wanted["recipe"], "adapter": adapter}}
    assert trace.rehearse("train", wanted, DECODER, CARD)["trainable"] == plain + (trained or 0)
    assert trace.rehearse("extract", wanted, DECODER, CARD)["work"]["flops"] > 0


# -- what a device refuses ------------------------------------------------------------------------------


def line_of(function, text: str) -> str:
    lines, first = inspect.getsourcelines(function)
    return f"{first + next(i for i, line in enumerate(lines) if text in line)}"


def test_a_tensor_left_on_the_host_is_found_with_its_module_and_line(monkeypatch):
    def _hidden(self, input_ids, lengths):
        hidden = self.hf.base_model(input_ids=input_ids, use_cache=False).last_hidden_state
        return hidden[:, 0] * torch.ones(hidden.shape[-1])  # planted

    monkeypatch.setattr(readout.ReadOut, "_hidden", _hidden)
    with pytest.raises(trace.Fault, match=r"module ReadOut: .*aten.mul: operands on two devices: .*gpu.*cpu") as fault:
        trace.rehearse("extract", spec(DECODER), DECODER, CARD)
    line = line_of(readout.ReadOut.forward, "self._hidden(")
    assert f"peftuq/models/readout.py:{line}" in str(fault.value)


def test_a_head_in_bf16_is_found_with_its_module_and_line(monkeypatch):
    on_meta = programs.backbone.on_meta

    def rounded(*args):
        return on_meta(*args).bfloat16()

    monkeypatch.setattr(programs.backbone, "on_meta", rounded)
    with pytest.raises(trace.Fault, match=r"module model\.\S*pooler\S*dense: .*operands of two types") as fault:
        trace.rehearse("extract", spec(ENCODER), ENCODER, CARD)
    line = line_of(readout.HeadLayers.__call__, "self.dense(")
    assert f"peftuq/models/readout.py:{line}" in str(fault.value)


def test_linear_algebra_in_half_precision_is_found(monkeypatch):
    run = inference.run

    def decomposed(model, *args):
        torch.linalg.eigh(next(model.parameters())[:32, :32])
        return run(model, *args)

    monkeypatch.setattr(inference, "run", decomposed)
    with pytest.raises(trace.Fault, match="_linalg_eigh: has no kernel for bfloat16"):
        trace.rehearse("extract", spec(DECODER), DECODER, CARD)


# -- batches --------------------------------------------------------------------------------------------


def test_the_longest_batch_has_most_tokens_then_longest_examples():
    assert longest(1536, 8192, 16) == Shape(8, 1024)
    assert longest(512, 8192, 16) == Shape(16, 512)
    assert longest(512, 8192, 4) == Shape(4, 512)
    assert longest(1536, 100, 16) == Shape(1, 1536)  # one example is a batch, however long


def test_the_largest_limit_is_right_at_its_edge():
    wanted = spec(DECODER, max_length=64)
    wanted["recipe"]["optimiser"]["batch_size"] = 64
    wanted["recipe"]["micro_batch_tokens"] = 4096

    def peak(wanted) -> float:
        return sum(trace.rehearse("train", wanted, DECODER, CARD)["peak"].values())

    def at(limit: int) -> float:
        return peak({**wanted, "recipe": {**wanted["recipe"], "micro_batch_tokens": limit}})

    usable = at(1500)
    found = trace.largest("train", wanted, usable, peak)
    assert found % trace.STEP == 0 and at(found) <= usable < at(found + trace.STEP)
    assert trace.largest("train", wanted, 1.0, peak) is None
    assert trace.largest("train", wanted, 1e12, peak) == 4096
