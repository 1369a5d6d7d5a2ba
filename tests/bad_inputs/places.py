"""Places where a user can make a mistake, in a small valid configuration: files below config/, and a dataset's own."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from peftuq.config.local import check_local
from peftuq.config.study import Study
from peftuq.data import tasks
from peftuq.jobs.jobs import Jobs

CONFIG = Path(__file__).parents[2] / "config"
GRID: dict[str, Any] = {
    "models": ["minilm"],
    "datasets": ["words"],
    "recipes": ["plain"],
    "seeds": 2,
    "shifts": {"words": ["tweets2"]},
    "predictives": ["point", "temperature"],
    "scores": ["softmax", "mahalanobis", "adue"],
}
FILES: dict[str, dict[str, Any]] = {
    "config.yaml": {
        "suites": ["small"],
        "sources": ["local", "registry", "hub"],
        "limit": {"train": 50, "test": 20},
        "methods": {"adue": {"epochs": [5]}, "mahalanobis": {"inverse": "pinv"}},
        "bootstrap": 10,
        "threads": 1,
        "eval_batch_tokens": 1024,
        "results": "results",
    },
    "suites/small.yaml": {"version": 1, "title": "s", "sections": ["adue"], "grids": [GRID]},
    "recipes/plain.yaml": {
        "version": 1,
        "adapter": {"targets": ["q", "v"], "rank": 4, "alpha": 8, "dropout": 0.1},
        "optimiser": {"lr": 0.01, "weight_decay": 0.1, "batch_size": 8, "epochs": 2, "warmup": 0.1},
        "max_length": 64,
        "micro_batch_tokens": 1024,
        "checkpoint_steps": 10,
        "spectral_norm": "train",
    },
    "datasets/words.yaml": {
        "version": 1,
        "kind": "classification",
        "title": "words",
        "origin": "made",
        "licence": "none",
        "classes": ["negative", "positive"],
        "question": "Sentiment:",
        "row": {"text": "{text}", "label": {"column": "label"}},
        "splits": {"train": ["train"], "valid": {"share": 0.25}, "test": {"share": 0.25}},
        "sources": {"local": {"folder": "words", "files": {"train": "train.jsonl"}}},
    },
}


class Checkout:
    """A folder with `config/` and local data, planned and prepared in this process, as a user's would be."""

    def __init__(self, folder: Path):
        self.folder, self.root = folder, folder / "config"
        shutil.copytree(CONFIG, self.root)
        self.material = folder / "material" / "words"
        self.material.mkdir(parents=True)
        rows = (f'{{"text": "word {n} of many", "label": {n % 2}}}\n' for n in range(40))
        (self.material / "train.jsonl").write_text("".join(rows))
        (folder / "results").mkdir()
        (folder / "results/kept.txt").write_text("kept")
        for name, content in FILES.items():
            self.write(name, content)

    def write(self, name: str, content: Any) -> None:
        content = {**content, "local_root": str(self.folder / "material")} if name == "config.yaml" else content
        (self.root / name).write_text(yaml.safe_dump(content, sort_keys=False))

    def plan(self) -> Jobs:
        from peftuq.config import load

        file = self.root / "config.yaml"
        study = Study(load.configuration([file]), self.root, str(file))
        check_local(study)
        return Jobs(study)

    def prepare(self, **changes: Any) -> dict[str, Any]:
        """The splits of `words` and their metadata, from its file as it is now."""
        from peftuq.config import load
        from peftuq.data.schema import Datasets

        written = yaml.safe_load((self.root / "datasets/words.yaml").read_text()) | changes
        (self.root / "datasets/words.yaml").write_text(yaml.safe_dump(written))
        spec = Datasets(load.datasets(self.root)).get("words", "test").preparation("words", "local", {})
        return tasks.prepare(spec.model_dump(mode="json"), self.material)[1]

    def kept(self) -> list[str]:
        return [path.name for path in (self.folder / "results").rglob("*")]


def changed(content: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """`content` with another value at a dotted path."""
    key, _, rest = path.partition(".")
    if isinstance(content, list):
        return [
            changed(part, rest, value) if rest else value if n == int(key) else part for n, part in enumerate(content)
        ]
    return {**content, key: changed(content[key], rest, value) if rest else value}
