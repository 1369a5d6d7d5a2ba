"""Are the probabilities honest: calibration before and after temperature, of the error scores, and conformal sets."""

from collections.abc import Sequence
from dataclasses import replace

from peftuq.cells import Setting
from peftuq.report import layouts
from peftuq.report.layouts import CELL, Headings, Measure, metric_rows, prediction
from peftuq.report.methods import ADUE, SR, SR_TEMPERATURE
from peftuq.report.run import OverSeeds, Run
from peftuq.report.tables import NOT_ASKED, Column, Entry, Row, Table, measured

CALIBRATION = ("ece_15", "ece_10", "adaptive_ece", "classwise_ece", "nll", "brier")
ERRORS = ("error_ece_15", "error_ece_10", "error_nll", "error_brier")
AS_TRAINED = {"point": "as trained"}


def calibration(run: Run, settings: Sequence[Setting]) -> Table:
    headings, rows = Headings(run, settings), []
    choice = any(run.task(setting) == "choice" for setting in settings)
    for setting in settings:
        lines = _predictives(run, setting)
        found = metric_rows(run, setting, headings.setting(setting), lines, [Measure(m) for m in CALIBRATION])
        for row, (_, predictive, _) in zip(found, lines.values(), strict=True):
            extra = (
                measured(_temperature(run, setting, predictive), decimals=2),
                _answer_mass(run, setting, predictive),
            )
            rows.append(replace(row, entries=(*row.entries, *(extra if choice else extra[:1]))))
    caption = (
        "Calibration errors (15 and 10 bins of equal width; 15 of equal mass; classwise), negative log-likelihood in "
        "nats and Brier score summed over classes, before and after temperature scaling; T: the temperature fitted "
        f"on the validation split; {layouts.SPREAD}. All: lower is better. Bold: best of a cell."
    )
    if choice:
        caption += (
            " Mass: the share of the whole vocabulary’s probability that falls on the answer letters, in per cent."
        )
    columns = (*(Measure(m).column for m in CALIBRATION), Column("T"), *([Column("Mass, %")] if choice else []))
    return Table(
        "adue_calibration", "Calibration of the predictions.", caption, ("Probabilities",), columns, tuple(rows), CELL
    )


def _predictives(run: Run, setting: Setting) -> dict[tuple[str, ...], tuple[str, str, str]]:
    return {(AS_TRAINED.get(name, name),): prediction(name) for name in run.predictives(setting)}


def _temperature(run: Run, setting: Setting, predictive: str) -> OverSeeds:
    """The fitted temperature over seeds; not asked for where the predictive fits none."""
    if predictive != "temperature":
        return OverSeeds()
    seeds = run.seeds(setting, predictive)
    found = {seed: run.sample_facts(setting, seed, predictive).get("temperature") for seed in seeds}
    return OverSeeds(
        {seed: float(value) for seed, value in found.items() if value is not None},
        [seed for seed, value in found.items() if value is None],
    )


def _answer_mass(run: Run, setting: Setting, predictive: str) -> Entry:
    """Of choice tasks, as the adapter gives it: a temperature works on the answers alone."""
    if run.task(setting) != "choice" or predictive != "point":
        return Entry(NOT_ASKED)
    return measured(run.over_seeds(setting, "answer_mass"), 100)


def error_calibration(run: Run, settings: Sequence[Setting]) -> Table:
    caption = (
        "The score U read as the probability that the prediction is wrong: calibration error of the confidence 1 − U "
        f"(15 and 10 bins of equal width), log-loss in nats and Brier score of U against the error; {layouts.SPREAD}. "
        "All: lower is better. Bold: best of a cell."
    )
    return layouts.by_score(
        run,
        settings,
        [SR, SR_TEMPERATURE, ADUE],
        ("adue_error_calibration", "Is the score a calibrated probability of error?", caption),
        ERRORS,
    )


def conformal(run: Run, settings: Sequence[Setting]) -> Table:
    measures = [Measure(f"{kind}_{what}", kind.upper()) for kind in ("lac", "aps") for what in ("coverage", "set_size")]
    headings, rows = Headings(run, settings), []
    for setting in settings:
        lines = {
            (on or setting.dataset, label): (variant, predictive, on)
            for on in ("", *run.shifts(setting))
            for (label,), (variant, predictive, _) in _predictives(run, setting).items()
        }
        rows += metric_rows(run, setting, headings.setting(setting), lines, measures)
    rows = [Row(row.labels, tuple(_plain(e) for e in row.entries), row.heading) for row in rows]
    caption = (
        "Share of labels inside the prediction sets (nominal: 90 %) and mean number of classes in a set, calibrated "
        f"on the validation split; LAC: least ambiguous classifier, APS: adaptive prediction sets; {layouts.SPREAD}. "
        "On a shifted set nothing guarantees the coverage."
    )
    columns = tuple(measure.column for measure in measures)
    stub = ("Evaluated on", "Probabilities")
    return Table("adue_conformal", "Conformal prediction sets at 90 %.", caption, stub, columns, tuple(rows), CELL)


def _plain(entry: Entry) -> Entry:
    """Not bold: a set size alone is no merit where the coverage differs."""
    return replace(entry, best=False)
