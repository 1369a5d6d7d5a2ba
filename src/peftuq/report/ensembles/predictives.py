"""The gain of several members over one adapter: predictions, uncertainties, and the errors these find."""

from collections.abc import Mapping, Sequence

from peftuq.artifacts import read_scores
from peftuq.cells import PREDICTION, Setting, parse_predictive
from peftuq.files import canonical
from peftuq.metrics.evaluate import METRICS
from peftuq.report.beside_paper import further_variants
from peftuq.report.headings import SPREAD, Headings
from peftuq.report.methods import ENTROPY, FORMATS, INFORMATION
from peftuq.report.metric_table import SETTING, Derived, Lines, Measure, MetricTable, Source, prediction
from peftuq.report.run import OverSeeds, Run
from peftuq.report.tables import Column, Entry, Row, Table, in_blocks, mark_best, measured

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
    def entries(run: Run, setting: Setting, sources: Sequence[Source]) -> list[Entry]:
        return [measured(_mean(run, setting, s.predictive, variant, s.on), decimals=3) for s in sources]

    return Derived(Column(SCORES[variant], "Mean, nats"), entries)


QUALITY_TABLE = MetricTable(
    "ensembles_quality",
    "One adapter and ensembles.",
    f"Accuracy, negative log-likelihood in nats and ECE with 10 bins (the paper’s), {SPREAD}; means over the "
    "examples of predictive entropy, expected entropy and their difference, the mutual information, in nats. "
    f"{MEMBERS} Bold: best of a setting and evaluation set.",
    stub=("Evaluated on", "Probabilities"),
    lines=lambda run, setting: _on(run, setting, run.shifts(setting)),
    columns=(*map(Measure, QUALITY), *map(_mean_column, IN_NATS)),
)


def detection(run: Run, settings: Sequence[Setting]) -> Table:
    """Error-AUROC of each information score; the best of a predictive's scores is bold."""
    headings, rows, form = Headings(run, settings), [], FORMATS["auroc"]
    shown = SCORES | further_variants(run, settings)
    for setting in settings:
        for labels, source in _on(run, setting, run.labelled_shifts(setting)).items():
            found = [run.over_seeds(setting, "auroc", variant, source.predictive, source.on) for variant in shown]
            entries = [measured(over, form.scale, form.decimals) for over in found]
            best = mark_best(entries, METRICS["auroc"]["better"])
            rows.append(Row(labels, tuple(best), headings.setting(setting)))
    caption = (
        "Error-AUROC ×100 of the entropy of the mean prediction, the members’ mean entropy, their mutual information, "
        "the share of them that do not vote for the modal answer, and of any further score of the run; "
        f"{SPREAD}. One adapter has its entropy only, and further scores. "
        "Bold: best of a row."
    )
    columns = in_blocks([list(map(Column, shown.values()))])
    heading, stub = "Which uncertainty finds the errors.", ("Evaluated on", "Probabilities")
    return Table("ensembles_error_auroc", heading, caption, stub, columns, tuple(rows), SETTING)


def answer_mass(run: Run, settings: Sequence[Setting]) -> Table | None:
    """The share of the vocabulary's probability that the answers of choice settings get from each adapter."""
    requested = [s for s in settings if run.task(s) == "choice" and run.seeds(s, "point")]
    if not requested:
        return None
    headings, rows = Headings(run, settings), []
    for setting in requested:
        for on in ("", *run.shifts(setting)):
            mass = measured(run.over_seeds(setting, "answer_mass", on=on), 100)
            rows.append(Row((headings.model(setting), setting.dataset, on or setting.dataset), (mass,)))
    caption = (
        "Share of the whole vocabulary’s probability that falls on the answer letters before the predictions are "
        f"normalised over them; adapters on their own, {SPREAD}. Where it is low, the model did not mean to answer, "
        "and its uncertainty over the letters means little."
    )
    stub, columns = ("Model", "Trained on", "Evaluated on"), (Column("Answer mass, %"),)
    return Table("ensembles_answer_mass", "Does the model answer?", caption, stub, columns, tuple(rows))


# -- how strong the prior is --------------------------------------------------------------------------------


def sweep(run: Run, settings: Sequence[Setting]) -> Table | None:
    """Settings that differ in the prior's strength alone, from the weakest up; None where there are none."""
    headings, rows = Headings(run, []), []
    for by_strength in swept(run, settings):
        titles = {name: title for setting in by_strength.values() for name, title in shown(run, setting).items()}
        for predictive, title in titles.items():
            found = [_strength(run, setting, predictive) for setting in by_strength.values()]
            better = [*(METRICS[metric]["better"] for metric in QUALITY), "", "", METRICS["auroc"]["better"]]
            marked = zip(*(mark_best(c, b) for c, b in zip(zip(*found, strict=True), better, strict=True)), strict=True)
            heading = headings.setting(next(iter(by_strength.values())))
            rows += [Row((title, f"{value:g}"), e, heading) for value, e in zip(by_strength, marked, strict=True)]
    if not rows:
        return None
    caption = (
        f"The prior’s strength λ/2, all else in the recipe the same; on the test split, {SPREAD}; mean entropy and "
        "mutual information in nats; error-AUROC ×100 of the mutual information, or of the entropy for one adapter. "
        "Bold: best of a setting and its kind of probabilities."
    )
    columns = (*(Measure(m).column for m in QUALITY), Column("Entropy", "Mean, nats"), Column("MI", "Mean, nats"))
    columns += (Column("Error-AUROC"),)
    stub = ("Probabilities", "λ/2")
    return Table("ensembles_lambda", "How strong the prior is.", caption, stub, columns, tuple(rows), SETTING)


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


def _strength(run: Run, setting: Setting, predictive: str) -> list[Entry]:
    forms = {metric: FORMATS[metric] for metric in QUALITY}
    quality = [
        measured(run.over_seeds(setting, metric, PREDICTION, predictive), form.scale, form.decimals)
        for metric, form in forms.items()
    ]
    means = [measured(_mean(run, setting, predictive, v, ""), decimals=3) for v in ("entropy", "mutual_information")]
    score = "mutual_information" if run.seeds(setting, predictive, "mutual_information") else "entropy"
    return [*quality, *means, measured(run.over_seeds(setting, "auroc", score, predictive), 100)]
