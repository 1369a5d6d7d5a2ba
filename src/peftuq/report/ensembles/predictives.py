"""The gain of several members over one adapter: predictions, uncertainties, and the errors these find."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from peftuq.artifacts import read_scores
from peftuq.cells import PREDICTION, Setting, parse_predictive
from peftuq.files import canonical
from peftuq.report.declared import Block, DeclaredTable, Field
from peftuq.report.headings import SPREAD, Headings
from peftuq.report.methods import ENTROPY, INFORMATION
from peftuq.report.metric_table import (
    SETTING,
    Derived,
    Line,
    Lines,
    Measure,
    labels_of,
    metric_field,
    metric_table,
    prediction,
    rows_of,
)
from peftuq.report.requested import further_variants
from peftuq.report.run import OverSeeds, Run
from peftuq.report.tables import Column, Entry, measured

QUALITY = ("accuracy", "nll", "ece_10")
SCORES = {ENTROPY.variant: ENTROPY.title, **INFORMATION}  # variant → title
IN_NATS = ("entropy", "expected_entropy", "mutual_information")
MEMBERS = (
    "“One adapter” is a member alone, over its seeds; an ensemble takes the first M seeds, so there is one and no "
    "spread; a checkpoint ensemble takes the last epochs of one training."
)


def shown(run: Run, setting: Setting) -> dict[str, str]:
    """The setting's predictives, each with its title."""
    return {name: _title(run, setting, name) for name in run.predictives(setting)}


def _title(run: Run, setting: Setting, predictive: str) -> str:
    name, size = parse_predictive(predictive)
    if name == "point":
        return "untuned model" if run.recipes[setting.recipe]["adapter"] is None else "one adapter"
    return {"ensemble": f"ensemble, M = {size}", "checkpoint_ensemble": f"last {size} epochs"}.get(
        name, predictive.replace("_", " ")
    )


def _on(run: Run, setting: Setting, shifts: Sequence[str]) -> Lines:
    """Each predictive on the setting's own test split and on shift sets."""
    return {
        (on or setting.dataset, title): prediction(predictive, on)
        for on in ("", *shifts)
        for predictive, title in shown(run, setting).items()
    }


def _mean(run: Run, setting: Setting, predictive: str, variant: str, on: str) -> OverSeeds:
    """The mean of a score over an evaluation set's examples, over seeds."""
    values, missing = {}, []
    for seed in run.seeds(setting, predictive, variant):
        path = run.file(run.paths.scores(*setting, seed, predictive, run.score_of(variant)))
        if path is not None:
            values[seed] = float(read_scores(path).on(on or "test").variants[variant].mean())
        else:
            missing.append(seed)
    return OverSeeds(values, missing)


def _mean_column(variant: str) -> Derived:
    def entry(run: Run, line: Line) -> Entry:
        return measured(_mean(run, line.setting, line.source.predictive, variant, line.source.on), decimals=3)

    return Derived(Column(SCORES[variant], "Mean, nats"), entry)


QUALITY_TABLE = metric_table(
    "ensembles_quality",
    "One adapter and ensembles.",
    f"Accuracy, negative log-likelihood in nats and ECE with 10 bins (the paper’s), {SPREAD}; means over the "
    "examples of predictive entropy, expected entropy and their difference, the mutual information, in nats. "
    f"{MEMBERS} Bold: best of a setting and evaluation set.",
    stub=("Evaluated on", "Probabilities"),
    lines=lambda run, setting: _on(run, setting, run.shifts(setting)),
    columns=(*map(Measure, QUALITY), *map(_mean_column, IN_NATS)),
)


def _detection(run: Run, settings: Sequence[Setting]) -> list[Block[Line]]:
    headings, variants = Headings(run, settings), SCORES | further_variants(run, settings)
    fields = [_auroc(run, variant, title) for variant, title in variants.items()]
    return [
        Block(rows_of(_on(run, setting, run.labelled_shifts(setting)), setting), [fields], headings.setting(setting))
        for setting in settings
    ]


def _auroc(run: Run, variant: str, title: str) -> Field[Line]:
    def over(line: Line) -> OverSeeds:
        return run.over_seeds(line.setting, "auroc", variant, line.source.predictive, line.source.on)

    return metric_field("auroc", over, Column(title))


DETECTION = DeclaredTable[Sequence[Setting], Line](
    "ensembles_error_auroc",
    "Which uncertainty finds the errors.",
    "Error-AUROC ×100 of the entropy of the mean prediction, the members’ mean entropy, their mutual information, "
    "the share of them that do not vote for the modal answer, and of any further score of the run; "
    f"{SPREAD}. One adapter has its entropy only, and further scores. "
    "Bold: best of a row.",
    ("Evaluated on", "Probabilities"),
    _detection,
    SETTING,
    labels_of,
    best="row",
)


def _masses(run: Run, settings: Sequence[Setting]) -> list[Block[Line]]:
    """Choice settings, whose answers are a few of the vocabulary's tokens."""
    headings = Headings(run, settings)
    rows = [
        Line((headings.model(s), s.dataset, on or s.dataset), s, prediction("point", on), first=True)
        for s in settings
        if run.task(s) == "choice" and run.seeds(s, "point")
        for on in ("", *run.shifts(s))
    ]

    def mass(line: Line) -> Entry:
        return measured(run.over_seeds(line.setting, "answer_mass", on=line.source.on), 100)

    return [Block(rows, [[Field(Column("Answer mass, %"), mass)]])]


ANSWER_MASS = DeclaredTable[Sequence[Setting], Line](
    "ensembles_answer_mass",
    "Does the model answer?",
    "Share of the whole vocabulary’s probability that falls on the answer letters before the predictions are "
    f"normalised over them; adapters on their own, {SPREAD}. Where it is low, the model did not mean to answer, "
    "and its uncertainty over the letters means little.",
    ("Model", "Trained on", "Evaluated on"),
    _masses,
    labels=labels_of,
)


# -- how strong the prior is --------------------------------------------------------------------------------


class Strength(NamedTuple):
    """A row: a predictive of the recipe whose prior has the strength λ/2 = `value`."""

    labels: tuple[str, str]
    setting: Setting
    predictive: str


def _strengths(run: Run, settings: Sequence[Setting]) -> list[Block[Strength]]:
    """Settings that differ in the prior's strength alone, from the weakest up."""
    headings, fields = Headings(run, []), _strength_fields(run)
    found = []
    for by_strength in swept(run, settings):
        titles = {name: title for setting in by_strength.values() for name, title in shown(run, setting).items()}
        rows = [
            Strength((title, f"{value:g}"), setting, predictive)
            for predictive, title in titles.items()
            for value, setting in by_strength.items()
        ]
        found.append(Block(rows, [fields], headings.setting(next(iter(by_strength.values())))))
    return found


def _strength_fields(run: Run) -> list[Field[Strength]]:
    def quality(metric: str) -> Field[Strength]:
        def over(row: Strength) -> OverSeeds:
            return run.over_seeds(row.setting, metric, PREDICTION, row.predictive)

        return metric_field(metric, over, among=_predictive)

    def mean(variant: str, title: str) -> Field[Strength]:
        def entry(row: Strength) -> Entry:
            return measured(_mean(run, row.setting, row.predictive, variant, ""), decimals=3)

        return Field(Column(title, "Mean, nats"), entry)

    def auroc(row: Strength) -> OverSeeds:
        score = "mutual_information" if run.seeds(row.setting, row.predictive, "mutual_information") else "entropy"
        return run.over_seeds(row.setting, "auroc", score, row.predictive)

    means = [mean("entropy", "Entropy"), mean("mutual_information", "MI")]
    detected = metric_field("auroc", auroc, Column("Error-AUROC"), among=_predictive)
    return [*map(quality, QUALITY), *means, detected]


def _predictive(row: Strength) -> str:
    return row.predictive


SWEEP = DeclaredTable[Sequence[Setting], Strength](
    "ensembles_lambda",
    "How strong the prior is.",
    f"The prior’s strength λ/2, all else in the recipe the same; on the test split, {SPREAD}; mean entropy and "
    "mutual information in nats; error-AUROC ×100 of the mutual information, or of the entropy for one adapter. "
    "Bold: best of a setting and its kind of probabilities.",
    ("Probabilities", "λ/2"),
    _strengths,
    SETTING,
    lambda row: row.labels,
)


def swept(run: Run, settings: Sequence[Setting]) -> list[Mapping[float, Setting]]:
    """Groups of at least two settings of one model and dataset whose recipes differ in `prior.half_lambda` alone."""
    groups: dict[str, dict[float, Setting]] = {}
    for setting in settings:
        content = run.recipes[setting.recipe]
        prior = content.get("prior")
        if prior is not None:
            rest = {**content, "prior": {key: value for key, value in prior.items() if key != "half_lambda"}}
            same = canonical([setting.model, setting.dataset, rest])
            groups.setdefault(same, {})[float(prior["half_lambda"])] = setting
    return [dict(sorted(by_strength.items())) for by_strength in groups.values() if len(by_strength) > 1]
