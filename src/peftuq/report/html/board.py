"""Values that a leaderboard ranks by: every metric over the seeds, and the cost of each predictive."""

from collections.abc import Iterator
from typing import Any

from peftuq.cells import PREDICTION, Setting
from peftuq.metrics.evaluate import METRICS
from peftuq.report.costs.cost import cost
from peftuq.report.methods import FORMATS, Format, title
from peftuq.report.run import Run

COLUMNS = ("setting", "on", "method", "metric", "mean", "std", "seeds")


def metrics() -> dict[str, dict[str, Any]]:
    """Every metric by name: what it is measured of, its direction, its meaning, and how it is printed."""
    kept = ("of", "better", "meaning")
    printed = {name: FORMATS.get(name, Format(name))._asdict() for name in METRICS}
    return {name: {**{key: metric[key] for key in kept}, **printed[name]} for name, metric in METRICS.items()}


def name(predictive: str, variant: str) -> str:
    """The key of a method: a score's variant with its predictive, or the predictive on its own."""
    return predictive if variant == PREDICTION else f"{predictive}/{variant}"


def values(run: Run) -> dict[str, list[Any]]:
    """Equally long COLUMNS: `setting` is its place among `run.all_settings`, `on` a dataset, numbers of six digits.

    A metric without a value in any seed has no row.
    """
    rows = [row for place, setting in enumerate(run.all_settings) for row in _of_setting(run, place, setting)]
    return {column: [row[index] for row in rows] for index, column in enumerate(COLUMNS)}


def _of_setting(run: Run, place: int, setting: Setting) -> Iterator[tuple[Any, ...]]:
    methods = [(predictive, PREDICTION) for predictive in run.predictives(setting)] + run.scored(setting)
    for on in ("", *run.shifts(setting)):
        for predictive, variant in methods:
            for metric, declared in METRICS.items():
                if (declared["of"] == "prediction") != (variant == PREDICTION):
                    continue
                found = run.over_seeds(setting, metric, variant, predictive, on)
                if found.mean is not None:
                    numbers = (_six(found.mean), _six(found.std), len(found.values))
                    yield (place, on or setting.dataset, name(predictive, variant), metric, *numbers)


def _six(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def costs(run: Run) -> list[dict[str, list[float | None]]]:
    """Seconds of training and milliseconds an example, by setting and predictive; None where not measured."""
    measured = [{p: cost(run, setting, p) for p in run.predictives(setting)} for setting in run.all_settings]
    return [{p: [_six(found.training), _six(found.model)] for p, found in here.items()} for here in measured]


def titles(run: Run) -> dict[str, str]:
    """Printed names of the run's methods."""
    found: dict[str, str] = {}
    for setting in run.all_settings:
        found |= {predictive: predictive for predictive in run.predictives(setting)}
        found |= {f"{p}/{variant}": title(f"{p}/{variant}") for p, variant in run.scored(setting)}
    return found
