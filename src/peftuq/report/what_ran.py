"""The first section: what was asked for, from which models and data, how it was trained, and with what."""

import json
from typing import Any

import numpy as np

from peftuq.cells import Setting, parse_predictive
from peftuq.report import environment, origins
from peftuq.report.examples import CUT, EXAMPLES
from peftuq.report.headings import Headings
from peftuq.report.parts import Section
from peftuq.report.run import Run
from peftuq.report.tables import MISSING, NOT_REQUESTED, Column, Entry, Row, Table
from peftuq.report.words import counted

PRECISIONS = {"bf16": "bfloat16", "fp32": "float32"}
KINDS = {"encoder": "encoder", "decoder": "generative"}


def section(run: Run, date: str) -> Section:
    return Section(
        "What ran",
        [
            Section("Suites and models", [_suites(run), _models(run)]),
            Section("Data", [_datasets(run), _limits(run), EXAMPLES(run, _used(run)), CUT(run, run.all_settings)]),
            Section("Recipes, trainings and methods", [_recipes(run), _training(run), _methods(run)]),
            Section("Machine and software", [_environment(date)]),
        ],
        _findings(run),
    ).filled


def _text(label: str, width: int = 1) -> Column:
    return Column(label, align="left", width=width)


def _table(name: str, title: str, caption: str, stub: tuple[str, ...], columns: list[Column], rows: list[Row]) -> Table:
    return Table(f"run_{name}", title, caption, stub, tuple(columns), tuple(rows))


def _row(labels: tuple[str, ...], *entries: str | Entry) -> Row:
    return Row(labels, tuple(entry if isinstance(entry, Entry) else Entry(entry) for entry in entries))


# -- what was asked for ------------------------------------------------------------------------------------


def _suites(run: Run) -> Table:
    rows = []
    for name, suite in run.suites.items():
        cells = [cell for cell in run.cells if name in cell["suites"]]
        settings = {(cell["model"], cell["dataset"], cell["recipe"]) for cell in cells}
        predictives = dict.fromkeys(cell["predictive"] for cell in cells)
        scores = dict.fromkeys(score for cell in cells for score in cell["scores"])
        seeds = sorted({cell["seed"] for cell in cells})
        counts = (str(len(settings)), ", ".join(map(str, seeds)))
        rows.append(_row((suite["title"],), *counts, ", ".join(predictives), ", ".join(scores)))
    columns = [Column("Settings"), Column("Seeds"), _text("Probabilities"), _text("Scores")]
    caption = "A setting is one model, adapted by one recipe to one dataset; it is trained once for each seed."
    return _table("suites", "Suites.", caption, ("Suite",), columns, rows)


def _models(run: Run) -> Table:
    rows = []
    for name in dict.fromkeys(cell["model"] for cell in run.cells):
        model, provenance = run.models[name], run.model_origin(name)
        weights = origins.weights(provenance)
        notes = "; ".join(note for note in (origins.described(provenance), weights or model["note"]) if note)
        printed = ", ".join(dict.fromkeys(model["paper_names"].values()))
        kind = KINDS[model["kind"]] + (f" ({printed})" if printed else "")
        rows.append(_row((model["title"],), kind, model["licence"], notes))
    columns = [_text("Kind (name in the papers)"), _text("Licence"), _text("Source", 3)]
    return _table("models", "Models.", "Hashes are cut to twelve digits.", ("Model",), columns, rows)


def _used(run: Run) -> list[str]:
    """The datasets that are trained or evaluated on."""
    return list(dict.fromkeys(name for s in run.all_settings for name in (s.dataset, *run.shifts(s))))


def _datasets(run: Run) -> Table:
    rows = []
    for name in _used(run):
        dataset, (sizes, notes) = run.datasets[name], run.dataset_facts(name)
        splits = " / ".join(f"{sizes[split]:,}" for split in ("train", "valid", "test") if sizes.get(split))
        task = f"{dataset['kind']}, {len(dataset['classes']) if run.labelled(name) else 'no labels'}"
        source = origins.described(json.loads(notes.get("provenance", "{}")) or {"kind": notes.get("source")})
        remarks = "; ".join(part for part in (dataset["title"], dataset["origin"], source, notes.get("notes")) if part)
        rows.append(_row((name,), splits or MISSING, task, dataset["licence"], remarks))
    columns = [Column("Train / valid / test", align="left"), Column("Task, classes", align="left")]
    columns += [_text("Licence"), _text("Title, origin, source, notes", 4)]
    caption = "Examples as prepared for this run; a dataset with a single number is evaluated on only."
    return _table("datasets", "Datasets.", caption, ("Dataset",), columns, rows)


def _limits(run: Run) -> str:
    limits = [("a dataset", run.limit), *((name, limit) for name, limit in run.limits.items())]
    limited = [f"{name} to {counts}" for name, limit in limits if (counts := _counts(limit))]
    if not limited:
        return "Every dataset was used whole."
    return f"The configuration limits {'; '.join(limited)} examples, the same for every seed."


def _counts(limit: dict[str, int | None]) -> str:
    names = {"train": "training", "valid": "validation", "test": "test", "shift": "shifted test"}
    return ", ".join(f"{limit[key]:,} {name}" for key, name in names.items() if limit.get(key) is not None)


def _recipes(run: Run) -> Table:
    rows = []
    for name in dict.fromkeys(cell["recipe"] for cell in run.cells):
        recipe = run.recipes[name]
        rest = {key: value for key, value in recipe.items() if key not in ("version", "adapter", "optimiser")}
        rows.append(_row((name,), *(_flat(recipe[key]) for key in ("adapter", "optimiser")), _flat(rest)))
    columns = [_text("Adapter", 2), _text("Optimiser", 2), _text("The rest", 2)]
    caption = "All keys as configured; the precision as it was resolved where the run was planned."
    return _table("recipes", "Recipes.", caption, ("Recipe",), columns, rows)


def _flat(value: Any) -> str:
    """Keys as "rank 8, dropout 0.05"; what is None is left out."""
    if value is None:
        return "none"
    if isinstance(value, dict):
        shown = {key: item for key, item in value.items() if item is not None}
        return ", ".join(f"{key.replace('_', ' ')} {_flat(item)}" for key, item in shown.items()) or "–"
    if isinstance(value, list):
        return " ".join(map(_flat, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _methods(run: Run) -> Table:
    scores = dict.fromkeys(score for cell in run.cells for score in cell["scores"])
    predictives = dict.fromkeys(parse_predictive(cell["predictive"]).name for cell in run.cells)
    rows = [
        _row((name,), role, _flat(method["params"]), ", ".join(method.get("variants", [])) or NOT_REQUESTED)
        for role, names in (("probabilities", predictives), ("score", scores))
        for name in names
        if (method := run.methods.get(name))
    ]
    columns = [Column("Role", align="left"), _text("Parameters", 3), _text("Scores it gives", 2)]
    return _table("methods", "Methods.", "With every parameter they ran with.", ("Method",), columns, rows)


# -- how it was trained, and with what -------------------------------------------------------------------------


def _training(run: Run) -> Table:
    headings = Headings(run, run.all_settings)
    trained = [setting for setting in run.all_settings if run.adapters(setting)]
    rows = [Row((headings.model(setting), setting.dataset), _trained(run, setting)) for setting in trained]
    columns = [Column(label) for label in ("Adapters", "Trainable", "Epochs", "Seconds each")]
    columns += [Column("Train loss"), Column("Valid loss"), Column("Valid acc., %"), _text("Device")]
    caption = (
        "Adapters trained of those asked for; trainable parameters, the head’s included; wall time, losses and "
        "accuracy after the last epoch as means over seeds."
    )
    return _table("training", "Training.", caption, ("Model", "Dataset"), columns, rows)


def _trained(run: Run, setting: Setting) -> tuple[Entry, ...]:
    seeds = run.adapters(setting)
    found = [facts for seed in seeds if (facts := run.training(setting, seed)) is not None]
    if not found:
        return (Entry(MISSING, note="no training.json was found"), *(Entry(NOT_REQUESTED) for _ in range(7)))
    last = [facts["log"][-1] for facts in found if facts["log"]]
    means = [
        Entry(value=scale * float(np.mean([row[key] for row in last])), decimals=decimals) if last else Entry(MISSING)
        for key, scale, decimals in (("train_loss", 1, 3), ("valid_loss", 1, 3), ("valid_accuracy", 100, 1))
    ]
    device = dict.fromkeys(f"{facts['device']}, {facts['dtype'].removeprefix('torch.')}" for facts in found)
    seconds = Entry(value=float(np.mean([facts["seconds"] for facts in found])), decimals=0)
    counts = [f"{len(found)} of {len(seeds)}", f"{found[0]['trainable']:,}", str(last[0]["epoch"] if last else MISSING)]
    return (*map(Entry, counts), seconds, *means, Entry("; ".join(device)))


def _environment(date: str) -> Table:
    software = ", ".join(f"{name} {version}" for name, version in environment.software().items())
    facts = {**environment.hardware(), "Software": software, "Report made on": date}
    rows = [_row((name,), value) for name, value in facts.items()]
    caption = "Of the machine that made this report; the device of each training stands in the table of trainings."
    return _table("environment", "Machine and software.", caption, ("What",), [_text("Value")], rows)


# -- the first page --------------------------------------------------------------------------------------------


def _findings(run: Run) -> list[str]:
    settings = run.all_settings
    adapters = [(setting, seed) for setting in settings for seed in run.adapters(setting)]
    seconds = [facts["seconds"] for adapter in adapters if (facts := run.training(*adapter)) is not None]
    models, datasets = {s.model for s in settings}, {s.dataset for s in settings}
    found = [
        f"Asked for: {counted(len(adapters), 'adapter')} ({counted(len(models), 'model')}, "
        f"{counted(len(datasets), 'dataset')}, {counted(len(settings), 'setting')}). Trained: {len(seconds)}, in "
        f"{_duration(sum(seconds))} of training together."
    ]
    dequantised = [run.models[model]["title"] for model in sorted(models) if run.model_origin(model).get("dequantised")]
    if dequantised:
        found.append(
            f"The weights of {', '.join(dequantised)} were dequantised from a quantised file, and so are not exact."
        )
    found.append(_precisions(run))
    sizes = [rows["test"] for name in sorted(datasets) if (rows := run.dataset_facts(name)[0]).get("test")]
    if sizes:
        found.append(f"The test splits hold {_range(sizes)} examples; {_limits(run)[0].lower()}{_limits(run)[1:]}")
    return found


def _precisions(run: Run) -> str:
    """The precision of every number: a recipe's models train and answer in one."""
    recipes: dict[str, list[str]] = {}
    for name in dict.fromkeys(cell["recipe"] for cell in run.cells):
        recipes.setdefault(PRECISIONS[run.recipes[name]["precision"]], []).append(name)
    rest = "adapters, heads and losses are in float32, what is fitted to records in float32 or float64."
    if len(recipes) == 1:
        return f"All models compute in {next(iter(recipes))}; {rest}"
    shares = "; ".join(f"in {precision}: {', '.join(names)}" for precision, names in recipes.items())
    return f"Models compute, by recipe, {shares}; {rest}"


def _range(sizes: list[int]) -> str:
    return f"{min(sizes):,}" if min(sizes) == max(sizes) else f"{min(sizes):,} to {max(sizes):,}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
