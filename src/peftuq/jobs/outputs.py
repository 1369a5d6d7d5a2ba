"""Results that a run makes and that are not there.

Snakemake asks for a job's input only if the job is due: a result that was removed after the run goes unnoticed where
what was made of it still exists. Those that are missing are therefore asked for by name.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from peftuq.cells import PREDICTION
from peftuq.config.study import PARTS
from peftuq.errors import UserError
from peftuq.files import read_json
from peftuq.jobs.jobs import Jobs


def missing(jobs: Jobs) -> list[str]:
    """The run's outputs that do not exist.

    Fetched files themselves are left out: what was made of them stays valid when their copies are removed.
    """
    if not os.path.isdir(jobs.study.config.results):
        return []  # nothing has run
    return list(dict.fromkeys(_absent(outputs(jobs))))


def _absent(paths: Iterable[str]) -> Iterator[str]:
    """Every folder is listed once: a look at each of thousands of files takes long on a network's file system."""
    listed: dict[str, set[str]] = {}
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in listed:
            listed[folder] = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        if name not in listed[folder]:
            yield path


def outputs(jobs: Jobs) -> Iterator[str]:
    """Every output of every job of the run, apart from fetched files."""
    study, paths = jobs.study, jobs.paths
    yield from (paths.model(model) for model in dict.fromkeys(setting.model for setting in study.settings))
    yield from map(paths.source, jobs.fetch_data.sources)
    yield from (paths.data(part, name) for name in study.dataset_names for part in PARTS)
    yield from _of_adapters(jobs)
    for cell, scores in study.cells.items():
        made = [paths.samples(*cell), *(paths.scores(*cell, score) for score in scores)]
        yield from (path for file in made for path in (file, paths.facts(file)))
        yield from (paths.metrics(*cell, score) for score in (PREDICTION, *scores))
    yield from (paths.comparison(*setting) for setting in study.settings)
    yield from (path(*setting) for setting in jobs.trace.settings for path in (paths.trace, paths.trace_examples))
    yield from jobs.compare_posteriors.outputs()
    yield from (paths.cells, paths.metrics_table, paths.metrics_csv)
    yield from (paths.report, paths.report_files, paths.tables, paths.figures, paths.html_report)


def _of_adapters(jobs: Jobs) -> Iterator[str]:
    paths = jobs.paths
    for adapter in jobs.study.adapters:
        yield from (paths.records(*adapter), paths.facts(paths.records(*adapter)))
        rule = jobs.train.rule_of(adapter.recipe)
        if rule is not None:
            trained = (paths.adapter, paths.adapter_config, paths.training, paths.training_log)
            yield from (path(*adapter) for path in trained)
        if rule == "train_ensemble_member":
            yield paths.epochs(*adapter)
    for adapter in jobs.fit_laplace.adapters:
        yield from (paths.laplace(*adapter), paths.facts(paths.laplace(*adapter)))


def check_report(jobs: Jobs) -> None:
    """Raises `UserError` for a table or figure that was removed from a report which is otherwise there."""
    listed, report = Path(jobs.paths.report_files), Path(jobs.paths.report)
    if not (listed.is_file() and report.is_file()):
        return
    folders = [Path(folder) for folder in (jobs.paths.tables, jobs.paths.figures)]
    if not all(folder.is_dir() for folder in folders):
        return
    names = {folder.name: set(os.listdir(folder)) for folder in folders}
    for name in read_json(listed):
        folder, _, file = name.partition("/")
        if file not in names[folder]:
            raise UserError(f"{report.parent / name}: was removed after the report was made: delete {report}, too, "
                            "and run again")  # fmt: skip
