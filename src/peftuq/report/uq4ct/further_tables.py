"""Tables that the paper does not have: recipes by method, more measures, FLU itself, crossed methods."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from peftuq.cells import PREDICTION
from peftuq.metrics.evaluate import METRICS as DIRECTIONS
from peftuq.report.beside_paper import further_variants
from peftuq.report.headings import SPREAD
from peftuq.report.methods import ADUE, FORMATS, MD_L2, RDE_L2, RMD_L2, SR
from peftuq.report.metric_table import SETTING, Measure
from peftuq.report.run import Run
from peftuq.report.tables import NOT_REQUESTED, Column, Entry, Row, Table, in_blocks, mark_best, measured
from peftuq.report.uq4ct import approaches
from peftuq.report.uq4ct.approaches import Approach, Evaluation
from peftuq.report.uq4ct.recipes import Task, beta, flu_tokens, is_incremental, mixture

Columns = Sequence[tuple[Measure, str]]  # a measure, and the variant it is of
MEASURES = [
    *((Measure(metric), PREDICTION) for metric in ("nll", "brier", "ece_10", "adaptive_ece")),
    (Measure("auroc", "Error-AUROC ×100", "SR"), "sr"),
    (Measure("auroc", "Error-AUROC ×100", "Entropy"), "entropy"),
    (Measure("auroc", "Error-AUROC ×100", "MI"), "mutual_information"),
]
FLU = [
    (Measure("ece_15", "ECE, %", "max p"), PREDICTION),
    (Measure("error_ece_15", "ECE, %", "FLU, mean"), "flu_mean"),
    (Measure("error_ece_15", "ECE, %", "FLU, last"), "flu_last"),
    (Measure("auroc", "Error-AUROC ×100", "max p"), "sr"),
    (Measure("auroc", "Error-AUROC ×100", "FLU, mean"), "flu_mean"),
    (Measure("auroc", "Error-AUROC ×100", "FLU, last"), "flu_last"),
]
REPRESENTATIONS = (MD_L2, RMD_L2, RDE_L2, ADUE)
CROSSED = [
    *((Measure("auroc", label=method.title), method.variant) for method in (SR, *REPRESENTATIONS)),
    (Measure("auroc", label="FLU, mean"), "flu_mean"),
    (Measure("auroc", label="FLU, last"), "flu_last"),
]


def further_auroc(run: Run, tasks: Sequence[Task]) -> list[tuple[Measure, str]]:
    """Error-AUROC of the scores that no table names."""
    variants = further_variants(run, [setting for task in tasks for setting in task.roles.values()])
    return [(Measure("auroc", "Error-AUROC ×100", title), variant) for variant, title in variants.items()]


def _point(run: Run, tasks: Sequence[Task]) -> list[Approach]:
    return [method for method in approaches.present(run, tasks) if method.predictive == "point"]


def _routed(run: Run, tasks: Sequence[Task]) -> list[Approach]:
    """The methods whose FLU was scored."""
    own = list(map(Evaluation, tasks))
    return [m for m in _point(run, tasks) if any(_requested(run, one, m, "flu_mean") for one in own)]


def _measured(run: Run, evaluation: Evaluation, every: Sequence[Approach]) -> list[Approach]:
    return [method for method in every if approaches.measure(run, evaluation, method, "accuracy").requested]


def _crossed(run: Run, evaluation: Evaluation, every: Sequence[Approach]) -> list[Approach]:
    """The methods with any of the crossed scores, where one of them is in no paper."""
    here = [
        m
        for m in every
        if any(_requested(run, evaluation, m, v) for _, v in [*CROSSED, *further_auroc(run, [evaluation.task])])
    ]
    return here if any(_is_new(run, evaluation, method) for method in here) else []


@dataclass(frozen=True)
class MethodTable:
    """A heading a task and a row a method, with the best of each column bold; None where no task has a row.

    `further` are columns after the others. `methods` are those that may have a row; on a task those have one whose
    accuracy the run was asked for.
    """

    name: str
    title: str
    caption: str
    columns: Columns
    further: Callable[[Run, Sequence[Task]], Columns] = lambda run, tasks: ()
    methods: Callable[[Run, Sequence[Task]], list[Approach]] = approaches.present

    def __call__(self, run: Run, tasks: Sequence[Task]) -> Table | None:
        every, columns, rows = self.methods(run, tasks), [*self.columns, *self.further(run, tasks)], []
        for evaluation in map(Evaluation, tasks):
            here = _measured(run, evaluation, every)
            found = [[_entry(run, evaluation, method, *column) for method in here] for column in columns]
            best = [
                mark_best(entries, DIRECTIONS[measure.metric]["better"])
                for (measure, _), entries in zip(columns, found, strict=True)
            ]
            heading = approaches.title_of(run, evaluation.task)
            entries = zip(*best, strict=True)
            rows += [Row((m.title,), of_method, heading) for m, of_method in zip(here, entries, strict=True)]
        if not rows:
            return None
        heads = in_blocks([[measure.column for measure, _ in columns]])
        return Table(self.name, self.title, self.caption, ("Method",), heads, tuple(rows), SETTING)


def _requested(run: Run, evaluation: Evaluation, method: Approach, variant: str) -> bool:
    return approaches.measure(run, evaluation, method, "auroc", variant).requested


def _entry(run: Run, evaluation: Evaluation, method: Approach, measure: Measure, variant: str) -> Entry:
    form = FORMATS[measure.metric]
    return measured(approaches.measure(run, evaluation, method, measure.metric, variant), form.scale, form.decimals)


def _is_new(run: Run, evaluation: Evaluation, method: Approach) -> bool:
    if run.datasets[evaluation.task.dataset]["kind"] == "classification":
        return mixture(run.recipes[evaluation.task.roles[method.role].recipe]) is not None
    variants = [
        *(score.variant for score in REPRESENTATIONS),
        *further_variants(run, [evaluation.task.roles[method.role]]),
    ]
    return any(_requested(run, evaluation, method, variant) for variant in variants)


MEASURES_TABLE = MethodTable(
    "uq4ct_measures",
    "Other measures of the same predictions.",
    "Negative log-likelihood in nats, Brier score summed over classes, ECE of 10 bins and of 15 of equal mass; "
    "error-AUROC of the softmax response, of the entropy of the mean prediction, and of the mutual information "
    f"between member and prediction (MI; where there are members); {SPREAD}. Bold: best of a task.",
    MEASURES,
    further_auroc,
)
# FLU as the probability of being right that the paper's Proposition 3.2 makes of it.
FLU_TABLE = MethodTable(
    "uq4ct_flu",
    "Functional-level uncertainty as a confidence.",
    "If the calibration loss does what the paper’s Proposition 3.2 says, FLU is the probability that the answer "
    "is right. ECE of 15 bins of that confidence, over the prompt’s tokens (mean) and at its last token, beside "
    "that of the answer’s own probability (max p); and how well each ranks errors; "
    f"{SPREAD}. Bold: best of a column in a task.",
    FLU,
    methods=_routed,
)


def crossed(run: Run, tasks: Sequence[Task]) -> Table | None:
    """Mixtures on classification tasks, scores of representations on choice tasks, and AdUE on mixtures."""
    every, columns = _point(run, tasks), [*CROSSED, *further_auroc(run, tasks)]
    rows = [
        Row((method.title,), _best_score(run, evaluation, method, columns), approaches.title_of(run, evaluation.task))
        for evaluation in map(Evaluation, tasks)
        for method in _crossed(run, evaluation, every)
    ]
    if not rows:
        return None
    caption = (
        "Error-AUROC ×100 on the test split: UQ4CT’s adapters on classification tasks, and AdUE and the distances of "
        f"the representation (L2-normalised) on choice tasks and on mixtures; {SPREAD}. No paper has any of "
        "these. Bold: best score of an adapter."
    )
    spec = ("uq4ct_crossed", "Crossed: every score on every adapter.", caption)
    return Table(*spec, ("Adapter",), in_blocks([[measure.column for measure, _ in columns]]), tuple(rows), SETTING)


def _best_score(run: Run, evaluation: Evaluation, method: Approach, columns: Columns) -> tuple[Entry, ...]:
    return tuple(mark_best([_entry(run, evaluation, method, *column) for column in columns], "higher"))


# -- which recipe stands for which method --------------------------------------------------------------------


def recipes(run: Run, tasks: Sequence[Task]) -> Table:
    """Each role's recipes, and what of them the comparison is about."""
    titles = {method.role: method.title for method in approaches.present(run, tasks) if method.predictive == "point"}
    found: dict[tuple[str, str], list[Task]] = {}
    for task in tasks:
        for role, setting in task.roles.items():
            found.setdefault((role, setting.recipe), []).append(task)
    order = {role: index for index, role in enumerate(titles)}
    rows = [
        Row((titles.get(role, role), recipe), (*_content(run.recipes[recipe]), Entry(_where(run, here, tasks))))
        for (role, recipe), here in sorted(found.items(), key=lambda item: order.get(item[0][0], len(order)))
    ]
    labels = ("Rank", "E", "K", "β", "Tokens of FLU")
    columns = (*map(Column, labels), Column("On", align="left", width=1))
    caption = (
        "Recognised by what stands in the recipes. E: experts, K: active ones, β: weight of the calibration loss, "
        "which takes FLU over these tokens of the prompt. All keys: the table of recipes."
    )
    return Table("uq4ct_recipes", "Which recipe is which method.", caption, ("Method", "Recipe"), columns, tuple(rows))


def _content(recipe: dict[str, Any]) -> tuple[Entry, ...]:
    experts, rank = mixture(recipe), (recipe["adapter"] or {}).get("rank")
    growing = ", growing" if is_incremental(recipe) else ""
    values = (
        rank,
        experts and experts["experts"],
        experts and experts["top_k"],
        f"{beta(recipe):g}{growing}" if experts else None,
        flu_tokens(recipe) or None,
    )
    return tuple(Entry(NOT_REQUESTED if value is None else str(value)) for value in values)


def _where(run: Run, tasks: Sequence[Task], every: Sequence[Task]) -> str:
    """The tasks by model, such as "Mistral-7B: obqa, boolq; …"."""
    if len(tasks) == len(every):
        return "all"
    models: dict[str, list[str]] = {}
    for task in tasks:
        models.setdefault(run.models[task.model]["title"], []).append(task.dataset)
    return "; ".join(f"{title}: {', '.join(datasets)}" for title, datasets in models.items())
