"""The UQ4CT paper's Tables 1, 3, 4 and 6 (and the numbers of its Figure 3), rebuilt from a run: methods × tasks."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby

from peftuq.metrics.evaluate import METRICS as DIRECTIONS
from peftuq.report import layouts
from peftuq.report.layouts import Line
from peftuq.report.run import Run
from peftuq.report.tables import Column, Row, Table
from peftuq.report.uq4ct import methods
from peftuq.report.uq4ct.methods import DECIMALS, Method, Place
from peftuq.report.uq4ct.recipes import Cast

HEADINGS = {"accuracy": "Accuracy, %", "ece_15": "ECE (15 bins), %"}
BESIDE = (
    "Below ours, where model and data are the paper’s own: its number, and ours minus it; “not run”: the paper has a "
    "number, this run was not asked for one. "
)
BOLD = "Bold: best of a column, ours and the paper’s apart."
IN_DISTRIBUTION = ("Table 4", "Table 1", "Table 3", "Table 6")


def of_kind(run: Run, casts: Sequence[Cast], kind: str) -> list[Cast]:
    """The tasks that are choice, or classification."""
    return [cast for cast in casts if run.datasets[cast.task.dataset]["kind"] == kind]


def shift_sets(run: Run, cast: Cast) -> list[str]:
    """What at least one of a task's recipes is evaluated on, beside its own test split."""
    return list(dict.fromkeys(name for setting in cast.roles.values() for name in run.shifts(setting)))


def in_distribution(run: Run, casts: Sequence[Cast]) -> Table | None:
    """All methods on the choice tasks."""
    caption = (
        f"In per cent on the test split, {layouts.SPREAD}. {BESIDE}The paper draws LLaMA-2-7B’s numbers in its Figure "
        "3; what its other tables print of them stands here. Its BoolQ is answered without the passage: boolq_closed. "
        f"Temperature: fitted on the validation split. {BOLD}"
    )
    spec = ("uq4ct_table4_in_distribution", "In distribution (the paper’s Figure 3 and Table 4).", caption)
    here = of_kind(run, casts, "choice")
    return _table(run, list(map(Place, here)), methods.present(run, here), IN_DISTRIBUTION, spec)


def classification(run: Run, casts: Sequence[Cast]) -> Table | None:
    """The same methods on classification tasks, of which the paper has none."""
    caption = f"In per cent on the test split, {layouts.SPREAD}. The paper has none of these. Bold: best of a column."
    spec = ("uq4ct_classification", "The same methods on classification tasks.", caption)
    here = of_kind(run, casts, "classification")
    return _table(run, list(map(Place, here)), methods.present(run, here), (), spec)


def shifts(run: Run, casts: Sequence[Cast]) -> Table | None:
    """Tasks with their shift sets."""
    caption = (
        f"Trained on one dataset, tested on its own test split and on others, in per cent, {layouts.SPREAD}. To the "
        f"paper, arc_* are smaller shifts of obqa and mmlu_* larger ones. {BESIDE}{BOLD}"
    )
    spec = ("uq4ct_table1_shift", "Under shift (the paper’s Table 1).", caption)
    here = [cast for cast in casts if shift_sets(run, cast)]
    places = [Place(cast, on) for cast in here for on in ("", *shift_sets(run, cast))]

    def trained(place: Place) -> str:
        return f"{model_of(run, place)}, trained on {place.cast.task.dataset}"

    return _table(run, places, methods.present(run, here), ("Table 1",), spec, trained)


def incremental(run: Run, casts: Sequence[Cast]) -> Table | None:
    caption = (
        "The weight of the calibration loss at β = 1 throughout, and growing as β = min(1, step / 50); in per cent on "
        f"the test split, {layouts.SPREAD}. {BESIDE}{BOLD}"
    )
    spec = ("uq4ct_table3_incremental", "Incremental weighting of the calibration loss (the paper’s Table 3).", caption)
    return _contrast(run, casts, "UQ4CT_Incremental", "Table 3", spec)


def spuq(run: Run, casts: Sequence[Cast]) -> Table | None:
    caption = (
        "SPUQ averages the probabilities over rewordings of the prompt; the paper does not say of which model, so its "
        "numbers stand beside the untuned model and the LoRA where both ran; in per cent on the test split, "
        f"{layouts.SPREAD}. {BESIDE}{BOLD}"
    )
    spec = ("uq4ct_table6_spuq", "Perturbed prompts (the paper’s Table 6).", caption)
    return _contrast(run, casts, "SPUQ", "Table 6", spec)


def _contrast(run: Run, casts: Sequence[Cast], name: str, printed: str, spec: tuple[str, str, str]) -> Table | None:
    """UQ4CT and one other method, on the tasks where the run or the paper has the other."""
    shown = [method for method in methods.present(run, casts) if method.paper in (name, "UQ4CT")]
    others = [method for method in shown if method.paper == name]
    places = [
        place
        for place in map(Place, casts)
        if methods.papers(run, place, name, "accuracy", [printed])
        or any(methods.measure(run, place, method, "accuracy").asked for method in others)
    ]
    return _table(run, places, shown, (printed,), spec)


def model_of(run: Run, place: Place) -> str:
    return run.models[place.cast.task.model]["title"]


def _table(
    run: Run,
    places: Sequence[Place],
    shown: Sequence[Method],
    printed: Sequence[str],
    spec: tuple[str, str, str],
    group: Callable[[Place], str] | None = None,
) -> Table | None:
    """Accuracy and ECE, from its (name, title, caption); None without any place.

    `printed`: the paper's tables to look its numbers up in. `group`: the heading over a place's column, by default
    the model.
    """
    if not places:
        return None
    every, headed = methods.complete(run, places, shown, printed), group or (lambda place: model_of(run, place))
    rows: list[Row] = []
    for metric, heading in HEADINGS.items():
        lines = [line(run, places, method, metric, printed) for method in every]
        better = [DIRECTIONS[metric]["better"]] * len(places)
        rows += [replace(row, heading=heading) for row in layouts.beside_paper(lines, better)]
    runs = [[Column(place.title, name) for place in of_name] for name, of_name in groupby(places, key=headed)]
    return replace(layouts.table_of(spec, "Method", runs, rows), over="Metric")


def line(run: Run, places: Sequence[Place], method: Method, metric: str, printed: Sequence[str]) -> Line:
    """A method's numbers and the paper's, a place each."""
    paper = [methods.papers(run, place, method.paper, metric, printed) for place in places]
    over = [methods.measure(run, place, method, metric) for place in places]
    ours = [methods.beside(found, number) for found, number in zip(over, paper, strict=True)]
    return Line(method.title, ours, paper, DECIMALS)
