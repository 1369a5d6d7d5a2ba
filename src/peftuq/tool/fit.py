"""From an adapter and labelled rows to a bundle: records once, every method that applies, one picked, its curve."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from peftuq import __version__, files
from peftuq.artifacts import Head, Record, write_records
from peftuq.config import load, precision, strict_yaml
from peftuq.config.study import PACKAGE
from peftuq.data.prompts import Template
from peftuq.errors import UserError
from peftuq.metrics import calibration as metrics
from peftuq.metrics.bootstrap import resample_counts, resampled
from peftuq.metrics.detection import auroc
from peftuq.progress import Log
from peftuq.specs.task import Task
from peftuq.tool import adapter as adapters
from peftuq.tool import bundle, calibration, candidates, card, choice, labelled
from peftuq.tool.columns import Columns, listed
from peftuq.tool.rerun import Model
from peftuq.tool.tables import Rows, scan

if TYPE_CHECKING:
    import pandas as pd

BATCH_TOKENS = 8192
LONGEST = 1024  # tokens of an input, unless the model has fewer positions
PROMPT = PACKAGE.parents[1] / "config" / "prompts" / "letters.yaml"


class Request(NamedTuple):
    """A fit to be done; `data` and `train`: files or data frames; `classes` in the order of the head's outputs;
    `samples`: of methods that run the model again, 0 to leave them out."""

    model: Path
    adapter: Path
    data: "Path | pd.DataFrame"
    out: Path
    train: "Path | pd.DataFrame | None" = None
    purpose: str = "error-detection"
    columns: Columns = Columns()
    label: str = "label"
    classes: Sequence[str] | None = None
    prompt: Path | None = None
    max_length: int | None = None
    precision: str = "auto"
    samples: int = 0
    seed: int = 0


def fit(request: Request, log: Log) -> bundle.Bundle:
    """Write the bundle and its card. Raises `UserError` for any mistake in what was given."""
    _check(request)
    task = _task(request)
    data = labelled.read(request.data, "--data", request.columns, request.label, task)
    train = (
        None if request.train is None else labelled.read(request.train, "--train", request.columns, request.label, task)
    )
    labelled.check(data, task)
    digests = adapters.digests(request.model, request.adapter)
    adapted = adapters.load(request.model, request.adapter, task, log)
    if task.max_length == LONGEST and adapted.limits.positions is not None:
        task = task.model_copy(update={"max_length": min(LONGEST, adapted.limits.positions)})
        adapted = replace(adapted, task=task)
    record = labelled.record(adapted, data, "labelled rows", log)
    trained = None if train is None else labelled.record(adapted, train, "training rows", log)
    parts = labelled.split(record, request.seed, trained)
    model = None if request.samples == 0 else Model(adapted, labelled.prepared(parts, data, train), request.samples)
    provided = adapters.describe(request.model, request.adapter).provides
    chosen = select(parts, adapted.read_out.head(), request.purpose, request.seed, log, model, provided)
    content = {
        "format": bundle.FORMAT,
        "version": __version__,
        "task": task,
        "columns": request.columns,
        "folders": {"model": str(request.model.absolute()), "adapter": str(request.adapter.absolute())},
        "sha256": digests,
        "predictive": chosen.choice.picked.source.name,
        "score": chosen.choice.picked.score,
        "variant": chosen.choice.picked.variant,
        "purpose": request.purpose,
        "seed": request.seed,
        "rows": {name: len(part.id) for name, part in parts.items()},
        "compared": chosen.choice.lines,
        "left_out": chosen.left_out,
        "stability": chosen.choice.stability,
        "reason": chosen.choice.reason,
        "curve": chosen.curve_name,
        "quality": quality(chosen, request.seed),
        "warnings": _warnings(record, train is not None),
    }
    with files.atomic_folder(request.out) as folder:
        written = bundle.write(folder, content, chosen.arrays)
        card.write(folder, written, chosen.p_wrong)
    log(chosen.choice.reason)
    return written


def _check(request: Request) -> None:
    if request.purpose not in choice.CRITERIA:
        raise UserError(f"--for: {request.purpose!r} is unknown; use one of {', '.join(choice.CRITERIA)}")
    if request.out.exists() and not (request.out / bundle.JSON).is_file():
        raise UserError(f"--out: {request.out} is there already, and is no bundle: name a new folder")
    if request.precision not in ("auto", "bf16", "fp32"):
        raise UserError(f"--precision: {request.precision!r} is unknown; use auto, bf16 or fp32")


# -- rows -----------------------------------------------------------------------------------------------


def _task(request: Request) -> Task:
    described = adapters.describe(request.model, request.adapter)
    rows = Rows(request.data, "--data")
    _, there = scan(rows)
    request.columns.check(there, rows.where, request.label)
    if described.kind == "choice":
        if not request.columns.options:
            raise UserError("--options: is missing: name the columns of the options, or the one that holds their list: "
                            "the adapter is of a causal model, which is asked to choose")  # fmt: skip
        file = request.prompt or PROMPT
        prompt = load.validate(Template, strict_yaml.read(file), str(file))
        classes = prompt.labels[: _most_options(rows, request.columns)]
    else:
        if request.columns.options or request.prompt:
            raise UserError("--options, --prompt: are for an adapter of a causal model; this one classifies texts")
        assert described.classes is not None
        prompt, classes = None, _class_names(request, described.classes)
        if "wrong" in classes or len(set(classes)) < len(classes):
            raise UserError("--classes: each class needs a name of its own, and none may be 'wrong', for p_wrong is "
                            f"P(wrong): {', '.join(classes[:10])}")  # fmt: skip
    found = precision.native() if request.precision == "auto" else request.precision
    return Task(
        kind=described.kind, classes=classes, max_length=request.max_length or LONGEST, prompt=prompt,
        precision="bf16" if found == "bf16" else "fp32", batch_tokens=BATCH_TOKENS,
    )  # fmt: skip


def _class_names(request: Request, count: int) -> list[str]:
    if request.classes is None:
        return adapters.class_names(request.model, count) or [str(place) for place in range(count)]
    if len(request.classes) != count or len(set(request.classes)) != count:
        raise UserError(f"--classes: the adapter's head has {count} outputs, and {len(set(request.classes))} "
                        "different names are given: name each output once, in order")  # fmt: skip
    return list(request.classes)


def _most_options(rows: Rows, columns: Columns) -> int:
    if len(columns.options) > 1:
        return len(columns.options)
    counts = [len(options) for row in rows if (options := listed(row.get(columns.options[0]))) is not None]
    if max(counts, default=0) < 2:
        raise UserError(f"{rows.where}: {columns.options[0]} holds no list of two or more options")
    return max(counts)


# -- what is picked -------------------------------------------------------------------------------------


class Selection(NamedTuple):
    """The choice, the picked method's curve to P(wrong), and its cross-fitted P(wrong) (N,) on the held-out rows."""

    choice: choice.Choice
    left_out: dict[str, str]
    curve_name: str
    curve: calibration.Curve
    p_wrong: np.ndarray

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        return bundle.arrays(self.choice.picked, self.curve, "held_out")


def select(
    parts: Mapping[str, Record],
    head: Head,
    purpose: str,
    seed: int,
    log: Log,
    model: Model | None = None,
    provided: Sequence[str] = (),
) -> Selection:
    """Fit all methods on the parts train and valid, pick one on choose, and its curve on held_out."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "records.safetensors"
        write_records(file, parts, head)
        found, left_out = candidates.fit(file, ["choose", "held_out"], seed, Path(folder), log, model, provided)
    chosen = choice.choose(found, "choose", purpose, seed)
    error = chosen.picked.source.error("held_out")
    return Selection(chosen, left_out, *calibration.choose(chosen.picked.values["held_out"], error, seed))


def quality(chosen: Selection, seed: int) -> bundle.Quality:
    """On the held-out rows, which only the curve was fitted on; its P(wrong) is cross-fitted."""
    picked, p_wrong = chosen.choice.picked, chosen.p_wrong
    score, error = picked.values["held_out"], picked.source.error("held_out")
    try:
        value: float | None = auroc(score, error)
        drawn = resampled(auroc, score, error, resample_counts(len(error), 1000, seed))
        low, high = np.nanquantile(drawn, [0.025, 0.975])
    except ArithmeticError:
        value, low, high = None, None, None
    return bundle.Quality(
        rows=len(error), errors=int(error.sum()), auroc=value,
        auroc_low=None if low is None else float(low), auroc_high=None if high is None else float(high),
        ece=metrics.ece(1 - p_wrong, ~error), brier=float(np.mean((p_wrong - error) ** 2)),
    )  # fmt: skip


def _warnings(record: Record, has_train: bool) -> list[str]:
    found = []
    answers = record.logits.argmax(axis=1)
    right, commonest = (answers == record.label).mean(), np.bincount(record.label).max() / len(record.label)
    if right <= commonest:
        found.append(
            f"The adapter answers {right:.0%} of the labelled rows right, no more than always giving the commonest "
            f"label ({commonest:.0%}): are model, order of the classes and columns those that it was trained with?"
        )
    if not has_train:
        found.append(
            "Methods that want training rows were fitted on a part of the labelled rows: --train was not given."
        )
    return found
