"""Edits of a finished run, and the jobs that each makes due: the table of docs/invalidation.md."""

import ast
import os
from collections.abc import Callable

import yaml
from nano import AWAY, POOLED, SCORED, SWEPT, Nano

Edit = Callable[[Nano], None]


def text(name: str, old: str, new: str) -> Edit:
    """Replace `old` in a file."""

    def apply(checkout: Nano) -> None:
        path = checkout.folder / name
        assert old in path.read_text(), f"{name} no longer says {old!r}"
        path.write_text(path.read_text().replace(old, new, 1))

    return apply


def keys(name: str, **changes) -> Edit:
    """Set keys of a YAML file; a double underscore stands for the dot of a nested key."""

    def apply(checkout: Nano) -> None:
        content = yaml.safe_load((checkout.folder / name).read_text())
        for key, value in changes.items():
            *parents, last = key.split("__")
            at = content
            for parent in parents:
                at = at.setdefault(parent, {})
            at[last] = value
        checkout.write(name, content)

    return apply


def grids(*changed: dict) -> Edit:
    return lambda checkout: checkout.suite(*changed)


def appended(name: str, code: str) -> Edit:
    return lambda checkout: (checkout.folder / name).open("a").write(code)


def reformatted(name: str) -> Edit:
    def apply(checkout: Nano) -> None:
        path = checkout.folder / name
        path.write_text(ast.unparse(ast.parse(path.read_text())))

    return apply


def reordered(name: str) -> Edit:
    def apply(checkout: Nano) -> None:
        content = yaml.safe_load((checkout.folder / name).read_text())
        (checkout.folder / name).write_text(yaml.safe_dump(dict(reversed(content.items())), sort_keys=False))

    return apply


def touched(folder: str, pattern: str = "*") -> Edit:
    """Make every file new, the last made the oldest; but for logs, by whose time a job is known to have failed."""

    def apply(checkout: Nano) -> None:
        found = (checkout.folder / folder).rglob(pattern)
        files = sorted(path for path in found if path.is_file() and "logs" not in path.parts)
        newest = max(path.stat().st_mtime for path in files)
        for seconds, path in enumerate(reversed(files), start=1):
            os.utime(path, (newest + seconds, newest + seconds))

    return apply


def set_aside(checkout: Nano) -> None:
    file = checkout.folder / "results/data/words/train.parquet"
    file.rename(file.with_suffix(f"{file.suffix}{AWAY}"))


def new_dataset(checkout: Nano) -> None:
    content = yaml.safe_load((checkout.folder / "config/datasets/words.yaml").read_text())
    checkout.write("config/datasets/more_words.yaml", content)
    checkout.suite({**SCORED, "datasets": ["words", "more_words"]}, POOLED, SWEPT)


def new_score(checkout: Nano) -> None:
    source = (checkout.folder / "src/peftuq/scores/softmax.py").read_text()
    for variant in ("sr", "entropy", "margin"):
        source = source.replace(f'"{variant}"', f'"plain_{variant}"')
    (checkout.folder / "src/peftuq/scores/plain.py").write_text(source)
    checkout.suite({**SCORED, "scores": [*SCORED["scores"], "plain"]}, POOLED, SWEPT)


REPORTED = {"list_cells": 1, "aggregate": 1, "render_report": 1, "render_html": 1}
GATHERED = {"aggregate": 1, "render_report": 1, "render_html": 1}
AFTER_RECORDS = {
    "trace": 1,
    "predict_from_records": 3,
    "fit_baselines": 12,
    "fit_adue": 2,
    "evaluate": 21,
    "compare": 4,
}
ALL_TRAINED = {"train_lora": 2, "train_ensemble_member": 7, "extract": 9, **AFTER_RECORDS}
PLAIN = {"extract": 2, "predict_from_records": 2, "fit_baselines": 8, "fit_adue": 2, "evaluate": 14, "compare": 1}
CHOICE = {
    "train_ensemble_member": 7,
    "extract": 7,
    "trace": 1,
    "predict_from_records": 1,
    "fit_baselines": 4,
    "evaluate": 7,
}
CHOICE["compare"] = 3
CONFIGURATION = "config/config.yaml"
EDITS: dict[str, tuple[Edit, dict[str, int]]] = {
    "nothing": (lambda checkout: None, {}),
    "a comment in code": (appended("src/peftuq/models/inference.py", "# more could be said\n"), {}),
    "a docstring": (text("src/peftuq/scores/rde.py", '"""', '"""Indeed: '), {}),
    "code formatted anew": (reformatted("src/peftuq/training/loop.py"), {}),
    "the order of keys": (reordered("config/recipes/plain.yaml"), {}),
    "`4` written as `4.0`": (keys("config/recipes/plain.yaml", adapter__alpha=4.0), {}),
    "every source file touched, as by `git checkout`": (touched("src", "*.py"), {}),
    "every result touched": (touched("results", "*.*"), {}),
    "records touched": (touched("results/records"), {}),
    "an intermediate file removed": (set_aside, {"prepare_data": 1, "train_lora": 2, **PLAIN, **GATHERED}),
    "`threads`": (keys(CONFIGURATION, threads=2), {}),
    "`downloads`": (keys(CONFIGURATION, downloads="elsewhere"), {}),
    "a model that no suite names": (keys("config/models/roberta.yaml", max_length=100), {}),
    "a model's licence or note": (keys("config/models/nano_encoder.yaml", licence="MIT", note="a toy"), REPORTED),
    "a suite's title": (keys("config/suites/tiny.yaml", title="Small"), REPORTED),
    "the report's template": (appended("reports/template.typ", "// end\n"), {"render_report": 1}),
    "the page's program": (appended("src/peftuq/report/html/9_main.js", "// end\n"), {"render_html": 1}),
    "code of the report": (appended("src/peftuq/report/words.py", "NEW = 1\n"), {"render_report": 1}),
    "`bootstrap`": (keys(CONFIGURATION, bootstrap=21), {"compare": 4, "render_report": 1}),
    "code of a metric": (
        appended("src/peftuq/metrics/calibration.py", "NEW = 1\n"),
        {"trace": 1, "evaluate": 21, **GATHERED},
    ),
    "a parameter of AdUE": (
        keys(CONFIGURATION, methods__adue__epochs=[3]),
        {"fit_adue": 2, "evaluate": 2, "compare": 1, **REPORTED},
    ),
    "code of RDE": (
        appended("src/peftuq/scores/rde.py", "NEW = 1\n"),
        {"fit_baselines": 2, "evaluate": 2, "compare": 1, **GATHERED},
    ),
    "a score added: one file, one name": (
        new_score,
        {"fit_baselines": 4, "evaluate": 4, "compare": 1, **REPORTED},
    ),
    "a score removed": (
        grids({**SCORED, "scores": ["softmax", "mahalanobis", "adue"]}, POOLED, SWEPT),
        {"compare": 1, **REPORTED},
    ),
    "a seed added": (
        grids({**SCORED, "seeds": 3}, POOLED, SWEPT),
        {
            "train_lora": 1,
            "extract": 1,
            "predict_from_records": 1,
            "fit_baselines": 4,
            "fit_adue": 1,
            "evaluate": 7,
            "compare": 1,
        }
        | REPORTED,
    ),
    "a sixth member of an ensemble of five": (
        grids(SCORED, {**POOLED, "predictives": ["ensemble-5", "ensemble-6"]}, SWEPT),
        {"train_ensemble_member": 1, "extract": 1, "predict_from_records": 1, "fit_baselines": 2, "evaluate": 3}
        | {"trace": 1, "compare": 1, **REPORTED},
    ),
    "one λ of a sweep": (
        keys("config/recipes/lambda.yaml", sweep__values=[0.1, 20]),
        {"train_ensemble_member": 1, "extract": 1, "fit_baselines": 1, "evaluate": 2, "compare": 1, **REPORTED},
    ),
    "a dataset added": (
        new_dataset,
        {"prepare_data": 1, "train_lora": 2, **PLAIN, **REPORTED},
    ),
    "a recipe's learning rate": (
        keys("config/recipes/plain.yaml", optimiser__lr=0.02),
        {"train_lora": 2, **PLAIN, **REPORTED},
    ),
    "a recipe's `version`": (
        keys("config/recipes/plain.yaml", version=2),
        {"train_lora": 2, **PLAIN, **REPORTED},
    ),
    "a prompt's text": (
        text("config/prompts/letters.yaml", "Answer:", "Reply:"),
        {**CHOICE, **GATHERED},
    ),
    "a dataset's `version`": (
        keys("config/datasets/words.yaml", version=2),
        {"prepare_data": 2, **ALL_TRAINED, **REPORTED},
    ),
    "a row of a local dataset": (
        text("material/other_words/train.jsonl", "film", "plot"),
        {"fetch_data": 1, "prepare_data": 1, **PLAIN, **GATHERED},
    ),
    "`limit`": (
        keys(CONFIGURATION, limit={"train": 40}),
        {"prepare_data": 2, **ALL_TRAINED, **REPORTED},
    ),
    "`eval_batch_tokens`": (
        keys(CONFIGURATION, eval_batch_tokens=2048),
        {**ALL_TRAINED, **GATHERED},
    ),
    "`precision`, or what `auto` means": (
        keys(CONFIGURATION, precision="bf16"),
        {**ALL_TRAINED, **REPORTED},
    ),
    "code of extraction": (
        appended("workflow/scripts/extract.py", "NEW = 1\n"),
        {"extract": 9, **AFTER_RECORDS, "trace": 0, **GATHERED},
    ),
    "code of training": (
        appended("src/peftuq/training/loop.py", "NEW = 1\n"),
        {**ALL_TRAINED, **GATHERED},
    ),
}


def table() -> str:
    """The edits as a table, those that cost least first."""
    lines = ["| change | jobs that are due |", "|---|---|"]
    for change, (_, expected) in EDITS.items():
        jobs = [f"{rule}{f' × {count}' if count > 1 else ''}" for rule, count in expected.items() if count]
        lines.append(f"| {change} | {', '.join(jobs) or 'none'} |")
    return "\n".join(lines)
