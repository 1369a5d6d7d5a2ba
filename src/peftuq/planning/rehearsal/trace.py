"""A request rehearsed: peak memory, work, or what the device refuses, as plain numbers."""

import importlib
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peftuq.planning.cards import CARDS, Card
from peftuq.planning.rehearsal import programs
from peftuq.planning.rehearsal.batches import Shape
from peftuq.planning.rehearsal.device import Kernels
from peftuq.planning.rehearsal.programs import Spec
from peftuq.planning.rehearsal.specs import Rehearsed
from peftuq.planning.rehearsal.tracer import Tracer
from peftuq.planning.rehearsal.work import Work
from peftuq.specs.task import Task

PACKAGE = Path(__file__).resolve().parents[2]
LIMITS = {"train": ("recipe", "micro_batch_tokens"), "fit_laplace": ("params", "batch_tokens")}  # of a batch's tokens
LIMIT = ("task", "batch_tokens")  # of the other programs
STEP = 128  # tokens: how exactly the largest batch is found
_FEW = 2  # steps' rows that a score's fit is traced on: rows enter memory and work linearly
_HOOKS = ("fitting", "rehearse", "work")

Result = dict[str, Any]


class Fault(Exception):
    """A fault that a device would refuse; the text names the module that ran, and the line of the project's code."""


def rehearse(program: str, spec: Spec, config: dict[str, Any], card: Card, kernels: Kernels = "cuda") -> Result:
    """`peak`: bytes by what holds them; `work` of the measured part; its `rows` and `tokens`. Raises `Fault`.

    Of a training also `trainable`: parameters of adapter and trained head; of a score's fit `job`: its whole work.
    """
    if program == "fit_score":
        return _score(spec, config, card, kernels)
    shape = batch(program, spec)
    return {**_traced(program, spec, config, card, kernels), "rows": shape.rows, "tokens": shape.tokens}


def batch(program: str, spec: Spec) -> Shape:
    """The batch that is measured."""
    if program == "train":
        return programs.trained(spec)
    task = Rehearsed.model_validate(spec).task
    tokens = min(task.batch_tokens, spec["params"]["batch_tokens"]) if program == "fit_laplace" else task.batch_tokens
    return programs.inferred(task, tokens)


def _traced(program: str, spec: Spec, config: dict[str, Any], card: Card, kernels: Kernels) -> Result:
    tracer = Tracer(kernels, card.memory)
    try:
        with programs.routed_evenly():
            work = getattr(programs, program)(spec, config, tracer)
    except Exception as error:
        raise Fault(f"{tracer.where()}: {_line(error)}: {error}") from error
    found = {"peak": tracer.peak(), "work": _numbers(work)}
    return found | ({"trainable": tracer.trainable} if program == "train" else {})


def _numbers(work: Work) -> dict[str, float]:
    seconds = {f"seconds on {name}": work.seconds(card) for name, card in CARDS.items()}
    return {"flops": work.flops, "bytes": work.bytes, "kernels": work.kernels, "reads": work.reads, **seconds}


def _line(error: BaseException) -> str:
    """The innermost line of the project's own code that an error passed through, outside the rehearsal."""
    inside = Path(__file__).parent
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if PACKAGE in Path(frame.filename).parents]
    own = [frame for frame in frames if inside not in Path(frame.filename).parents] or frames
    return f"{Path(own[-1].filename).relative_to(PACKAGE.parent)}:{own[-1].lineno}"


def _score(spec: Spec, config: dict[str, Any], card: Card, kernels: Kernels) -> Result:
    """A score's fit on the rows of a few steps and on twice as many, carried on to all rows.

    `work`: what the rows of one more step add to the rehearsal.

    `job`: the `flops` of the whole job, the `part` of the records that it is fitted on.
    """
    score = importlib.import_module(spec["module"])
    missing = [name for name in _HOOKS if not hasattr(score, name)]
    if missing:
        raise Fault(f"{spec['module']} defines no {', '.join(missing)}: see docs/adding.md")
    params, rows = spec["params"], spec["rows"]
    part, batch_size = score.fitting(params)
    sizes = [min(rows[part], times * _FEW * batch_size) for times in (1, 2)]
    few, more = (_traced("fit_score", {**spec, "rows": {**rows, part: size}}, config, card, kernels) for size in sizes)
    flops = score.work(params, rows[part], programs.head_size(programs.head(Task.model_validate(spec["task"]), config)))
    found = {"rows": batch_size, "tokens": 0, "job": {"flops": flops, "part": part}}
    if sizes[0] == sizes[1]:
        return {**few, **found}
    times = (rows[part] - sizes[0]) / (sizes[1] - sizes[0])
    peak = {name: int(few["peak"][name] + times * (more["peak"][name] - few["peak"][name])) for name in few["peak"]}
    steps = (sizes[1] - sizes[0]) / batch_size
    work = {name: (more["work"][name] - few["work"][name]) / steps for name in few["work"]}
    return {"peak": peak, "work": work, **found}


def largest(program: str, spec: Spec, usable: float, peak: Callable[[Spec], float]) -> int | None:
    """The largest limit of tokens in a batch, a multiple of `STEP`, whose `peak` is at most `usable` bytes.

    None if not even one example of the longest fits. The peak grows with the limit; between two limits it is near a
    straight line, which the search follows.
    """
    part, key = LIMITS.get(program, LIMIT)

    def at(limit: int) -> float:
        return peak({**spec, part: {**spec[part], key: limit * STEP}})

    low, high = -(-spec["task"]["max_length"] // STEP), spec[part][key] // STEP
    low_peak, high_peak = at(low), at(high)
    if high_peak <= usable or high <= low:
        return spec[part][key] if high_peak <= usable else None
    if low_peak > usable:
        return None
    while high - low > 1:
        share = (usable - low_peak) / (high_peak - low_peak)
        middle = min(max(low + round(share * (high - low)), low + 1), high - 1)
        found = at(middle)
        if found <= usable:
            low, low_peak = middle, found
        else:
            high, high_peak = middle, found
    return low * STEP
