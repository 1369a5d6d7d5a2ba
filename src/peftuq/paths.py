"""Every path under `results/`: the one place that rules, scripts and tests ask.

Arguments may be values or Snakemake wildcards ("{model}"): the same functions make paths and patterns.
"""

from dataclasses import dataclass

from peftuq.fetched import FILES, PROVENANCE


@dataclass(frozen=True)
class Paths:
    """Paths below `results`, the folder that a run may lose without harm, and `reports`."""

    results: str = "results"
    reports: str = "reports"

    def model(self, model: str = "{model}") -> str:
        """The provenance of a fetched backbone, which stands for its files."""
        return f"{self.results}/models/{model}/{PROVENANCE}"

    def model_files(self, model: str = "{model}") -> str:
        """The folder of a fetched backbone's files, however many."""
        return f"{self.results}/models/{model}/{FILES}"

    def source(self, source: str = "{source}") -> str:
        """The provenance of a dataset's fetched source, which stands for its files."""
        return f"{self.results}/sources/{source}/{PROVENANCE}"

    def source_files(self, source: str = "{source}") -> str:
        """The folder of a fetched source's files, however many."""
        return f"{self.results}/sources/{source}/{FILES}"

    def data(self, split: str, dataset: str = "{dataset}") -> str:
        return f"{self.results}/data/{dataset}/{split}.parquet"

    def adapter(self, model="{model}", dataset="{dataset}", recipe="{recipe}", seed="{seed}") -> str:
        """The adapter's weights; PEFT loads them with their configuration, from the folder of both."""
        return f"{self._trained(model, dataset, recipe, seed)}/adapter_model.safetensors"

    def adapter_config(self, model="{model}", dataset="{dataset}", recipe="{recipe}", seed="{seed}") -> str:
        return f"{self._trained(model, dataset, recipe, seed)}/adapter_config.json"

    def training(self, model="{model}", dataset="{dataset}", recipe="{recipe}", seed="{seed}") -> str:
        """Facts about a training: parameters, examples, seconds, device."""
        return f"{self._trained(model, dataset, recipe, seed)}/training.json"

    def training_log(self, model="{model}", dataset="{dataset}", recipe="{recipe}", seed="{seed}") -> str:
        """A line an epoch: losses and accuracies."""
        return f"{self._trained(model, dataset, recipe, seed)}/train_log.jsonl"

    def _trained(self, model: str, dataset: str, recipe: str, seed: int | str) -> str:
        return f"{self.results}/adapters/{self._seed(model, dataset, recipe, seed)}"

    def _seed(self, model: str, dataset: str, recipe: str, seed: int | str) -> str:
        return f"{model}/{dataset}/{recipe}/seed{seed}"

    def epochs(self, model="{model}", dataset="{dataset}", recipe="{recipe}", seed="{seed}") -> str:
        """Records after each epoch of a training, for recipes that ask for them."""
        return f"{self.results}/epochs/{self._seed(model, dataset, recipe, seed)}.safetensors"

    def checkpoint(self, model="{model}", dataset="{dataset}", recipe="{recipe}", seed="{seed}") -> str:
        """Where an interrupted training resumes from; removed when it ends."""
        return f"{self.results}/checkpoints/{self._seed(model, dataset, recipe, seed)}"

    def records(self, model="{model}", dataset="{dataset}", recipe="{recipe}", seed="{seed}") -> str:
        return f"{self.results}/records/{self._seed(model, dataset, recipe, seed)}.safetensors"

    def facts(self, of: str) -> str:
        """Time and memory that a file's job took; apart from it, so that equal results have equal bytes."""
        return f"{of.rpartition('.')[0]}.json"

    def laplace(self, model="{model}", dataset="{dataset}", recipe="{recipe}", seed="{seed}") -> str:
        """Gaussian logits of every example under an adapter's posterior, for both choices of the prior."""
        return f"{self.results}/laplace/{self._seed(model, dataset, recipe, seed)}.safetensors"

    def _cell(self, model: str, dataset: str, recipe: str, seed: int | str, predictive: str) -> str:
        return f"{self._seed(model, dataset, recipe, seed)}/{predictive}"

    def samples(
        self, model="{model}", dataset="{dataset}", recipe="{recipe}", seed="{seed}", predictive="{predictive}"
    ) -> str:
        """M predictive distributions; one adapter on its own (`point`) is its records."""
        if predictive == "point":
            return self.records(model, dataset, recipe, seed)
        return f"{self.results}/samples/{self._cell(model, dataset, recipe, seed, predictive)}.safetensors"

    def scores(
        self,
        model="{model}",
        dataset="{dataset}",
        recipe="{recipe}",
        seed="{seed}",
        predictive="{predictive}",
        score="{score}",
    ) -> str:
        return f"{self.results}/scores/{self._cell(model, dataset, recipe, seed, predictive)}/{score}.parquet"

    def metrics(
        self,
        model="{model}",
        dataset="{dataset}",
        recipe="{recipe}",
        seed="{seed}",
        predictive="{predictive}",
        score="{score}",
    ) -> str:
        """Metrics of one score; `score` "prediction": of the predictive distribution itself."""
        return f"{self.results}/metrics/{self._cell(model, dataset, recipe, seed, predictive)}/{score}.json"

    def comparison(self, model="{model}", dataset="{dataset}", recipe="{recipe}") -> str:
        return f"{self.results}/comparisons/{model}/{dataset}/{recipe}.json"

    def trace(self, model="{model}", dataset="{dataset}", recipe="{recipe}") -> str:
        """An ensemble through its training: curves for each size, and every example's uncertainty, by epoch."""
        return f"{self.results}/traces/{model}/{dataset}/{recipe}.json"

    def trace_examples(self, model="{model}", dataset="{dataset}", recipe="{recipe}") -> str:
        return f"{self.results}/traces/{model}/{dataset}/{recipe}.safetensors"

    def posterior_comparison(self, model="{model}", dataset="{dataset}", recipe="{recipe}", seed="{seed}") -> str:
        """Approximate posteriors beside the exact one, in a small network on an adapter's features."""
        return f"{self.results}/gold/{self._seed(model, dataset, recipe, seed)}.safetensors"

    @property
    def cells(self) -> str:
        """The run's cells, their scores and suites: what is expected, so that a missing one can be said."""
        return f"{self.results}/cells.json"

    def code(self, digest: str) -> str:
        """Definitions in the code of this digest: `peftuq why` compares them with those that are there now."""
        return f"{self.results}/.codes/{digest}.json"

    @property
    def identities(self) -> str:
        """The identity of every file of the run as it was planned, by its path below `results`."""
        return f"{self.results}/.identities.json"

    @property
    def metrics_table(self) -> str:
        return f"{self.results}/metrics.parquet"

    @property
    def metrics_csv(self) -> str:
        return f"{self.results}/metrics.csv"

    @property
    def gpu_jobs(self) -> str:
        """Every kind of GPU job of the run, as it would be rehearsed."""
        return f"{self.results}/gpu_jobs.json"

    @property
    def rehearsal_table(self) -> str:
        return f"{self.results}/rehearsal.csv"

    @property
    def rehearsal_text(self) -> str:
        return f"{self.results}/rehearsal.txt"

    @property
    def report(self) -> str:
        return f"{self.reports}/report.pdf"

    @property
    def html_report(self) -> str:
        return f"{self.reports}/report.html"

    @property
    def report_files(self) -> str:
        """Names of the report's tables and figures, in the folders below `reports`."""
        return f"{self.results}/report_files.json"

    @property
    def tables(self) -> str:
        """The folder of the report's tables."""
        return f"{self.reports}/tables"

    @property
    def figures(self) -> str:
        """The folder of the report's figures."""
        return f"{self.reports}/figures"

    def log(self, rule: str, name: str) -> str:
        return f"{self.results}/logs/{rule}/{name}.log"
