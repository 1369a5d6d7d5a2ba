"""How long a study's jobs would take on A100s: operations from shapes and row counts, over a stated utilisation.

An estimate to plan with. Left out: padding (batches are of like lengths), the attention products (under 3 % at the
lengths here), waiting in a queue, and CPU jobs.
"""

from collections.abc import Iterator
from functools import cache
from math import prod
from typing import NamedTuple

from peftuq.errors import UserError
from peftuq.grid import cost
from peftuq.grid.jobs import Jobs
from peftuq.grid.study import Adapter, Cell, Setting, Study

PEAK = 312e12  # bf16 FLOP/s of an A100, dense (its data sheet)
TRAINING, INFERENCE = 0.35, 0.45  # utilisation of it by models of billions of weights
SMALL, SMALL_BELOW = 0.10, 1e9  # and by smaller ones: an encoder's kernels are short
FLOAT32 = 0.10 * 19.5e12  # FLOP/s in float32, at the same utilisation: AdUE's batched heads
START, LOAD = 30.0, 1e9  # seconds until a job computes, and bytes/s at which weights are read
ADUE_FITS = 473 / 144  # all fits of a cell, ablations too, for each of the main grid's


def utilisation() -> str:
    """The assumptions, in words."""
    return (f"{PEAK / 1e12:.0f} TFLOP/s in bf16, of which training reaches {TRAINING:.0%}, inference {INFERENCE:.0%}, "
            f"either {SMALL:.0%} below {SMALL_BELOW / 1e9:g}e9 weights")  # fmt: skip


def trainings_without_sharing(study: Study) -> Iterator[Setting]:
    """A setting for each adapter to train if every suite and every predictive trained its own."""
    for cell, suites in study.suites_of.items():
        if study.recipes.get(cell.recipe, "recipe", "").adapter is not None:
            yield from [cell.setting] * (len(suites) * len(study.members(cell)))


class GpuJob(NamedTuple):
    rule: str
    of: Adapter | Cell
    seconds: float


class Workload:
    """Rows, tokens and GPU seconds of a study's jobs. Raises `UserError` for a dataset without `size`."""

    def __init__(self, jobs: Jobs):
        self.jobs, self.study = jobs, jobs.study
        self.parts = cache(self._parts)
        self.shape = cache(self._shape)

    def _shape(self, model: str) -> cost.Shape:
        return cost.Shape.of(self.study.models.get(model, "model", "").config)

    # -- rows and tokens -----------------------------------------------------------------------------------

    def _parts(self, dataset: str) -> dict[str, int]:
        """Rows of train, valid and test as the configuration's source gives them, and its limits cut them."""
        size, prepared = self.study.dataset(dataset).size, self.study.preparation(dataset)
        if size is None:
            raise UserError(f"config/datasets/{dataset}.yaml: key 'size' is missing: planning needs rows and tokens")
        rows = prepared.splits.sizes(size.rows)
        return {part: min(n, prepared.limit.get(part, n)) for part, n in rows.items()}

    def rows(self, setting: Setting, parts: list[str]) -> dict[str, int]:
        """Rows of parts of a setting's records: splits of its own dataset, and shift sets."""
        own = self.parts(setting.dataset)
        return {part: own[part] if part in own else self.parts(part)["test"] for part in parts}

    def tokens(self, setting: Setting, parts: list[str]) -> float:
        """Tokens in some parts, each example once."""
        longest = self.study.recipes.get(setting.recipe, "recipe", "").max_length
        found = 0.0
        for part, rows in self.rows(setting, parts).items():
            dataset = setting.dataset if part in ("train", "valid", "test") else part
            found += rows * min(self.study.dataset(dataset).size.tokens, longest)
        return found

    # -- seconds -------------------------------------------------------------------------------------------

    def _rate(self, shape: cost.Shape, utilisation: float) -> float:
        return PEAK * (SMALL if shape.block_weights < SMALL_BELOW else utilisation)

    def start(self, model: str) -> float:
        """Seconds until a job that loads a model computes."""
        return START + 2 * self.shape(model).weights / LOAD

    def forward(self, setting: Setting, parts: list[str], times: float = 1) -> float:
        """Seconds of asking an adapter about some parts."""
        shape = self.shape(setting.model)
        flops = cost.forward_flops(shape, self.tokens(setting, parts), self._adapter(setting))
        return times * flops / self._rate(shape, INFERENCE)

    def _adapter(self, setting: Setting) -> int:
        recipe = self.study.recipes.get(setting.recipe, "recipe", "")
        return 0 if recipe.adapter is None else cost.adapter_parameters(self.shape(setting.model), recipe.adapter)

    def train(self, setting: Setting) -> float:
        """All epochs, with the validation after each, and what a recipe records of each."""
        recipe, shape = self.study.recipes.get(setting.recipe, "recipe", ""), self.shape(setting.model)
        flops = cost.training_flops(
            shape, self.tokens(setting, ["train"]), self._adapter(setting), recipe.gradient_checkpointing
        )
        asked = ["valid", *(self.study.evals(setting) if recipe.epoch_records else [])]
        epoch = flops / self._rate(shape, TRAINING) + self.forward(setting, asked)
        return self.start(setting.model) + recipe.optimiser.epochs * epoch

    def extract(self, adapter: Adapter) -> float:
        return self.start(adapter.model) + self.forward(adapter.setting, self.jobs.parts(adapter))

    def sample(self, cell: Cell) -> float:
        """As many passes over valid and the evaluation sets as there are samples."""
        _, size = self.study.predictive(cell.predictive)
        asked = ["valid", *self.study.evals(cell.setting)]
        return self.start(cell.model) + self.forward(cell.setting, asked, size or 1)

    def fit_laplace(self, adapter: Adapter) -> float:
        """One forward and C backward passes, which cost as much each, over everything."""
        classes = len(self.study.dataset(adapter.dataset).classes)
        asked = ["train", "valid", *self.study.evals(adapter.setting)]
        return self.start(adapter.model) + self.forward(adapter.setting, asked, 1 + classes)

    def fit_adue(self, setting: Setting) -> float:
        """Every fit of the grid over its training rows, forward and backward through a copy of the head."""
        params = self.study.methods.score("adue").params
        passes = ADUE_FITS * prod(len(params[name]) for name in ("lr", "alpha", "beta")) * sum(params["epochs"])
        return START + passes * self.parts(setting.dataset)[params["train_on"]] * 6 * self.head(setting) / FLOAT32

    def adue_memory(self, setting: Setting) -> float:
        """Bytes: value, gradient and two moments of all heads at once, in float32, and the rows they are fitted on."""
        params = self.study.methods.score("adue").params
        fits = ADUE_FITS * prod(len(params[name]) for name in ("lr", "epochs", "alpha", "beta"))
        rows = self.parts(setting.dataset)[params["train_on"]] * self.shape(setting.model).hidden
        return 16 * fits * self.head(setting) + 4 * rows

    def head(self, setting: Setting) -> int:
        """Numbers from the representation to the logits: an encoder's head has a dense layer."""
        dense = self.study.models.get(setting.model, "model", "").kind == "encoder"
        return cost.head_parameters(self.shape(setting.model), len(self.study.dataset(setting.dataset).classes), dense)

    def gpu_jobs(self) -> Iterator[GpuJob]:
        """Every job that the cluster's profile sends to a GPU."""
        for adapter in self.study.adapters:
            rule = self.jobs.trained_by(adapter.recipe)
            if rule is not None:
                yield GpuJob(rule, adapter, self.train(adapter.setting))
            yield GpuJob("extract", adapter, self.extract(adapter))
        for adapter in self.jobs.fits:
            yield GpuJob("fit_laplace", adapter, self.fit_laplace(adapter))
        for cell, scores in self.study.cells.items():
            if self.jobs.made_by(cell.predictive) == "sample":
                yield GpuJob("sample", cell, self.sample(cell))
            if "adue" in scores:
                yield GpuJob("fit_adue", cell, self.fit_adue(cell.setting))

    def hours_of_trainings_without_sharing(self) -> float:
        return sum(map(cache(self.train), trainings_without_sharing(self.study))) / 3600

    def hours(self) -> dict[str, float]:
        """GPU-hours by rule."""
        found: dict[str, float] = {}
        for job in self.gpu_jobs():
            found[job.rule] = found.get(job.rule, 0.0) + job.seconds / 3600
        return found
