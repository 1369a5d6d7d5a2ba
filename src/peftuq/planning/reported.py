"""Costs that the papers state, beside the plan's for the same trainings."""

from collections.abc import Iterator

from peftuq.config.study import Setting
from peftuq.planning.workload import GpuJob, Workload

ADUE_INSTANCES, ADUE_HOURS = 100, 340  # AdUE, appendix A: trained and evaluated, on A100s of 80 GB
UQ4CT_MINUTES = (25, 50)  # UQ4CT, appendix: training on an A100, "depending on the task"


def compare(work: Workload) -> Iterator[str]:
    """One line for each paper of whose own grid the run has a part."""
    yield from _adue([job for job in work.gpu_jobs() if job.of.setting in own_settings(work, "adue")])
    own = own_settings(work, "uq4ct")
    yield from _uq4ct(job for job in work.gpu_jobs() if job.of.setting in own and _is_uq4ct(work, job))


def own_settings(work: Workload, paper: str) -> set[Setting]:
    """Settings of suites that are this paper's alone, on the paper's own models."""
    study = work.study
    suites = {name for name, suite in study.suites.items() if suite.sections == [paper]}
    models = {s.model for s in study.settings if paper in study.models.get(s.model, "model", "").paper_names}
    settings = {cell.setting for cell, named in study.suites_of.items() if suites.intersection(named)}
    return {setting for setting in settings if setting.model in models}


def _adue(jobs: list[GpuJob]) -> Iterator[str]:
    trained = sum(job.rule == "train_lora" for job in jobs)
    if trained:
        ours, theirs = sum(job.gpu_hours for job in jobs), ADUE_HOURS * trained / ADUE_INSTANCES
        yield f"AdUE's models and datasets: {trained} trainings, {ours:.1f} GPU-hours with everything after them"
        yield f"  the paper: {ADUE_HOURS} for {ADUE_INSTANCES}, so {theirs:.0f}: {theirs / ours:.1f} times the estimate"


def _is_uq4ct(work: Workload, job: GpuJob) -> bool:
    """Whether a job is a training with the calibration loss that is no value of a sweep."""
    recipe = work.study.recipes.get(job.of.recipe, "recipe", "")
    return job.rule == "train_mixlora" and recipe.loss.calibration is not None and "." not in job.of.recipe


def _uq4ct(jobs: Iterator[GpuJob]) -> Iterator[str]:
    minutes = [job.seconds / 60 for job in jobs]
    if minutes:
        low, high = UQ4CT_MINUTES
        yield f"UQ4CT's models and datasets: {min(minutes):.0f} to {max(minutes):.0f} minutes a training"
        yield f"  the paper: {low} to {high}, for a number of epochs that it does not state"
