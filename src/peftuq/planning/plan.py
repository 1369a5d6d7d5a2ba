"""Plan of a configuration, before anything runs: cells, jobs, parameters, memory of an A100."""

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from peftuq.config.study import Setting
from peftuq.jobs.jobs import Jobs
from peftuq.planning import budget, reported
from peftuq.planning.cards import GIB
from peftuq.planning.disk import Disk
from peftuq.planning.rehearsals import Rehearsals
from peftuq.planning.workload import Workload, trainings_without_sharing, utilisation


def jobs_per_rule(jobs: Jobs) -> dict[str, int]:
    """How many jobs each rule of the workflow has, were nothing done yet."""
    study = jobs.study
    trained = Counter(jobs.train.rule_of(adapter.recipe) for adapter in study.adapters)
    made = Counter(jobs.predictives.rule_of(cell.predictive) for cell in study.cells)
    scored = Counter(jobs.fit_scores.rule_of(score) for scores in study.cells.values() for score in scores)
    return {
        "fetch_model": len({setting.model for setting in study.settings}),
        "fetch_data": len(jobs.fetch_data.sources),
        "prepare_data": len(study.dataset_names),
        **{rule: count for rule, count in sorted(trained.items(), key=str) if rule is not None},
        "extract": len(study.adapters),
        "fit_laplace": len(jobs.fit_laplace.adapters),
        **{rule: made[rule] for rule in ("predict_from_records", "predict_with_model")},
        **scored,
        "trace": len(jobs.trace.settings),
        "compare_posteriors": len(study.gold),
        "evaluate": len(jobs.aggregate.metrics),
        "compare": len(study.settings),
        "aggregate": 1,
        "render_report": 1,
        "render_html": 1,
    }


def peak_memory(work: Workload) -> dict[tuple[str, str], tuple[float, Setting]]:
    """(rule, model) → bytes of its most demanding job on one GPU, and that job's setting."""
    peaks: dict[tuple[str, str], tuple[float, Setting]] = {}
    for kind, request in work.requests.items():
        memory = sum(work.results[kind]["peak"].values())
        known = peaks.get((request.rule, request.model))
        if known is None or memory > known[0]:
            peaks[request.rule, request.model] = (memory, request.setting)
    return peaks


def facts(jobs: Jobs, rehearsals: Rehearsals) -> dict[str, Any]:
    """The plan as data: jobs by rule, GPU-hours of an A100, bytes of memory and of disk."""
    work = Workload(jobs, rehearsals)
    peaks = [
        {"rule": rule, "model": model, "bytes": memory, "dataset": setting.dataset, "recipe": setting.recipe}
        for (rule, model), (memory, setting) in peak_memory(work).items()
    ]
    return {
        "cells": len(jobs.study.cells),
        "settings": len(jobs.study.settings),
        "jobs": {rule: count for rule, count in jobs_per_rule(jobs).items() if count},
        "gpu_hours": work.hours(),
        "peak_memory": peaks,
        "usable_memory": rehearsals.card.usable,
        "disk": Disk(work).all(),
    }


# -- as text --------------------------------------------------------------------------------------------


def describe(jobs: Jobs, rehearsals: Rehearsals) -> Iterator[str]:
    """The plan as lines of text."""
    work = Workload(jobs, rehearsals)
    yield from _jobs(jobs)
    yield ""
    yield from _hours(work)
    yield from reported.compare(work)
    yield ""
    card = rehearsals.card
    yield (f"peak memory on one GPU, rehearsed at the longest inputs a recipe allows (GiB; {card.usable / GIB:.0f} of "
           f"{card.name}'s {card.memory / GIB:.4g} may be used):")  # fmt: skip
    for (rule, model), (memory, setting) in peak_memory(work).items():
        short = "" if memory <= card.usable else ": does not fit"
        yield f"  {rule:<22}{model:<14}{memory / GIB:>7.1f}  {setting.dataset}, {setting.recipe}{short}"
    yield ""
    yield from _disk(work)


def _jobs(jobs: Jobs) -> Iterator[str]:
    study, counts = jobs.study, jobs_per_rule(jobs)
    yield f"{len(study.cells)} cells of {len(study.settings)} settings, {sum(counts.values())} jobs:"
    yield from (f"  {rule:<22}{count:>7}" for rule, count in counts.items() if count)
    trained = sum(jobs.train.rule_of(adapter.recipe) is not None for adapter in study.adapters)
    alone = len(list(trainings_without_sharing(study)))
    yield f"{trained} trainings; {alone} if suites and ensembles did not share them"


def _hours(work: Workload) -> Iterator[str]:
    hours = work.hours()
    yield f"{sum(hours.values()):.1f} GPU-hours of an A100 ({utilisation()}):"
    yield from (f"  {rule:<22}{spent:>7.1f}" for rule, spent in hours.items())
    alone = work.hours_of_trainings_without_sharing()
    shared = sum(spent for rule, spent in hours.items() if rule.startswith("train_"))
    yield f"{shared:.1f} of them trainings; {alone:.1f} if suites and ensembles did not share them"
    several = Counter((job.of.recipe, job.gpus) for job in work.gpu_jobs() if job.gpus > 1)
    for (recipe, gpus), trainings in several.items():
        yield f"{trainings} trainings by {recipe} take {gpus} GPUs each, for 1/{gpus} of the time and as many GPU-hours"


def _disk(work: Workload) -> Iterator[str]:
    sizes = Disk(work).all()
    yield f"{sum(sizes.values()) / 1e9:.1f} GB of disk:"
    yield from (f"  {kind:<22}{size / 1e9:>7.2f}" for kind, size in sizes.items() if size)


def describe_budget(steps: list[budget.Step], hours: float, out: Path | None) -> Iterator[str]:
    """Parts left out to fit a budget, and the configuration that leaves them out; written to `out`, if given."""
    yield f"budget: {hours:g} GPU-hours; needed: {steps[0].hours:.1f}"
    for before, step in itertools.pairwise(steps):
        yield f"  without {step.what:<32}{step.hours - before.hours:>8.1f} → {step.hours:.1f}"
    if len(steps) == 1:
        yield "nothing has to be left out"
        return
    if out is None:
        yield "in the configuration (nothing was written; --budget-out FILE writes it whole):"
        yield yaml.safe_dump({"trim": steps[-1].config["trim"]}, sort_keys=False).rstrip()
    else:
        out.write_text(yaml.safe_dump(steps[-1].config, sort_keys=False))
        yield f"{out}: the configuration that leaves it out"
