"""The methods that are compared: a recipe's role with a source of probabilities, under the paper's names and ours."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from peftuq.cells import PREDICTION, parse_predictive
from peftuq.report import reference
from peftuq.report.reference import Printed
from peftuq.report.run import OverSeeds, Run
from peftuq.report.tables import NOT_REQUESTED, Entry, measured
from peftuq.report.uq4ct.recipes import Task, is_ensemble

NOT_RUN = "not run"  # the paper has a number here, this run was not asked for its own
DECIMALS = 2  # as the paper's tables print
METRICS = {"accuracy": "accuracy", "ece_15": "ece"}  # ours → the paper's (its A.7: 15 bins)
# "BoolQ" at 70 % is answered from memory; with its passage it is another, easier task.
_PAPER_DATASETS = {"boolq_closed": "boolq", "boolq": ""}

# (role, predictive) → our title and the paper's method, in the order of print.
_KNOWN = {
    ("untuned", "point"): ("Untuned model", ""),
    ("untuned", "spuq"): ("SPUQ, untuned model", "SPUQ"),
    ("lora", "point"): ("LoRA", "LoRA"),
    ("lora", "temperature"): ("LoRA, temperature", ""),
    ("lora", "mc_dropout"): ("MC dropout of {size}", "MC Drop"),
    ("members", "point"): ("LoRA, one member", ""),
    ("members", "ensemble"): ("Ensemble of {size}", "Ensemble"),
    ("lora", "laplace"): ("Laplace-LoRA", "LA"),
    ("lora", "laplace_probit"): ("Laplace-LoRA, probit", ""),
    ("lora", "laplace_valid"): ("Laplace-LoRA, tuned", ""),
    ("lora", "spuq"): ("SPUQ, LoRA", "SPUQ"),
    ("mixlora", "point"): ("MixLoRA", "MixLoRA"),
    ("mixlora", "temperature"): ("MixLoRA, temperature", ""),
    ("uq4ct", "point"): ("UQ4CT", "UQ4CT"),
    ("uq4ct", "temperature"): ("UQ4CT, temperature", ""),
    ("uq4ct_last", "point"): ("UQ4CT, last token", "UQ4CT"),
    ("uq4ct_last", "temperature"): ("UQ4CT, last token, temperature", ""),
    ("incremental", "point"): ("UQ4CT, growing β", "UQ4CT_Incremental"),
}
_ORDER = list(_KNOWN)


class Approach(NamedTuple):
    """`paper`: its name in the paper's tables ("": it is not there). Without a `role` it is the paper's alone."""

    role: str
    predictive: str
    title: str
    paper: str = ""


class Evaluation(NamedTuple):
    """An evaluation set of a task, a column of its tables. `on` is a shift set, "" the task's own test split."""

    task: Task
    on: str = ""

    @property
    def title(self) -> str:
        return self.on or self.task.dataset


def present(run: Run, tasks: Sequence[Task]) -> list[Approach]:
    """Every method that ran on one of the tasks, those of the paper in its order, each followed by its kin."""
    found = {}
    for task in tasks:
        for role, predictive in _pairs(run, task):
            name, size = parse_predictive(predictive)
            title, paper = _KNOWN.get((role, name), (_title(role, predictive), ""))
            found[role, predictive] = Approach(role, predictive, title.format(size=size), paper)
    return sorted(found.values(), key=_position)


def _pairs(run: Run, task: Task) -> Iterator[tuple[str, str]]:
    shared = task.roles.get("lora") == task.roles.get("members")
    for role, setting in task.roles.items():
        for predictive in run.predictives(setting):
            pooled = is_ensemble(predictive)
            # One recipe in two roles: its ensembles belong to the one, all else to the other.
            if not (shared and (role == "members") != pooled and role in ("lora", "members")):
                yield role, predictive


def _title(role: str, predictive: str) -> str:
    title = _KNOWN.get((role, "point"), (role.removeprefix("recipe "), ""))[0]
    return title if predictive == "point" else f"{title}, {predictive.replace('_', ' ')}"


def _position(method: Approach) -> tuple[float, int]:
    """The key by which methods are sorted."""
    if not method.role:
        return float(next((i for i, (_, paper) in enumerate(_KNOWN.values()) if paper == method.paper), len(_ORDER))), 0
    name, size = parse_predictive(method.predictive)
    known = (method.role, name)
    if known in _ORDER:
        return float(_ORDER.index(known)), size or 0
    last = [index for index, (role, _) in enumerate(_ORDER) if role == method.role]
    return (last[-1] + 0.5 if last else float(len(_ORDER))), size or 0


def complete(
    run: Run, evaluations: Sequence[Evaluation], shown: Sequence[Approach], tables: Sequence[str]
) -> list[Approach]:
    """`shown`, and those of the paper's tables that have a number at one of the evaluations but did not run."""
    names = dict.fromkeys(key[4] for key in reference.uq4ct() if key[0] in tables)
    absent = [name for name in names if name not in {method.paper for method in shown}]
    printed = [
        n for n in absent if any(papers(run, evaluation, n, m, tables) for evaluation in evaluations for m in METRICS)
    ]
    return sorted([*shown, *(Approach("", "", name, name) for name in printed)], key=_position)


def title_of(run: Run, task: Task) -> str:
    return f"{run.models[task.model]['title']} on {task.dataset}"


# -- numbers ------------------------------------------------------------------------------------------------


def measure(run: Run, evaluation: Evaluation, method: Approach, metric: str, variant: str = PREDICTION) -> OverSeeds:
    """A metric of a method over seeds; nothing was asked for where its recipe was not run or evaluated there."""
    setting = evaluation.task.roles.get(method.role)
    if setting is None or (evaluation.on and evaluation.on not in run.shifts(setting)):
        return OverSeeds()
    return run.over_seeds(setting, metric, variant, method.predictive, evaluation.on)


def beside(over: OverSeeds, printed: Printed | None) -> Entry:
    """Our entry in per cent, or the mark that only the paper has the number."""
    if not over.requested:
        return Entry(NOT_REQUESTED if printed is None else NOT_RUN)
    return measured(over, 100, DECIMALS)


def papers(run: Run, evaluation: Evaluation, method: str, metric: str, tables: Sequence[str]) -> Printed | None:
    """The paper's number, from the first of its tables that has it; None where model and data are not the paper's."""
    task = evaluation.task
    model = run.models[task.model]["paper_names"].get("uq4ct", "")
    trained, tested = (_PAPER_DATASETS.get(name, name) for name in (task.dataset, evaluation.title))
    keys = ((table, model, trained, tested, method, METRICS[metric]) for table in tables)
    return next((printed for key in keys if (printed := reference.uq4ct().get(key))), None)
