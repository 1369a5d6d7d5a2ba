"""How long a study's jobs would take on A100s: operations from rehearsals and row counts, over a stated utilisation.

An estimate to plan with. Left out: padding (batches are of like lengths), waiting in a queue, and CPU jobs. Operations
a token are those of the longest inputs, whose attention products are a few per cent more.
"""

from collections.abc import Iterator
from functools import cache, cached_property, partial
from typing import Any, NamedTuple

from peftuq.cells import Adapter, Cell, Setting
from peftuq.config.study import PARTS, Study
from peftuq.errors import UserError
from peftuq.jobs.jobs import Jobs
from peftuq.planning import cost
from peftuq.planning.rehearsals import Rehearsals
from peftuq.planning.requests import Request, ScoredCell, Work, gpu_jobs, program_of, request, requests
from peftuq.planning.rows import rows

PEAK = 312e12  # bf16 FLOP/s of an A100, dense (its data sheet)
TRAINING, INFERENCE = 0.35, 0.45  # utilisation of it by models of billions of weights
SMALL, SMALL_BELOW = 0.10, 1e9  # and by smaller ones: an encoder's kernels are short
FLOAT32 = 0.10 * 19.5e12  # FLOP/s in float32, at the same utilisation: scores fitted with torch
START, LOAD = 30.0, 1e9  # seconds until a job computes, and bytes/s at which weights are read


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
    """A job of `seconds` on each of its `gpus`."""

    rule: str
    of: Work
    seconds: float
    gpus: int = 1

    @property
    def gpu_hours(self) -> float:
        return self.seconds * self.gpus / 3600


class Workload:
    """Rows, tokens and GPU seconds of a study's jobs. Raises `UserError` for a dataset without `size`."""

    def __init__(self, jobs: Jobs, rehearsals: Rehearsals):
        self.jobs, self.study, self._rehearsals = jobs, jobs.study, rehearsals
        self.parts = cache(partial(rows, self.study))
        self.shape = cache(self._shape)
        self._per_token = cache(self._flops_a_token)
        self._kind = cache(lambda rule, of: request(self.jobs, rule, of).kind)

    @cached_property
    def requests(self) -> dict[str, Request]:
        return requests(self.jobs)

    @cached_property
    def results(self) -> dict[str, dict[str, Any]]:
        """The rehearsal of every kind of GPU job. Raises `UserError` for one that a GPU would refuse."""
        found = dict(zip(self.requests, self._rehearsals.of(self.requests.values()), strict=True))
        for result in found.values():
            if "fault" in result:
                raise UserError(f"a GPU would refuse a job: {result['fault']}")
        return found

    def _flops_a_token(self, rule: str, of: Adapter | Cell) -> float:
        """FLOPs of the measured part of a job, for each token of its batch."""
        result = self.results[self._kind(rule, of)]
        return result["work"]["flops"] / result["tokens"]

    def trainable(self, rule: str, adapter: Adapter) -> tuple[int, Setting]:
        """Trainable parameters of the training that was rehearsed for an adapter's, and its setting."""
        kind = self._kind(rule, adapter._replace(seed=0))
        return self.results[kind]["trainable"], self.requests[kind].setting

    def _shape(self, model: str) -> cost.Shape:
        return cost.Shape.of(self.study.models.get(model, "model", "").config)

    # -- rows and tokens -----------------------------------------------------------------------------------

    def rows(self, setting: Setting, parts: list[str]) -> dict[str, int]:
        """Rows of parts of a setting's records: splits of its own dataset, and shift sets."""
        own = self.parts(setting.dataset)
        return {part: own[part] if part in own else self.parts(part)["test"] for part in parts}

    def tokens(self, setting: Setting, parts: list[str]) -> float:
        """Tokens in some parts, each example once."""
        longest = self.study.recipes.get(setting.recipe, "recipe", "").max_length
        found = 0.0
        for part, count in self.rows(setting, parts).items():
            dataset = setting.dataset if part in PARTS else part
            found += count * min(self.study.dataset(dataset).size.tokens, longest)
        return found

    # -- seconds -------------------------------------------------------------------------------------------

    def _rate(self, shape: cost.Shape, utilisation: float) -> float:
        return PEAK * (SMALL if shape.block_weights < SMALL_BELOW else utilisation)

    def start(self, model: str) -> float:
        """Seconds until a job that loads a model computes."""
        return START + 2 * self.shape(model).weights / LOAD

    def _inference(self, of: Adapter | Cell, flops: float, parts: list[str]) -> float:
        """Seconds of inference on some parts, at so many FLOPs a token."""
        return flops * self.tokens(of.setting, parts) / self._rate(self.shape(of.model), INFERENCE)

    def forward(self, adapter: Adapter, parts: list[str]) -> float:
        """Seconds of an adapter's pass over some parts."""
        first = Adapter(*adapter.setting, 0)  # seeds differ in nothing that counts here
        return self._inference(adapter, self._per_token("extract", first), parts)

    def train(self, adapter: Adapter) -> float:
        """All steps, with a validation after each epoch, and what a recipe records of it; its GPUs share the work."""
        setting = adapter.setting
        recipe, shape = self.study.recipes.get(setting.recipe, "recipe", ""), self.shape(setting.model)
        flops = self._per_token(self.jobs.train.rule_of(setting.recipe), Adapter(*setting, 0))
        parts = ["valid", *(self.study.evals(setting) if recipe.epoch_records else [])]
        epoch = flops * self.tokens(setting, ["train"]) / self._rate(shape, TRAINING)
        optimiser, examples = recipe.optimiser, self.parts(setting.dataset)["train"]
        steps = optimiser.steps(examples) / optimiser.steps_an_epoch(examples) * epoch
        after = optimiser.passes(examples) * self.forward(adapter, parts)
        return self.start(setting.model) + (steps + after) / recipe.gpus

    def gpus(self, rule: str, setting: Setting) -> int:
        """GPUs of a job, for all of its time."""
        trains = rule.startswith("train_")
        return self.study.recipes.get(setting.recipe, "recipe", "").gpus if trains else 1

    def extract(self, adapter: Adapter) -> float:
        return self.start(adapter.model) + self.forward(adapter, self.jobs.extract.parts(adapter))

    def predict_with_model(self, cell: Cell) -> float:
        """As many passes over valid and the evaluation sets as there are samples."""
        _, size = self.study.predictive(cell.predictive)
        flops = (size or 1) * self._per_token("predict_with_model", cell._replace(seed=0))
        return self.start(cell.model) + self._inference(cell, flops, ["valid", *self.study.evals(cell.setting)])

    def fit_laplace(self, adapter: Adapter) -> float:
        """The curvature of train, and the predictive distribution of the others: as much for a token of either."""
        flops = self._per_token("fit_laplace", Adapter(*adapter.setting, 0)) / 2  # of a batch of each
        parts = ["train", "valid", *self.study.evals(adapter.setting)]
        return self.start(adapter.model) + self._inference(adapter, flops, parts)

    def fit_score(self, scored: ScoredCell) -> float:
        """The work of the rehearsed job, in proportion to the rows that are fitted on and to the head."""
        kind = self._kind(self.jobs.fit_scores.rule_of(scored.score), scored._replace(seed=0))
        largest, job = self.requests[kind], self.results[kind]["job"]
        fitted = self.parts(scored.dataset)[job["part"]] / largest.spec["rows"][job["part"]]
        return START + job["flops"] * fitted * self.head(scored.setting) / self.head(largest.setting) / FLOAT32

    def head(self, setting: Setting) -> int:
        """Numbers from the representation to the logits: an encoder's head has a dense layer."""
        dense = self.study.models.get(setting.model, "model", "").kind == "encoder"
        return cost.head_parameters(self.shape(setting.model), len(self.study.dataset(setting.dataset).classes), dense)

    def gpu_jobs(self) -> Iterator[GpuJob]:
        """Every job that the cluster's profile sends to a GPU."""
        for rule, of in gpu_jobs(self.jobs):
            yield GpuJob(rule, of, self.seconds(rule, of), self.gpus(rule, of.setting))

    def seconds(self, rule: str, of: Work) -> float:
        return getattr(self, program_of(rule))(of)

    def hours_of_trainings_without_sharing(self) -> float:
        recipes = self.study.recipes
        gpus = cache(lambda setting: recipes.get(setting.recipe, "recipe", "").gpus)
        train = cache(lambda setting: self.train(Adapter(*setting, 0)) * gpus(setting))
        return sum(map(train, trainings_without_sharing(self.study))) / 3600

    def hours(self) -> dict[str, float]:
        """GPU-hours by rule."""
        found: dict[str, float] = {}
        for job in self.gpu_jobs():
            found[job.rule] = found.get(job.rule, 0.0) + job.gpu_hours
        return found
