"""The report's section on the Laplace-LoRA protocol: what the papers print that use it, beside this run."""

from collections.abc import Sequence
from functools import cache, partial
from typing import NamedTuple

from peftuq.cells import Setting, parse_predictive
from peftuq.metrics.evaluate import METRICS as DIRECTIONS
from peftuq.report import methods
from peftuq.report.adapters import PLAIN, kind
from peftuq.report.declared import Block, DeclaredTable, Field
from peftuq.report.headings import SPREAD
from peftuq.report.metric_table import Measure, metric_table, of_scores
from peftuq.report.reference import Printed, rows_of
from peftuq.report.run import Run
from peftuq.report.sections import PaperSection
from peftuq.report.tables import NOT_REQUESTED, Column, Entry, measured

NAME = "laplace_protocol"
READING = (
    "Most papers on the uncertainty of LoRA since 2023 train on six small tasks for 5,000 steps and report accuracy, "
    "ECE (15 bins) and NLL on the official validation splits; here a part of the training set takes the place of a "
    "validation split wherever something is fitted or chosen. Only the answers’ rows of the LM head are adapted."
)
SECONDARY = (
    "The printed numbers are secondary: they were transcribed by a third party from Tables 1 and 5 of DALorRA (arXiv "
    "2607.02182), most of whose rows repeat the tables of BLoB and TFB. The source’s row of Laplace-LoRA for "
    "LLaMA-2-7B is anomalous on ARC-Easy and OpenBookQA (ECE 46 and 36 %). Papers disagree about each other: eight of "
    "them print an ECE of BLoB on WinoGrande-S from 5.8 to 11.2 %."
)
HEADINGS = {"Accuracy, %": "accuracy", "ECE (15 bins), %": "ece_15", "NLL": "nll"}
_SCALE = {"accuracy": 100.0, "ece_15": 100.0, "nll": 1.0}
_PRINTED = {"accuracy": "accuracy", "ece_15": "ece", "nll": "nll"}  # ours → the name in the papers' table
# Predictives of a plain training, and kinds of adapter by their sections → the printed method.
_PREDICTIVES = {"mc_dropout": "MC dropout", "laplace": "Laplace-LoRA", "tfb": "TFB"}
_KINDS = {"blob": "BLoB", "dalora": "DALorRA"}  # tested by samples


class Method(NamedTuple):
    """A recipe and a predictive; `printed`: the papers' name for it. Without a recipe it did not run."""

    recipe: str
    predictive: str
    title: str
    printed: str = ""


class Evaluation(NamedTuple):
    """A column: a model trained on a dataset and evaluated `on` another, or on its own test split ("")."""

    model: str
    dataset: str
    on: str = ""


@cache
def printed() -> dict[tuple[str, str, str, str, str], Printed]:
    """(model, trained on, evaluated on, method, metric) → the number; accuracy and ECE in per cent."""
    names = ("model", "train_dataset", "eval_dataset", "method", "metric")
    rows = rows_of(f"{NAME}.csv")
    return {tuple(row[name] for name in names): Printed(float(row["value"]), None) for row in rows}


def _printed_name(run: Run, recipe: str, predictive: str) -> str:
    """The papers' name of a method, by what the recipe holds; "" for one that they do not have."""
    content, (name, size) = run.recipes[recipe], parse_predictive(predictive)
    adapter, optimiser, loss = content["adapter"], content["optimiser"], content["loss"]
    if adapter is None or loss.get("label_smoothing") or loss.get("focal") or name == "temperature":
        return ""
    section = kind(content)
    if section != PLAIN or "lm_head" not in adapter["targets"]:
        return _KINDS.get(section, "") if name == "posterior_samples" else ""
    if name == "point":
        return "" if adapter["dropout"] else f"LoRA ({'MAP' if optimiser['weight_decay'] else 'MLE'})"
    return "Ensemble of 3" if (name, size) == ("ensemble", 3) else _PREDICTIVES.get(name, "")


def present(run: Run, settings: Sequence[Setting]) -> list[Method]:
    """The methods of the run; and those that are printed for one of its evaluations, and did not run."""
    found = [
        Method(recipe, predictive, _title(recipe, predictive), _printed_name(run, recipe, predictive))
        for recipe in dict.fromkeys(setting.recipe for setting in settings)
        for predictive in dict.fromkeys(p for s in settings if s.recipe == recipe for p in run.predictives(s))
    ]
    keys = {_key(run, evaluation) for evaluation in evaluations(run, settings)}
    names = dict.fromkeys(key[3] for key in printed() if key[:3] in keys)
    ours = {method.printed for method in found}
    return [*found, *(Method("", "", name, name) for name in names if name not in ours)]


def _title(recipe: str, predictive: str) -> str:
    return recipe if predictive == "point" else f"{recipe}, {predictive.replace('_', ' ')}"


def evaluations(run: Run, settings: Sequence[Setting]) -> list[Evaluation]:
    """Every model on every dataset's own test split, and on its shift sets."""
    pairs = dict.fromkeys((s.model, s.dataset, on) for s in settings for on in ("", *run.shifts(s)))
    return [Evaluation(*pair) for pair in pairs]


def _key(run: Run, evaluation: Evaluation) -> tuple[str, str, str]:
    """Model, training and evaluation set as they are called in the papers' table."""
    model = run.models[evaluation.model]["paper_names"].get(NAME, "")
    trained, tested = evaluation.dataset, evaluation.on or evaluation.dataset
    return model, trained.removesuffix("_validation"), tested.removesuffix("_validation")


def of_papers(run: Run, evaluation: Evaluation, metric: str, method: Method) -> Printed | None:
    return printed().get((*_key(run, evaluation), method.printed, _PRINTED[metric]))


def _entry(run: Run, evaluation: Evaluation, metric: str, method: Method) -> Entry:
    setting = Setting(evaluation.model, evaluation.dataset, method.recipe)
    if not method.recipe or (evaluation.on and evaluation.on not in run.shifts(setting)):
        return Entry(NOT_REQUESTED)
    over = run.over_seeds(setting, metric, predictive=method.predictive, on=evaluation.on)
    return measured(over, _SCALE[metric], 2)


def _blocks(run: Run, settings: Sequence[Setting]) -> list[Block[Method]]:
    rows = present(run, settings)
    return [Block(rows, _runs(run, settings, metric), heading) for heading, metric in HEADINGS.items()]


def _runs(run: Run, settings: Sequence[Setting], metric: str) -> list[list[Field[Method]]]:
    def field(one: Evaluation) -> Field[Method]:
        column = Column(one.on or one.dataset, f"{run.models[one.model]['title']}, trained on {one.dataset}")
        ours, theirs = partial(_entry, run, one, metric), partial(of_papers, run, one, metric)
        return Field(column, ours, DIRECTIONS[metric]["better"], theirs)

    every = evaluations(run, settings)
    pairs = dict.fromkeys((one.model, one.dataset) for one in every)
    return [[field(one) for one in every if (one.model, one.dataset) == pair] for pair in pairs]


METHODS = DeclaredTable[Sequence[Setting], Method](
    "laplace_protocol",
    "The protocol’s numbers, ours beside those that are printed.",
    f"A row is a recipe and a source of probabilities. On the evaluation split, {SPREAD}.",
    ("Method",),
    _blocks,
    over="Metric",
    decimals=2,
    alone="Bold: best of a column.",
    beside="Below ours the printed number (secondary, see above), and ours minus it. A method with a dash for ours is "
    "printed and did not run. Bold: best of a column, ours and the printed apart.",
)
DETECTION = metric_table(
    "laplace_protocol_detection",
    "Telling errors from correct predictions, which the protocol’s papers do not report.",
    f"Every score of every source of probabilities, {SPREAD}.",
    stub=("Score",),
    lines=of_scores(methods.HEADLINE),
    columns=(Measure("auroc"), Measure("aurc"), Measure("prr")),
)

SECTION = PaperSection(
    title="The Laplace-LoRA protocol",
    reading=(READING, SECONDARY),
    parts={"Calibration and accuracy": [METHODS]},
    appendix={"Error detection": [DETECTION]},
    subject=lambda run, settings: settings,
)
