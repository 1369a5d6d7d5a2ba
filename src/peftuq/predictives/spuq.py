"""Sampling by perturbing the prompt (SPUQ, Gao et al. 2024), with perturbations that need no other model.

Each sample perturbs every example in one way, in turn: for choice tasks by another order of options, an instruction,
dummy tokens, or a line such as a system message; for classification by dummy tokens, other letter case, other spacing,
or a prefix. The question stays the same. Options are put back in their order before averaging.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from peftuq.adapters.adapted import Adapted
from peftuq.artifacts import Samples, softmax
from peftuq.errors import UserError
from peftuq.plugins import Predictive
from peftuq.predictives.ensemble import pool
from peftuq.progress import Progress
from peftuq.specs.task import Task

PREDICTIVE = Predictive(
    version=1,
    reads="adapter",
    sized=True,
    samples=True,
    params={
        "choice": ["options", "instruction", "dummy", "system"],
        "classification": ["dummy", "case", "space", "prefix"],
    },
    choices={
        "choice": ["options", "instruction", "dummy", "system"],
        "classification": ["dummy", "case", "space", "prefix"],
    },
)

SYSTEM = [
    "You are a helpful assistant.",
    "You are an expert who answers carefully.",
    "You are a question-answering assistant.",
    "You are a friendly and accurate assistant.",
]
INSTRUCTIONS = [
    "Choose the correct answer.",
    "Pick the best option.",
    "Select the option that answers the question.",
    "Which of the options is right?",
]
DUMMIES = [" ...", "\n", "  ", " !", " ~"]
PREFIXES = ["Text: ", "Input: ", "- ", "> "]

Row = dict[str, Any]


class Perturbed(NamedTuple):
    """An example in other words; option j of it is option `order[j]` of the original."""

    row: Row
    order: list[int]


Perturbation = Callable[[Row, np.random.Generator], Perturbed]


def _pick(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]


def _options(row: Row, rng: np.random.Generator) -> Perturbed:
    """Any order but the given one."""
    given = list(range(len(row["options"])))
    order = rng.permutation(given).tolist()
    while order == given and len(given) > 1:
        order = rng.permutation(given).tolist()
    return Perturbed({**row, "options": [row["options"][i] for i in order]}, order)


def _words(field: str, change: Callable[[str, np.random.Generator], str]) -> Perturbation:
    def perturb(row: Row, rng: np.random.Generator) -> Perturbed:
        return Perturbed({**row, field: change(row[field], rng)}, list(range(len(row.get("options", ())))))

    return perturb


def _spaced(text: str, rng: np.random.Generator) -> str:
    """A few of the spaces doubled."""
    return re.sub(" ", lambda _: "  " if rng.random() < 0.3 else " ", text)


def _cased(text: str, rng: np.random.Generator) -> str:
    return [str.lower, str.upper, str.capitalize][rng.integers(3)](text)


PERTURBATIONS: dict[str, dict[str, Perturbation]] = {
    "choice": {
        "options": _options,
        "instruction": _words("question", lambda text, rng: f"{_pick(rng, INSTRUCTIONS)} {text}"),
        "dummy": _words("question", lambda text, rng: text + _pick(rng, DUMMIES)),
        "system": _words("system", lambda _, rng: f"{_pick(rng, SYSTEM)}\n"),
    },
    "classification": {
        "dummy": _words("text", lambda text, rng: text + _pick(rng, DUMMIES)),
        "case": _words("text", _cased),
        "space": _words("text", _spaced),
        "prefix": _words("text", lambda text, rng: _pick(rng, PREFIXES) + text),
    },
}


def perturbations(task: Task, params: Mapping[str, Any]) -> list[str]:
    """Kinds of perturbation for a task, in turn. `UserError` for unknown ones.

    A prompt that does not show its options has fixed answers: to reorder them would change the question.
    """
    kinds, known = params[task.kind], PERTURBATIONS[task.kind]
    unknown = [kind for kind in kinds if kind not in known]
    if unknown or not kinds:
        raise UserError(f"config: methods.spuq.{task.kind}: {unknown or 'empty'}; allowed: {', '.join(known)}")
    shown = task.prompt is None or "{options}" in task.prompt.prompt
    return [kind for kind in kinds if shown or kind != "options"]


def rows_of(columns: Mapping[str, Any]) -> list[Row]:
    return [{"system": "", **dict(zip(columns, row, strict=True))} for row in zip(*columns.values(), strict=True)]


def _opened(task: Task, line: str) -> Task:
    """The task with a prompt that begins with `line`."""
    assert task.prompt is not None
    prompt = task.prompt.model_copy(update={"prompt": line + task.prompt.prompt})
    return task.model_copy(update={"prompt": prompt})


def probabilities(adapted: Adapted, rows: Sequence[Row], progress: Progress | None = None) -> np.ndarray:
    """Probabilities (N, C) of rows that may each begin with a line of their own."""
    found: dict[int, np.ndarray] = {}
    for system in dict.fromkeys(row["system"] for row in rows):
        alike = [i for i, row in enumerate(rows) if row["system"] == system]
        task = adapted.task if not system else _opened(adapted.task, system)
        columns: dict[str, Any] = {name: [rows[i][name] for i in alike] for name in rows[0] if name != "system"}
        columns |= {name: np.asarray(columns[name]) for name in ("id", "label")}
        probs = softmax(adapted.run(adapted.encode(columns, task), progress).logits)
        found |= dict(zip(alike, probs, strict=True))
    return np.stack([found[i] for i in range(len(rows))])


def put_back(probs: np.ndarray, orders: Sequence[Sequence[int]]) -> np.ndarray:
    """Probabilities (N, C) of reordered options, in the order of the originals; classes without an option stay."""
    original = probs.copy()
    for row, order in enumerate(orders):
        original[row, list(order)] = probs[row, : len(order)]
    return original


def predict(
    adapted: Adapted,
    data: Mapping[str, Mapping[str, Any]],
    evals: Sequence[str],
    params: Mapping[str, Any],
    seed: int,
    size: int | None,
) -> tuple[dict[str, Samples], dict[str, str]]:
    """`size` samples of each evaluation set, each from one kind of perturbation, drawn for every example anew."""
    assert size is not None  # as `sized`
    kind = adapted.task.kind
    names = perturbations(adapted.task, params)
    progress = Progress(adapted.log, "prompts", size * sum(len(data[part]["id"]) for part in evals), "examples")
    samples = {}
    for part in evals:
        rows, draws = rows_of(data[part]), []
        ids, labels = (np.asarray(data[part][name]) for name in ("id", "label"))
        for draw in range(size):
            perturb = PERTURBATIONS[kind][names[draw % len(names)]]
            perturbed = [perturb(row, np.random.default_rng([seed, draw, int(row["id"])])) for row in rows]
            probs = probabilities(adapted, [one.row for one in perturbed], progress)
            draws.append(Samples(ids, labels, put_back(probs, [one.order for one in perturbed])[None]))
        samples[part] = pool(draws)
    return samples, {}
