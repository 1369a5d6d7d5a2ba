"""The UQ4CT paper's Tables 1, 3, 4 and 6 (and the numbers of its Figure 3), rebuilt from a run: methods × tasks."""

from collections.abc import Callable, Sequence
from itertools import groupby

from peftuq.metrics.evaluate import METRICS as DIRECTIONS
from peftuq.report.declared import Block, DeclaredTable, Field
from peftuq.report.headings import SPREAD
from peftuq.report.reference import Printed
from peftuq.report.run import Run
from peftuq.report.tables import Column, Entry
from peftuq.report.uq4ct import approaches
from peftuq.report.uq4ct.approaches import DECIMALS, Approach, Evaluation
from peftuq.report.uq4ct.recipes import Task

HEADINGS = {"accuracy": "Accuracy, %", "ece_15": "ECE (15 bins), %"}
BESIDE = (
    "Below ours, where model and data are the paper’s own: its number, and ours minus it; “not run”: the paper has a "
    "number, this run was not asked for one. "
)
BOLD = "Bold: best of a column, ours and the paper’s apart."
IN_DISTRIBUTION = ("Table 4", "Table 1", "Table 3", "Table 6")


def of_kind(run: Run, tasks: Sequence[Task], kind: str) -> list[Task]:
    """The tasks that are choice, or classification."""
    return [task for task in tasks if run.datasets[task.dataset]["kind"] == kind]


def evaluations(run: Run, tasks: Sequence[Task]) -> list[Evaluation]:
    """The evaluation sets of the tasks: each one's own test split, then its shift sets."""
    return [Evaluation(one, on) for one in tasks for on in ("", *shift_sets(run, one))]


def shift_sets(run: Run, task: Task) -> list[str]:
    """The sets with labels that at least one of a task's recipes is evaluated on, beside its own test split."""
    return list(dict.fromkeys(name for setting in task.roles.values() for name in run.labelled_shifts(setting)))


def model_of(run: Run, evaluation: Evaluation) -> str:
    return run.models[evaluation.task.model]["title"]


def _trained(run: Run, evaluation: Evaluation) -> str:
    return f"{model_of(run, evaluation)}, trained on {evaluation.task.dataset}"


Shown = tuple[list[Evaluation], list[Approach]]  # the columns of a table, and the methods that ran


def _own_tests(kind: str) -> Callable[[Run, Sequence[Task]], Shown]:
    """All methods on the tasks of a kind, on their own test splits."""

    def shown(run: Run, tasks: Sequence[Task]) -> Shown:
        here = of_kind(run, tasks, kind)
        return list(map(Evaluation, here)), approaches.present(run, here)

    return shown


def _shifted(run: Run, tasks: Sequence[Task]) -> Shown:
    """All methods on the tasks with shift sets: on their own test splits and on those sets."""
    here = [task for task in tasks if shift_sets(run, task)]
    return evaluations(run, here), approaches.present(run, here)


def _contrast(name: str, printed: str) -> Callable[[Run, Sequence[Task]], Shown]:
    """UQ4CT and one other method, on the tasks where the run or the paper has the other."""

    def shown(run: Run, tasks: Sequence[Task]) -> Shown:
        both = [method for method in approaches.present(run, tasks) if method.paper in (name, "UQ4CT")]
        others = [method for method in both if method.paper == name]
        evaluations = [
            evaluation
            for evaluation in map(Evaluation, tasks)
            if approaches.papers(run, evaluation, name, "accuracy", [printed])
            or any(approaches.measure(run, evaluation, method, "accuracy").requested for method in others)
        ]
        return evaluations, both

    return shown


def _paper_table(
    name: str,
    title: str,
    caption: str,
    shown: Callable[[Run, Sequence[Task]], Shown],
    printed: tuple[str, ...] = (),
    group: Callable[[Run, Evaluation], str] = model_of,
) -> DeclaredTable[Sequence[Task], Approach]:
    """Accuracy and ECE of approaches × evaluation sets; none where there is no evaluation set.

    `printed`: the paper's tables to look its numbers up in. `group`: the heading over an evaluation set's column.
    """

    def field(run: Run, evaluation: Evaluation, metric: str) -> Field[Approach]:
        def of_paper(row: Approach) -> Printed | None:
            return approaches.papers(run, evaluation, row.paper, metric, printed)

        def entry(row: Approach) -> Entry:
            return approaches.beside(approaches.measure(run, evaluation, row, metric), of_paper(row))

        return Field(Column(evaluation.title, group(run, evaluation)), entry, DIRECTIONS[metric]["better"], of_paper)

    def blocks(run: Run, tasks: Sequence[Task]) -> list[Block[Approach]]:
        evaluations, ran = shown(run, tasks)
        rows = approaches.complete(run, evaluations, ran, printed)
        groups = [list(several) for _, several in groupby(evaluations, key=lambda one: group(run, one))]
        return [
            Block(rows, [[field(run, evaluation, metric) for evaluation in several] for several in groups], heading)
            for metric, heading in HEADINGS.items()
        ]

    return DeclaredTable(name, title, caption, ("Method",), blocks, "Metric", decimals=DECIMALS)


IN_DISTRIBUTION_TABLE = _paper_table(
    "uq4ct_table4_in_distribution",
    "In distribution (the paper’s Figure 3 and Table 4).",
    f"In per cent on the test split, {SPREAD}. {BESIDE}The paper draws LLaMA-2-7B’s numbers in its Figure "
    "3; what its other tables print of them stands here. Its BoolQ is answered without the passage: boolq_closed. "
    f"Temperature: fitted on the validation split. {BOLD}",
    _own_tests("choice"),
    IN_DISTRIBUTION,
)
CLASSIFICATION = _paper_table(
    "uq4ct_classification",
    "The same methods on classification tasks.",
    f"In per cent on the test split, {SPREAD}. The paper has none of these. Bold: best of a column.",
    _own_tests("classification"),
)
SHIFTS = _paper_table(
    "uq4ct_table1_shift",
    "Under shift (the paper’s Table 1).",
    f"Trained on one dataset, tested on its own test split and on others, in per cent, {SPREAD}. To the "
    f"paper, arc_* are smaller shifts of obqa and mmlu_* larger ones. {BESIDE}{BOLD}",
    _shifted,
    ("Table 1",),
    _trained,
)
INCREMENTAL = _paper_table(
    "uq4ct_table3_incremental",
    "Incremental weighting of the calibration loss (the paper’s Table 3).",
    "The weight of the calibration loss at β = 1 throughout, and growing as β = min(1, step / 50); in per cent on "
    f"the test split, {SPREAD}. {BESIDE}{BOLD}",
    _contrast("UQ4CT_Incremental", "Table 3"),
    ("Table 3",),
)
SPUQ = _paper_table(
    "uq4ct_table6_spuq",
    "Perturbed prompts (the paper’s Table 6).",
    "SPUQ averages the probabilities over rewordings of the prompt; the paper does not say of which model, so its "
    "numbers stand beside the untuned model and the LoRA where both ran; in per cent on the test split, "
    f"{SPREAD}. {BESIDE}{BOLD}",
    _contrast("SPUQ", "Table 6"),
    ("Table 6",),
)
