"""Calibration of the probabilities before and after temperature, of the error scores, and conformal sets."""

from collections.abc import Sequence

from peftuq.cells import Setting
from peftuq.report.headings import SPREAD
from peftuq.report.methods import ADUE, SR, SR_TEMPERATURE
from peftuq.report.metric_table import Derived, Line, Lines, Measure, metric_table, of_probabilities, prediction
from peftuq.report.run import OverSeeds, Run
from peftuq.report.tables import NOT_REQUESTED, Column, Entry, Table, measured

AS_TRAINED = {"point": "as trained"}


def _predictives(run: Run, setting: Setting) -> Lines:
    return {(AS_TRAINED.get(name, name),): prediction(name) for name in run.predictives(setting)}


def _everywhere(run: Run, setting: Setting) -> Lines:
    """Every predictive, on the setting's own test split and on its shift sets."""
    return {
        (on or setting.dataset, label): prediction(source.predictive, on)
        for on in ("", *run.shifts(setting))
        for (label,), source in _predictives(run, setting).items()
    }


def _temperatures(run: Run, line: Line) -> Entry:
    return measured(_temperature(run, line.setting, line.source.predictive), decimals=2)


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


def _answer_mass(run: Run, line: Line) -> Entry:
    """The mass of choice tasks, as the adapter gives it: a temperature works on the answers alone."""
    if run.task(line.setting) != "choice" or line.source.predictive != "point":
        return Entry(NOT_REQUESTED)
    return measured(run.over_seeds(line.setting, "answer_mass"), 100)


CAPTION = (
    "Calibration errors (15 and 10 bins of equal width; 15 of equal mass; classwise), negative log-likelihood in "
    "nats and Brier score summed over classes, before and after temperature scaling; T: the temperature fitted "
    f"on the validation split; {SPREAD}. All: lower is better. Bold: best of a setting."
)
MASS = " Mass: the share of the whole vocabulary’s probability that falls on the answer letters, in per cent."


def calibration(run: Run, settings: Sequence[Setting]) -> Table | None:
    choice = any(run.task(setting) == "choice" for setting in settings)
    errors = map(Measure, ("ece_15", "ece_10", "adaptive_ece", "classwise_ece", "nll", "brier"))
    columns = [*errors, Derived(Column("T"), _temperatures)]
    mass = [Derived(Column("Mass, %"), _answer_mass)] if choice else []
    caption = CAPTION + (MASS if choice else "")
    title, stub = "Calibration of the predictions.", ("Probabilities",)
    return metric_table("adue_calibration", title, caption, stub, _predictives, [*columns, *mass])(run, settings)


ERROR_CALIBRATION = metric_table(
    "adue_error_calibration",
    "Is the score a calibrated probability of error?",
    "The score U read as the probability that the prediction is wrong: calibration error of the confidence 1 − U "
    f"(15 and 10 bins of equal width), log-loss in nats and Brier score of U against the error; {SPREAD}. "
    "All: lower is better. Bold: best of a setting.",
    stub=("Score",),
    lines=of_probabilities([SR, SR_TEMPERATURE, ADUE]),
    columns=tuple(map(Measure, ("error_ece_15", "error_ece_10", "error_nll", "error_brier"))),
)

CONFORMAL = metric_table(
    "adue_conformal",
    "Conformal prediction sets at 90 %.",
    "Share of labels inside the prediction sets (nominal: 90 %) and mean number of classes in a set, calibrated "
    f"on the validation split; LAC: least ambiguous classifier, APS: adaptive prediction sets, exclusive: the "
    f"score of a class is the mass of the more probable ones, its own left out; {SPREAD}. "
    "On a shifted set nothing guarantees the coverage.",
    stub=("Evaluated on", "Probabilities"),
    lines=_everywhere,
    columns=tuple(
        Measure(f"{kind}_{metric}", kind.upper(), better="")  # a small set alone is no merit where coverages differ
        for kind in ("lac", "aps")
        for metric in ("coverage", "set_size")
    ),
)
