"""The ensemble as a posterior, measured where the exact posterior can be had: the ensembles paper's open question."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from peftuq.reference_posterior.agreement import total_variation
from peftuq.reference_posterior.file import EXACT, PosteriorFile
from peftuq.report.figures import reference_posterior as figures
from peftuq.report.parts import Picture
from peftuq.report.run import Run
from peftuq.report.tables import MISSING, UNDEFINED, Column, Entry, Row, Table, in_blocks

TITLES = {
    EXACT: "Exact (HMC)",
    "map": "One MAP member",
    "ensemble_5": "MAP ensemble, M = 5",
    "ensemble_20": "MAP ensemble, M = 20",
    "anchored_5": "Anchored ensemble, M = 5",
    "anchored_20": "Anchored ensemble, M = 20",
    "laplace": "Laplace, linearised",
    "mc_dropout": "MC dropout",
    "swag": "SWAG",
    "ivon": "IVON",
    "vbll": "VBLL",
    "sngp": "SNGP",
    "hmc_5": "5 exact draws",
    "hmc_20": "20 exact draws",
}
DRAWN = ("ensemble_5", "ensemble_20", "anchored_20", "laplace", "mc_dropout", "hmc_20")
AFFORDABLE = (
    "map", "ensemble_5", "ensemble_20", "anchored_5", "anchored_20", "laplace", "mc_dropout", "swag", "ivon", "vbll",
    "sngp",
)  # fmt: skip
MIXED_RHAT, MIXED_ESS = 1.01, 400  # Vehtari et al. 2021, section 4


class Number(NamedTuple):
    """A column of the tables: the key among a file's agreements, its heading, factor and decimals."""

    key: str
    label: str
    scale: float = 1.0
    decimals: int = 3


AGREEMENT = (
    Number("tv", "TV"),
    Number("mi_ratio", "MI / exact", decimals=2),
    Number("spearman", "Spearman", decimals=2),
)
ALL = (
    AGREEMENT[0],
    Number("tv_95", "TV, 95 %"),
    AGREEMENT[1],
    Number("pearson", "Pearson", decimals=2),
    AGREEMENT[2],
    Number("accuracy", "Accuracy, %", 100, 1),
    Number("nll", "NLL"),
)


def items(run: Run) -> list[Table | Picture | str]:
    """Paragraphs, tables and figures of every comparison that the run's suites ask for; none if none does."""
    asked = [suite["gold"] for suite in run.suites.values() if suite.get("gold")]
    adapters = list(dict.fromkeys(tuple(one[key] for key in ("model", "dataset", "recipe", "seed")) for one in asked))
    found: list[Table | Picture | str] = []
    for index, (model, dataset, recipe, seed) in enumerate(adapters, start=1):
        on = f"{run.models[model]['title']} on {dataset} ({recipe}, seed {seed})"
        path = run.paths.posterior_comparison(model, dataset, recipe, seed)
        if run.file(path) is not None:
            found += _items(PosteriorFile(path), on, dataset, f"_{index}" if len(adapters) > 1 else "")
        else:
            found.append(
                f"Comparison with the exact posterior, features of {on}: {MISSING}, {Path(path).name} is not there."
            )
    return found


def _items(file: PosteriorFile, on: str, dataset: str, suffix: str) -> Iterator[Table | Picture | str]:
    names = {part: dataset if part == "test" else part for part in file.parts}
    yield _description(file, on)
    yield _sampler(file.facts["sampler"], file.facts["spec"])
    yield _verdict(file.facts["agreement"]["test"])
    yield _on_test(file, f"reference_posterior{suffix}", names["test"])
    if len(file.parts) > 1:
        yield _on_shifts(file, f"reference_posterior_shifts{suffix}")
    yield _scatter(file, f"reference_posterior_mi{suffix}")
    yield _distributions(file, f"reference_posterior_tv{suffix}", names)


# -- words --------------------------------------------------------------------------------------------------


def _description(file: PosteriorFile, on: str) -> str:
    spec, facts = file.facts["spec"], file.facts
    return (
        f"How good is an ensemble as a posterior (the paper’s open question)? Where the model is small, the exact one "
        f"can be had. Here: {spec['inputs']} principal components of the features of {on}, a network of two layers "
        f"({spec['hidden']} tanh units) fitted to its training split and then frozen, and LoRA of rank {spec['rank']} "
        f"on both layers, {facts['parameters']} parameters under the paper’s prior (λ/2 = {spec['half_lambda']:g}, the "
        f"posterior’s own scale), given {facts['examples']} examples of the validation split, which the adapter has "
        "not seen. MAP members are maxima of that posterior from different LoRA initialisations; anchored members’ "
        "priors are centred on their own draws from it; Laplace is the Gauss-Newton Gaussian at a member, linearised; "
        f"MC dropout drops {100 * spec['dropout']:g} % of what the adapter reads, in training and in "
        "prediction. SWAG is a Gaussian of the later iterates of a training on batches, IVON a diagonal one that its "
        "optimiser found. VBLL and SNGP put a Bayesian last layer of their own, with its own prior, on the frozen "
        "units. "
        "Exact draws in an ensemble’s number show what that number alone costs."
    )


def _sampler(sampler: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    predicted, theta = sampler["predictives"], sampler["parameters"]
    mixed = predicted["rhat"] <= MIXED_RHAT and predicted["ess"] >= MIXED_ESS and not sampler["divergences"]
    verdict = (
        "The chains mixed" if mixed else "The chains did NOT mix by these thresholds: read what follows with caution"
    )
    return (
        f"The exact posterior is drawn by the No-U-Turn sampler: {spec['chains']} chains from draws of the prior, "
        f"{spec['warmup']} warm-up and {spec['draws']} kept draws each, {sampler['leapfrogs']:.0f} leapfrog steps a "
        f"draw, {sampler['divergences']} divergences. Rotating the factors within the rank changes no prediction and "
        "no prior density, so mixing is judged where it matters, on every predictive probability: R̂ at most "
        f"{predicted['rhat']:.3f} (wanted: {MIXED_RHAT}), effective sample size at least {predicted['ess']:.0f} "
        f"(wanted: {MIXED_ESS}), mean Monte Carlo error of a probability {predicted['error']:.3f}. {verdict}. Of the "
        f"parameters themselves: {theta['rhat']:.3f} and {theta['ess']:.0f}."
    )


def _verdict(agreement: Mapping[str, Sequence[Mapping[str, float | None]]]) -> str:
    """The reading of the test split's numbers, from the numbers."""
    tv, ratio = ({m: _mean(agreement[m], key) for m in AFFORDABLE} for key in ("tv", "mi_ratio"))
    best = min(tv, key=tv.get)
    # A single member has none, and five have less for their number alone.
    judged = [method for method in AFFORDABLE if method not in ("map", "ensemble_5", "anchored_5")]
    sides = {
        "less": [TITLES[m] for m in judged if ratio[m] < 0.9],
        "more": [TITLES[m] for m in judged if ratio[m] > 1.1],
    }
    verdicts = [
        f"{'; '.join(methods)}: at least a tenth {side} mutual information than the exact posterior"
        for side, methods in sides.items()
        if methods
    ]
    return (
        f"On the test split the closest of the affordable methods is {TITLES[best]} (mean total variation "
        f"{tv[best]:.3f}; {TITLES['ensemble_5']} {tv['ensemble_5']:.3f}, {TITLES['ensemble_20']} "
        f"{tv['ensemble_20']:.3f}; 20 exact draws {_mean(agreement['hmc_20'], 'tv'):.3f}). "
        + (". ".join(verdicts) + "." if verdicts else "All of these have the exact mutual information within a tenth.")
    )


def _mean(repetitions: Sequence[Mapping[str, float | None]], key: str) -> float:
    return statistics.fmean(repetition[key] for repetition in repetitions)


# -- tables -------------------------------------------------------------------------------------------------


def _on_test(file: PosteriorFile, name: str, dataset: str) -> Table:
    caption = (
        "TV: mean total variation between the method’s predictive distribution and the exact one, and its 95 % "
        "quantile over the examples. MI / exact: mean mutual information over that of the exact posterior; "
        "correlations of the two over the examples. ± is the standard deviation (ddof = 1) over repetitions: disjoint "
        "ensembles, or fits from different initialisations."
    )
    agreement = file.facts["agreement"]["test"]
    rows = [Row((TITLES[method],), tuple(_entries(method, agreement[method], ALL))) for method in file.methods]
    columns = tuple(Column(number.label) for number in ALL)
    return Table(name, f"Approximate posteriors beside the exact one, on {dataset}.", caption, ("Method",), columns,
                 tuple(rows))  # fmt: skip


def _on_shifts(file: PosteriorFile, name: str) -> Table:
    shifts = [part for part in file.parts if part != "test"]
    caption = "As the table before, on the shift sets: the posterior is the same."
    rows = []
    for method in file.methods:
        if method != EXACT:
            entries = (_entries(method, file.facts["agreement"][part][method], AGREEMENT) for part in shifts)
            rows.append(Row((TITLES[method],), tuple(entry for part in entries for entry in part)))
    columns = in_blocks([[Column(number.label, part) for number in AGREEMENT] for part in shifts])
    return Table(name, "Approximate posteriors under shift.", caption, ("Method",), columns, tuple(rows))


def _entries(method: str, repetitions: Sequence[Mapping[str, float | None]], numbers: Sequence[Number]):
    compared = {number.key for number in ALL} - {"accuracy", "nll"}
    for number in numbers:
        values = [repetition[number.key] for repetition in repetitions]
        if method == EXACT and number.key in compared:
            yield Entry()
        elif None in values:
            yield Entry(UNDEFINED, note="a single member has no mutual information")
        else:
            scaled = [number.scale * value for value in values]
            std = statistics.stdev(scaled) if len(scaled) > 1 else None
            yield Entry(value=statistics.fmean(scaled), std=std, decimals=number.decimals)


# -- figures ------------------------------------------------------------------------------------------------


def _scatter(file: PosteriorFile, name: str) -> Picture:
    shifts = [part for part in file.parts if part != "test"]
    groups = {"test split": ["test"], "shift sets": shifts} if shifts else {"test split": ["test"]}
    panels = [
        figures.Scatter(
            TITLES[method],
            {
                title: tuple(
                    np.concatenate([file.predictions(part, m).mi[0] for part in parts]) for m in (EXACT, method)
                )
                for title, parts in groups.items()
            },
        )
        for method in DRAWN
    ]
    caption = (
        "Each point is an example; on the line a method is as uncertain as the exact posterior, below it too certain. "
        "The first repetition of each method. The last panel is what an ensemble of 20 would show if its members were "
        "draws from the exact posterior."
    )
    classes = file.predictions("test", EXACT).probs.shape[-1]
    return Picture(name, "Mutual information beside the exact.", caption, figures.scatter(panels, math.log(classes)))


def _distributions(file: PosteriorFile, name: str, names: Mapping[str, str]) -> Picture:
    parts = {
        names[part]: {
            TITLES[m]: total_variation(file.predictions(part, m).probs, file.predictions(part, EXACT).probs).ravel()
            for m in file.methods
            if m != EXACT
        }
        for part in file.parts
    }
    caption = (
        "Over the examples of each evaluation set and a method’s repetitions: quartiles and median, whiskers from 5 % "
        "to 95 %, the mean as a diamond. 0: the prediction is the exact posterior’s."
    )
    return Picture(name, "Total variation from the exact predictions.", caption, figures.distributions(parts))
