"""Tables that the paper does not have: recipes by method, more measures, FLU itself, crossed methods."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from peftuq.cells import PREDICTION
from peftuq.report.declared import Block, DeclaredTable, Field
from peftuq.report.headings import SPREAD
from peftuq.report.methods import ADUE, MD_L2, RDE_L2, RMD_L2, SR
from peftuq.report.metric_table import SETTING, Measure, metric_field
from peftuq.report.requested import further_variants
from peftuq.report.run import OverSeeds, Run
from peftuq.report.tables import NOT_REQUESTED, Column, Entry
from peftuq.report.uq4ct import approaches
from peftuq.report.uq4ct.approaches import Approach, Evaluation
from peftuq.report.uq4ct.recipes import Recipe, Task, beta, flu_tokens, is_incremental, mixture

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


def _field(run: Run, evaluation: Evaluation, measure: Measure, variant: str) -> Field[Approach]:
    def over(method: Approach) -> OverSeeds:
        return approaches.measure(run, evaluation, method, measure.metric, variant)

    return metric_field(measure.metric, over, measure.column)


def _block(run: Run, task: Task, methods: Sequence[Approach], columns: Columns) -> Block[Approach]:
    fields = [_field(run, Evaluation(task), *column) for column in columns]
    return Block(methods, [fields], approaches.title_of(run, task))


def _method_table(
    name: str,
    title: str,
    caption: str,
    columns: Columns,
    further: Callable[[Run, Sequence[Task]], Columns] = lambda run, tasks: (),
    methods: Callable[[Run, Sequence[Task]], list[Approach]] = approaches.present,
) -> DeclaredTable[Sequence[Task], Approach]:
    """A heading a task and a row a method.

    `further` are columns after the others. `methods` are those that may have a row; on a task those have one whose
    accuracy the run was asked for.
    """

    def blocks(run: Run, tasks: Sequence[Task]) -> list[Block[Approach]]:
        every, shown = methods(run, tasks), [*columns, *further(run, tasks)]
        return [_block(run, task, _measured(run, Evaluation(task), every), shown) for task in tasks]

    return DeclaredTable(name, title, caption, ("Method",), blocks, SETTING)


def _requested(run: Run, evaluation: Evaluation, method: Approach, variant: str) -> bool:
    return approaches.measure(run, evaluation, method, "auroc", variant).requested


def _is_new(run: Run, evaluation: Evaluation, method: Approach) -> bool:
    if run.datasets[evaluation.task.dataset]["kind"] == "classification":
        return mixture(run.recipes[evaluation.task.roles[method.role].recipe]) is not None
    variants = [
        *(score.variant for score in REPRESENTATIONS),
        *further_variants(run, [evaluation.task.roles[method.role]]),
    ]
    return any(_requested(run, evaluation, method, variant) for variant in variants)


MEASURES_TABLE = _method_table(
    "uq4ct_measures",
    "Other measures of the same predictions.",
    "Negative log-likelihood in nats, Brier score summed over classes, ECE of 10 bins and of 15 of equal mass; "
    "error-AUROC of the softmax response, of the entropy of the mean prediction, and of the mutual information "
    f"between member and prediction (MI; where there are members); {SPREAD}. Bold: best of a task.",
    MEASURES,
    further_auroc,
)
# FLU as the probability of being right that the paper's Proposition 3.2 makes of it.
FLU_TABLE = _method_table(
    "uq4ct_flu",
    "Functional-level uncertainty as a confidence.",
    "If the calibration loss does what the paper’s Proposition 3.2 says, FLU is the probability that the answer "
    "is right. ECE of 15 bins of that confidence, over the prompt’s tokens (mean) and at its last token, beside "
    "that of the answer’s own probability (max p); and how well each ranks errors; "
    f"{SPREAD}. Bold: best of a column in a task.",
    FLU,
    methods=_routed,
)


def _crosses(run: Run, tasks: Sequence[Task]) -> list[Block[Approach]]:
    """Mixtures on classification tasks, scores of representations on choice tasks, and AdUE on mixtures."""
    every, columns = _point(run, tasks), [*CROSSED, *further_auroc(run, tasks)]
    return [_block(run, task, _crossed(run, Evaluation(task), every), columns) for task in tasks]


CROSSED_TABLE = DeclaredTable[Sequence[Task], Approach](
    "uq4ct_crossed",
    "Crossed: every score on every adapter.",
    "Error-AUROC ×100 on the test split: UQ4CT’s adapters on classification tasks, and AdUE and the distances of "
    f"the representation (L2-normalised) on choice tasks and on mixtures; {SPREAD}. No paper has any of "
    "these. Bold: best score of an adapter.",
    ("Adapter",),
    _crosses,
    SETTING,
    best="row",
)


# -- which recipe stands for which method --------------------------------------------------------------------


class Role(NamedTuple):
    """A row: a recipe in a role, and the tasks on which it has it."""

    labels: tuple[str, str]
    recipe: Recipe
    on: str


def _roles(run: Run, tasks: Sequence[Task]) -> list[Role]:
    """Each role's recipes, and what of them the comparison is about."""
    titles = {method.role: method.title for method in approaches.present(run, tasks) if method.predictive == "point"}
    found: dict[tuple[str, str], list[Task]] = {}
    for task in tasks:
        for role, setting in task.roles.items():
            found.setdefault((role, setting.recipe), []).append(task)
    order = {role: index for index, role in enumerate(titles)}
    return [
        Role((titles.get(role, role), recipe), run.recipes[recipe], _where(run, here, tasks))
        for (role, recipe), here in sorted(found.items(), key=lambda item: order.get(item[0][0], len(order)))
    ]


def _growing(recipe: Recipe) -> str | None:
    return f"{beta(recipe):g}{', growing' if is_incremental(recipe) else ''}" if mixture(recipe) else None


def _key(label: str, value: Callable[[Recipe], Any]) -> Field[Role]:
    def entry(role: Role) -> Entry:
        found = value(role.recipe)
        return Entry(NOT_REQUESTED if found is None else str(found))

    return Field(Column(label), entry)


RECIPES = DeclaredTable[Sequence[Task], Role](
    "uq4ct_recipes",
    "Which recipe is which method.",
    "Recognised by what stands in the recipes. E: experts, K: active ones, β: weight of the calibration loss, "
    "which takes FLU over these tokens of the prompt. All keys: the table of recipes.",
    ("Method", "Recipe"),
    lambda run, tasks: [
        Block(
            _roles(run, tasks),
            [
                [
                    _key("Rank", lambda recipe: (recipe["adapter"] or {}).get("rank")),
                    _key("E", lambda recipe: (mixture(recipe) or {}).get("experts")),
                    _key("K", lambda recipe: (mixture(recipe) or {}).get("top_k")),
                    _key("β", _growing),
                    _key("Tokens of FLU", lambda recipe: flu_tokens(recipe) or None),
                    Field(Column("On", align="left", width=1), lambda role: Entry(role.on)),
                ]
            ],
        )
    ],
    labels=lambda role: role.labels,
)


def _where(run: Run, tasks: Sequence[Task], every: Sequence[Task]) -> str:
    """The tasks by model, such as "Mistral-7B: obqa, boolq; …"."""
    if len(tasks) == len(every):
        return "all"
    models: dict[str, list[str]] = {}
    for task in tasks:
        models.setdefault(run.models[task.model]["title"], []).append(task.dataset)
    return "; ".join(f"{title}: {', '.join(datasets)}" for title, datasets in models.items())
