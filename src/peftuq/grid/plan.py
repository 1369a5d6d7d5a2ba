"""What a configuration would run and need, before anything runs: cells, jobs, parameters, memory of an A100."""

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from peftuq.grid import budget, cost, reported
from peftuq.grid.disk import Disk
from peftuq.grid.jobs import Jobs
from peftuq.grid.study import Setting, Study
from peftuq.grid.workload import Workload, trainings_without_sharing, utilisation


def jobs_per_rule(jobs: Jobs) -> dict[str, int]:
    """How many jobs each rule of the workflow has, were nothing done yet."""
    study = jobs.study
    trained = Counter(jobs.trained_by(adapter.recipe) for adapter in study.adapters)
    made = Counter(jobs.made_by(cell.predictive) for cell in study.cells)
    scored = Counter(
        "fit_adue" if score == "adue" else "fit_baselines" for scores in study.cells.values() for score in scores
    )
    return {
        "fetch_model": len({setting.model for setting in study.settings}),
        "fetch_data": len(jobs.sources),
        "prepare_data": len(study.dataset_names),
        **{rule: count for rule, count in sorted(trained.items(), key=str) if rule is not None},
        "extract": len(study.adapters),
        "fit_laplace": len(jobs.fits),
        **{rule: made[rule] for rule in ("predict", "sample")},
        **scored,
        "trace": len(jobs.traces),
        "gold_standard": len(study.gold),
        "evaluate": len(jobs.metrics()),
        "compare": len(study.settings),
        "aggregate": 1,
        "render_report": 1,
    }


def _longest(study: Study, setting: Setting) -> int:
    """Tokens of the longest input that a recipe allows its model."""
    recipe = study.recipes.get(setting.recipe, "recipe", "")
    return min(recipe.max_length, study.models.get(setting.model, "model", "").max_length)


def _untied(study: Study, setting: Setting) -> bool:
    """Whether an LM head is read that is not the embedding's own matrix."""
    tied = study.models.get(setting.model, "model", "").config.get("tie_word_embeddings", False)
    return study.dataset(setting.dataset).kind == "choice" and not tied


def training_needs(study: Study, setting: Setting) -> dict[str, Any]:
    """Parameters and peak memory (bytes, one GPU) of training a setting, from shapes alone."""
    model = study.models.get(setting.model, "model", "")
    recipe = study.recipes.get(setting.recipe, "recipe", "")
    dataset = study.dataset(setting.dataset)
    shape = cost.Shape.of(model.config)
    adapter = cost.adapter_parameters(shape, recipe.adapter)
    trained_head = dataset.kind == "classification"
    head = cost.head_parameters(shape, len(dataset.classes), model.kind == "encoder") if trained_head else 0
    longest, untied = _longest(study, setting), _untied(study, setting)
    tokens = max(longest, min(recipe.micro_batch_tokens, recipe.optimiser.batch_size * longest))
    return {
        "frozen": shape.weights,
        "trained": adapter + head,
        "tokens": tokens,
        "memory": cost.training_memory(shape, adapter + head, tokens, recipe.gradient_checkpointing, untied),
    }


def laplace_needs(jobs: Jobs, setting: Setting) -> float:
    """Peak memory (bytes, one GPU) of fitting the posterior of a setting's adapters, from shapes alone."""
    study = jobs.study
    model = study.models.get(setting.model, "model", "")
    recipe = study.recipes.get(setting.recipe, "recipe", "")
    dataset, params = study.dataset(setting.dataset), study.methods.predictive("laplace").params
    tokens = max(_longest(study, setting), min(study.config.eval_batch_tokens, params["batch_tokens"]))
    sizes = (len(dataset.classes), tokens, _untied(study, setting), params["rank"], params["exact_below"])
    return cost.laplace_memory(cost.Shape.of(model.config), recipe.adapter, *sizes)


def extraction_needs(study: Study, setting: Setting) -> float:
    """Peak memory (bytes, one GPU) of asking a setting's adapters, from shapes alone."""
    shape = cost.Shape.of(study.models.get(setting.model, "model", "").config)
    tokens = max(_longest(study, setting), study.config.eval_batch_tokens)
    return cost.extraction_memory(shape, tokens, _untied(study, setting))


def peak_memory(jobs: Jobs) -> dict[tuple[str, str], tuple[float, Setting]]:
    """(rule, model) → bytes of its most demanding job on one GPU, and that job's setting."""
    study, work = jobs.study, Workload(jobs)
    needs: list[tuple[str, Setting, float]] = [
        (rule, setting, training_needs(study, setting)["memory"])
        for setting in study.settings
        if (rule := jobs.trained_by(setting.recipe)) is not None
    ]
    needs += [("extract", setting, extraction_needs(study, setting)) for setting in study.settings]
    sampled = dict.fromkeys(cell.setting for cell in study.cells if jobs.made_by(cell.predictive) == "sample")
    needs += [("sample", setting, extraction_needs(study, setting)) for setting in sampled]
    fitted = dict.fromkeys(adapter.setting for adapter in jobs.fits)
    needs += [("fit_laplace", setting, laplace_needs(jobs, setting)) for setting in fitted]
    scored = dict.fromkeys(cell.setting for cell, scores in study.cells.items() if "adue" in scores)
    needs += [("fit_adue", setting, work.adue_memory(setting)) for setting in scored]
    peaks: dict[tuple[str, str], tuple[float, Setting]] = {}
    for rule, setting, memory in needs:
        known = peaks.get((rule, setting.model))
        if known is None or memory > known[0]:
            peaks[rule, setting.model] = (memory, setting)
    return peaks


# -- as text --------------------------------------------------------------------------------------------


def describe(jobs: Jobs) -> Iterator[str]:
    """The plan as lines of text."""
    work = Workload(jobs)
    yield from _jobs(jobs)
    yield ""
    yield from _hours(work)
    yield from reported.compare(work)
    yield ""
    yield "peak memory on one GPU, at the longest inputs a recipe allows (GiB of an A100's 80):"
    for (rule, model), (memory, setting) in peak_memory(jobs).items():
        yield f"  {rule:<22}{model:<14}{memory / cost.GIB:>7.1f}  {setting.dataset}, {setting.recipe}"
    yield ""
    yield from _disk(work)


def _jobs(jobs: Jobs) -> Iterator[str]:
    study, counts = jobs.study, jobs_per_rule(jobs)
    yield f"{len(study.cells)} cells of {len(study.settings)} settings, {sum(counts.values())} jobs:"
    yield from (f"  {rule:<22}{count:>7}" for rule, count in counts.items() if count)
    trained = sum(jobs.trained_by(adapter.recipe) is not None for adapter in study.adapters)
    alone = len(list(trainings_without_sharing(study)))
    yield f"{trained} trainings; {alone} if suites and ensembles did not share them"


def _hours(work: Workload) -> Iterator[str]:
    hours = work.hours()
    yield f"{sum(hours.values()):.1f} GPU-hours of an A100 ({utilisation()}):"
    yield from (f"  {rule:<22}{spent:>7.1f}" for rule, spent in hours.items())
    alone = work.hours_of_trainings_without_sharing()
    shared = sum(spent for rule, spent in hours.items() if rule.startswith("train_"))
    yield f"{shared:.1f} of them trainings; {alone:.1f} if suites and ensembles did not share them"


def _disk(work: Workload) -> Iterator[str]:
    sizes = Disk(work).all()
    yield f"{sum(sizes.values()) / 1e9:.1f} GB of disk:"
    yield from (f"  {kind:<22}{size / 1e9:>7.2f}" for kind, size in sizes.items() if size)


def describe_budget(steps: list[budget.Step], hours: float, out: Path | None) -> Iterator[str]:
    """What was left out to fit a budget, and the configuration that leaves it out; written to `out`, if given."""
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
