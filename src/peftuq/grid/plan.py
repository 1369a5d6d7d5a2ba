"""What a configuration would run and need, before anything runs: cells, jobs, parameters, memory of an A100."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from peftuq.grid import cost, schema
from peftuq.grid.jobs import Jobs
from peftuq.grid.study import Setting, Study


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


def trainings_without_sharing(study: Study) -> int:
    """Adapters to train if every suite and every predictive trained its own."""
    return sum(
        len(suites) * len(study.members(cell))
        for cell, suites in study.suites_of.items()
        if study.recipes.get(cell.recipe, "recipe", "").adapter is not None
    )


def adapter_parameters(shape: cost.Shape, adapter: schema.Adapter) -> int:
    if adapter.mixture is None:
        return cost.lora_parameters(shape, adapter.targets, adapter.rank, adapter.top_layers)
    mixture = adapter.mixture
    sizes = (adapter.rank, mixture.experts, mixture.experts_at, adapter.top_layers)
    return cost.mixlora_parameters(shape, adapter.targets, *sizes)


def training_needs(study: Study, setting: Setting) -> dict[str, Any]:
    """Parameters and peak memory (bytes, one GPU) of training a setting, from shapes alone."""
    model = study.models.get(setting.model, "model", "")
    recipe = study.recipes.get(setting.recipe, "recipe", "")
    dataset = study.dataset(setting.dataset)
    shape = cost.Shape.of(model.config)
    adapter = adapter_parameters(shape, recipe.adapter)
    head = 0
    if dataset.kind == "classification":
        dense = shape.hidden * (shape.hidden + 1) if model.kind == "encoder" else 0
        bias = len(dataset.classes) if model.kind == "encoder" else 0
        head = dense + shape.hidden * len(dataset.classes) + bias
    longest = min(recipe.max_length, model.max_length)
    tokens = max(longest, min(recipe.micro_batch_tokens, recipe.optimiser.batch_size * longest))
    untied = dataset.kind == "choice" and not model.config.get("tie_word_embeddings", False)
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
    dataset, params = study.dataset(setting.dataset), study.method("laplace")["params"]
    longest = min(recipe.max_length, model.max_length)
    tokens = max(longest, min(study.config.eval_batch_tokens, params["batch_tokens"]))
    untied = dataset.kind == "choice" and not model.config.get("tie_word_embeddings", False)
    sizes = (len(dataset.classes), tokens, untied, params["rank"], params["exact_below"])
    return cost.laplace_memory(cost.Shape.of(model.config), recipe.adapter, *sizes)


def describe(jobs: Jobs) -> Iterator[str]:
    """The plan as lines of text."""
    study = jobs.study
    counts = jobs_per_rule(jobs)
    yield f"{len(study.cells)} cells of {len(study.settings)} settings, {sum(counts.values())} jobs:"
    yield from (f"  {rule:<22}{count:>7}" for rule, count in counts.items() if count)
    trained = sum(jobs.trained_by(adapter.recipe) is not None for adapter in study.adapters)
    yield f"{trained} trainings; {trainings_without_sharing(study)} if suites and ensembles did not share them"
    yield ""
    yield "peak memory of a training on one GPU, at the longest inputs a recipe allows:"
    yield f"  {'model':<14}{'dataset':<20}{'recipe':<14}{'frozen':>9}{'trained':>10}{'tokens':>8}{'GiB':>7}  of 80"
    for setting in study.settings:
        if jobs.trained_by(setting.recipe) is not None:
            need = training_needs(study, setting)
            names = f"{setting.model:<14}{setting.dataset:<20}{setting.recipe:<14}"
            sizes = f"{need['frozen'] / 1e6:>8.0f}M{need['trained'] / 1e6:>9.2f}M{need['tokens']:>8}"
            yield f"  {names}{sizes}{need['memory'] / cost.GIB:>7.1f}"
    for setting in dict.fromkeys(adapter.setting for adapter in jobs.fits):
        needed = laplace_needs(jobs, setting) / cost.GIB
        yield f"  fit_laplace of {setting.model} {setting.dataset} {setting.recipe}: {needed:.1f} GiB"
