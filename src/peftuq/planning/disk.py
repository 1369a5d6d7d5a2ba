"""How much disk a study's results take: bytes of each kind of file, from shapes and row counts.

The formats are those of artifacts.py and laplace/file.py.
"""

from peftuq.cells import Adapter, Cell, Setting
from peftuq.planning.workload import Workload

CELLS = 100  # samples that a Laplace predictive keeps of all its draws
INT, FLOAT, DOUBLE = 8, 4, 8


class Disk:
    def __init__(self, workload: Workload):
        self._work, self._study = workload, workload.study

    def _classes(self, dataset: str) -> int:
        return len(self._study.dataset(dataset).classes)

    def weights(self, model: str) -> int:
        """A backbone as it is published: decoders in bf16 with their LM head, encoders in float32."""
        shape, spec = self._work.shape(model), self._study.models.get(model, "model", "")
        if spec.kind == "encoder":
            return 4 * shape.weights
        return 2 * (shape.weights + (0 if spec.config.get("tie_word_embeddings") else shape.vocabulary * shape.hidden))

    def adapter(self, adapter: Adapter) -> int:
        """Adapter and classification head, in float32."""
        rule = self._work.jobs.train.rule_of(adapter.recipe)
        if rule is None:
            return 0
        trainable, rehearsed = self._work.trainable(rule, adapter)
        return FLOAT * (trainable - self._head(rehearsed) + self._head(adapter.setting))

    def _head(self, setting: Setting) -> int:
        """Numbers of a trained head; a choice task's is the frozen model's."""
        return 0 if self._study.dataset(setting.dataset).kind == "choice" else self._work.head(setting)

    def records(self, adapter: Adapter) -> int:
        """id, label, logits (C), h (d); the answer mass of choice tasks; FLU (L, 2) of mixtures; the head's rows."""
        shape, classes = self._work.shape(adapter.model), self._classes(adapter.dataset)
        row = 2 * INT + FLOAT * (classes + shape.hidden)
        row += FLOAT if self._study.dataset(adapter.dataset).kind == "choice" else 0
        if "flu" in self._study.methods.kind(self._study.recipes.get(adapter.recipe, "recipe", "")).provides:
            row += FLOAT * 2 * shape.depth
        return row * self._rows(adapter, self._work.jobs.extract.parts(adapter)) + FLOAT * self._work.head(
            adapter.setting
        )

    def epochs(self, adapter: Adapter) -> int:
        """Records after each epoch, for a recipe with `epoch_records`: id, label, logits, answer mass."""
        recipe = self._study.recipes.get(adapter.recipe, "recipe", "")
        if recipe.epoch_records is None:
            return 0
        examples = self._rows(adapter, ["train"])
        train = min(recipe.epoch_records, examples)
        rows = train + self._rows(adapter, self._study.evals(adapter.setting))
        return recipe.optimiser.passes(examples) * rows * (2 * INT + FLOAT * (self._classes(adapter.dataset) + 1))

    def laplace(self, adapter: Adapter) -> int:
        """Gaussian logits in float64: a mean, and a covariance for each of two priors."""
        classes = self._classes(adapter.dataset)
        rows = self._rows(adapter, ["valid", *self._study.evals(adapter.setting)])
        return rows * (2 * INT + DOUBLE * (classes + 2 * classes**2))

    def samples(self, cell: Cell) -> int:
        """M distributions in float64; a `point`'s are its records."""
        if cell.predictive == "point":
            return 0
        rows = self._rows(cell.adapter, ["valid", *self._study.evals(cell.setting)])
        return rows * (2 * INT + DOUBLE * self._kept(cell) * self._classes(cell.dataset))

    def _kept(self, cell: Cell) -> int:
        """M: the samples that a predictive's file holds."""
        name, size = self._study.predictive(cell.predictive)
        method = self._study.methods.predictive(name)
        if method.reads == "samples":
            _, each = self._study.predictive(method.params["of"])
            return (size or 1) * (each or 1)
        return CELLS if method.reads == "laplace" and method.samples else size or 1

    def scores(self, cell: Cell, scores: list[str]) -> int:
        """id, error and a float64 for each variant; an upper bound, parquet packs them tighter."""
        rows = self._rows(cell.adapter, self._study.evals(cell.setting))
        return rows * sum(INT + 1 + DOUBLE * len(self._study.methods.score(score).variants) for score in scores)

    def _rows(self, adapter: Adapter, parts: list[str]) -> int:
        return sum(self._work.rows(adapter.setting, parts).values())

    def all(self) -> dict[str, int]:
        """Bytes by kind of file. `one checkpoint`: the largest training's: parameters and two moments."""
        study = self._study
        adapters, cells = list(study.adapters), study.cells.items()
        made = [self.adapter(adapter) for adapter in adapters]
        return {
            "weights": sum(self.weights(model) for model in dict.fromkeys(a.model for a in adapters)),
            "adapters": sum(made),
            "records": sum(map(self.records, adapters)),
            "epochs": sum(map(self.epochs, adapters)),
            "laplace": sum(map(self.laplace, self._work.jobs.fit_laplace.adapters)),
            "samples": sum(self.samples(cell) for cell, _ in cells),
            "scores": sum(self.scores(cell, scores) for cell, scores in cells),
            "one checkpoint": 3 * max(made, default=0),
        }
