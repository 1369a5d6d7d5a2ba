"""What the paper does not show: which recipe stands for which method, more measures, FLU itself, crossed methods."""

from collections.abc import Sequence
from typing import Any

from peftuq.cells import PREDICTION
from peftuq.metrics.evaluate import METRICS as DIRECTIONS
from peftuq.report import layouts
from peftuq.report.layouts import CELL, Measure
from peftuq.report.methods import ADUE, FORMATS, MD_L2, RDE_L2, RMD_L2, SR
from peftuq.report.run import Run
from peftuq.report.tables import NOT_ASKED, Column, Entry, Row, Table, mark_best, measured
from peftuq.report.uq4ct import methods
from peftuq.report.uq4ct.methods import Method, Place
from peftuq.report.uq4ct.recipes import Cast, Task, beta, flu_tokens, is_incremental, mixture

# (measure, variant): the columns of a table by method.
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


def measures(run: Run, casts: Sequence[Cast]) -> Table | None:
    caption = (
        "Negative log-likelihood in nats, Brier score summed over classes, ECE of 10 bins and of 15 of equal mass; "
        "error-AUROC of the softmax response, of the entropy of the mean prediction, and of the mutual information "
        f"between member and prediction (MI; where there are members); {layouts.SPREAD}. Bold: best of a cell."
    )
    return _by_method(run, casts, ("uq4ct_measures", "Other measures of the same predictions.", caption), MEASURES)


def flu(run: Run, casts: Sequence[Cast]) -> Table | None:
    """FLU as the probability of being right that the paper's Proposition 3.2 makes of it."""
    caption = (
        "If the calibration loss does what the paper’s Proposition 3.2 says, FLU is the probability that the answer "
        "is right. ECE of 15 bins of that confidence, over the prompt’s tokens (mean) and at its last token, beside "
        "that of the answer’s own probability (max p); and how well each ranks errors; "
        f"{layouts.SPREAD}. Bold: best of a column in a cell."
    )
    spec = ("uq4ct_flu", "Functional-level uncertainty as a confidence.", caption)
    shown = [
        method
        for method in methods.present(run, casts)
        if method.predictive == "point" and any(_asked(run, Place(cast), method, "flu_mean") for cast in casts)
    ]
    return _by_method(run, casts, spec, FLU, shown)


def _by_method(
    run: Run,
    casts: Sequence[Cast],
    spec: tuple[str, str, str],
    columns: Sequence[tuple[Measure, str]],
    shown: Sequence[Method] | None = None,
) -> Table | None:
    """A heading a task and a row a method, with the best of each column bold."""
    every = methods.present(run, casts) if shown is None else shown
    rows: list[Row] = []
    for place in map(Place, casts):
        here = [method for method in every if methods.measure(run, place, method, "accuracy").asked]
        found = [[_entry(run, place, method, *column) for method in here] for column in columns]
        best = [
            mark_best(entries, DIRECTIONS[measure.metric]["better"])
            for (measure, _), entries in zip(columns, found, strict=True)
        ]
        heading = methods.title_of(run, place.cast.task)
        rows += [Row((m.title,), entries, heading) for m, entries in zip(here, zip(*best, strict=True), strict=True)]
    if not rows:
        return None
    return Table(*spec, ("Method",), tuple(measure.column for measure, _ in columns), tuple(rows), CELL)


def _asked(run: Run, place: Place, method: Method, variant: str) -> bool:
    return methods.measure(run, place, method, "auroc", variant).asked


def _entry(run: Run, place: Place, method: Method, measure: Measure, variant: str) -> Entry:
    form = FORMATS[measure.metric]
    return measured(methods.measure(run, place, method, measure.metric, variant), form.scale, form.decimals)


# -- methods of one paper on the tasks of another ------------------------------------------------------------


def crossed(run: Run, casts: Sequence[Cast]) -> Table | None:
    """Mixtures on classification tasks, scores of representations on choice tasks, and AdUE on mixtures."""
    every = [method for method in methods.present(run, casts) if method.predictive == "point"]
    rows: list[Row] = []
    for place in map(Place, casts):
        here = [m for m in every if any(_asked(run, place, m, variant) for _, variant in CROSSED)]
        if not any(_is_new(run, place, method) for method in here):
            continue
        for method in here:
            entries = mark_best([_entry(run, place, method, *column) for column in CROSSED], "higher")
            rows.append(Row((method.title,), tuple(entries), methods.title_of(run, place.cast.task)))
    if not rows:
        return None
    caption = (
        "Error-AUROC ×100 on the test split: UQ4CT’s adapters on classification tasks, and AdUE and the distances of "
        f"the representation (L2-normalised) on choice tasks and on mixtures; {layouts.SPREAD}. No paper has any of "
        "these. Bold: best score of an adapter."
    )
    spec = ("uq4ct_crossed", "Crossed: every score on every adapter.", caption)
    return Table(*spec, ("Adapter",), tuple(measure.column for measure, _ in CROSSED), tuple(rows), CELL)


def _is_new(run: Run, place: Place, method: Method) -> bool:
    if run.datasets[place.cast.task.dataset]["kind"] == "classification":
        return mixture(run.recipes[place.cast.roles[method.role].recipe]) is not None
    return any(_asked(run, place, method, score.variant) for score in REPRESENTATIONS)


# -- which recipe stands for which method --------------------------------------------------------------------


def recipes(run: Run, casts: Sequence[Cast]) -> Table:
    """Each role's recipes, and what of them the comparison is about."""
    titles = {method.role: method.title for method in methods.present(run, casts) if method.predictive == "point"}
    found: dict[tuple[str, str], list[Task]] = {}
    for cast in casts:
        for role, setting in cast.roles.items():
            found.setdefault((role, setting.recipe), []).append(cast.task)
    order = {role: place for place, role in enumerate(titles)}
    rows = [
        Row((titles.get(role, role), recipe), (*_content(run.recipes[recipe]), Entry(_where(run, tasks, casts))))
        for (role, recipe), tasks in sorted(found.items(), key=lambda item: order.get(item[0][0], len(order)))
    ]
    labels = ("Rank", "E", "K", "β", "Tokens of FLU")
    columns = (*map(Column, labels), Column("On", align="left", width=1))
    caption = (
        "Told by what stands in the recipes. E: experts, K: active ones, β: weight of the calibration loss, which "
        "takes FLU over these tokens of the prompt. All settings: the table of recipes."
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
    return tuple(Entry(NOT_ASKED if value is None else str(value)) for value in values)


def _where(run: Run, tasks: Sequence[Task], casts: Sequence[Cast]) -> str:
    """The tasks by model, such as "Mistral-7B: obqa, boolq; …"."""
    if len(tasks) == len(casts):
        return "all"
    models: dict[str, list[str]] = {}
    for task in tasks:
        models.setdefault(run.models[task.model]["title"], []).append(task.dataset)
    return "; ".join(f"{title}: {', '.join(datasets)}" for title, datasets in models.items())
