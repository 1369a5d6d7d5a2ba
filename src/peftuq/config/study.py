"""From configuration to cells: which adapters, predictives and scores a run consists of."""

import itertools
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from peftuq.cells import Adapter, Cell, Predictive, Setting, parse_predictive
from peftuq.config import load, precision, schema
from peftuq.config.methods import Methods
from peftuq.config.trim import trimmed
from peftuq.data import schema as data_schema
from peftuq.errors import UserError

PACKAGE = Path(__file__).resolve().parents[1]


class Study:
    """A validated configuration, expanded. Raises `UserError` for anything it cannot run."""

    def __init__(self, config: dict[str, Any], root: Path, where: str = "config"):
        self.root = root
        self.config = load.validate(schema.Config, config, where)
        self.models = load.models(root)
        self._datasets = data_schema.Datasets(load.datasets(root))
        self._prompts = load.prompts(root)
        self.methods = Methods(PACKAGE, self.config.methods, where)
        self.recipes = load.recipes(root, self.methods.recipe)
        for name in self.config.limits:
            self.dataset(name, f"{where}: limits")
        for name in self.config.trim.models:
            self.models.get(name, "model", f"{where}: trim.models")
        suites = load.suites(root)
        self.suites: dict[str, schema.Suite] = {
            name: suites.get(name, "suite", f"{where}: suites") for name in self.config.suites
        }
        self.shifts: dict[Setting, list[str]] = {}
        self.cells: dict[Cell, list[str]] = {}  # cell → its scores
        self.suites_of: dict[Cell, list[str]] = {}
        for name, suite in self.suites.items():
            for index, grid in enumerate(suite.grids):
                self._expand(name, grid, f"{root / 'suites' / name}.yaml: grids.{index}")
        if not self.cells:
            raise UserError(f"{where}: trim: leaves nothing to run")
        self.gold: dict[Adapter, schema.Gold] = {}
        for name, suite in self.suites.items():
            if suite.gold is not None:
                self._add_gold(suite.gold, f"{root / 'suites' / name}.yaml: gold")
        self._check_sources()

    def _check_sources(self) -> None:
        """Everything can be had from an allowed source: found out now, not when its job starts."""
        for model in dict.fromkeys(setting.model for setting in self.settings):
            self.model_source(model)
        for dataset in self.dataset_names:
            self.preparation(dataset)

    # -- predictives ---------------------------------------------------------------------------------

    def predictive(self, key: str) -> Predictive:
        return parse_predictive(key)

    def members(self, cell: Cell) -> list[int]:
        """The seeds whose adapters supply a cell's samples: the first M for an ensemble, else its own."""
        return list(range(cell.seed, cell.seed + (self.pooled(cell.predictive) or 1)))

    def pooled(self, predictive: str) -> int | None:
        """How many adapters a predictive pools; None for one that works on a single adapter."""
        name, size = self.predictive(predictive)
        return (size or 1) if name != "point" and "members" in self.methods.predictive(name).needs else None

    # -- expansion ------------------------------------------------------------------------------------

    def _expand(self, suite: str, grid: schema.Grid, where: str) -> None:
        self._check(grid, where)
        grid = trimmed(grid, self.config.trim, self.pooled, self.recipes.is_sweep)
        for model in grid.models:
            for dataset in grid.datasets:
                for recipe in self._recipes(grid, where):
                    setting = Setting(model, dataset, recipe)
                    known = self.shifts.setdefault(setting, [])
                    known += [s for s in grid.shifts.get(dataset, []) if s not in known]
                    for cell in self._cells_of(setting, grid):
                        self._add(suite, cell, grid.scores)

    def _recipes(self, grid: schema.Grid, where: str) -> list[str]:
        expanded = (self.recipes.expand(name, f"{where}.recipes") for name in grid.recipes)
        return list(dict.fromkeys(recipe for names in expanded for recipe in names))

    def _cells_of(self, setting: Setting, grid: schema.Grid) -> Iterator[Cell]:
        for predictive in grid.predictives:
            alone = self.pooled(predictive) or self.recipes.get(setting.recipe, "recipe", "").adapter is None
            for seed in [0] if alone else grid.seed_list:
                yield Cell(*setting, seed, predictive)

    def _add(self, suite: str, cell: Cell, scores: list[str]) -> None:
        known = self.cells.setdefault(cell, [])
        known += [score for score in scores if score not in known and self.applies(score, cell)]
        suites = self.suites_of.setdefault(cell, [])
        if suite not in suites:
            suites.append(suite)

    def _add_gold(self, gold: schema.Gold, where: str) -> None:
        adapter = Adapter(gold.model, gold.dataset, gold.recipe, gold.seed)
        if adapter not in self.adapters:
            raise UserError(f"{where}: no grid of this run has {'/'.join(adapter[:3])}, seed {gold.seed}: "
                            "name a model, dataset, recipe and seed that one has")  # fmt: skip
        if self.dataset(gold.dataset).kind != "classification":
            raise UserError(f"{where}: {gold.dataset} is a choice dataset: name one for classification")
        if self.gold.setdefault(adapter, gold) != gold:
            raise UserError(f"{where}: another suite of this run asks for other settings: make them the same")

    def applies(self, score: str, cell: Cell) -> bool:
        """Scores of representations run on the adapter itself; scores of members need more than one."""
        needs, (name, size) = self.methods.score(score).needs, self.predictive(cell.predictive)
        if self.methods.score(score).reads == "records":
            provided = self.methods.kind(self.recipes.get(cell.recipe, "recipe", "")).provides
            return name == "point" and ("flu" not in needs or "flu" in provided)
        several = name != "point" and self.methods.predictive(name).samples and size != 1
        return "members" not in needs or several

    def _check(self, grid: schema.Grid, where: str) -> None:
        for model in grid.models:
            self.models.get(model, "model", f"{where}.models")
        for dataset in [*grid.datasets, *(s for shifts in grid.shifts.values() for s in shifts)]:
            self.dataset(dataset, f"{where}.datasets")
        for recipe in self._recipes(grid, where):
            found = self.recipes.get(recipe, "recipe", f"{where}.recipes")
            self.prompt(found.prompt, f"config/recipes/{recipe}.yaml: prompt")
        for score in grid.scores:
            load.pick(score, self.methods.scores, "score", f"{where}.scores")
        for predictive in grid.predictives:
            name, size = self.predictive(predictive)
            load.pick(name, {"point", *self.methods.predictives}, "predictive", f"{where}.predictives")
            if name != "point" and self.methods.predictive(name).sized != (size is not None):
                hint = f"{name}-5" if self.methods.predictive(name).sized else name
                raise UserError(f"{where}.predictives: '{predictive}': write '{hint}'")
        for name in grid.shifts:
            load.pick(name, grid.datasets, "training dataset", f"{where}.shifts")
        self._check_kinds(grid, where)
        self._check_adapters(grid, where)

    def _check_adapters(self, grid: schema.Grid, where: str) -> None:
        """A predictive that samples around an adapter needs one to sample around."""
        names = [name for name, _ in map(self.predictive, grid.predictives) if name != "point"]
        for name, recipe in itertools.product(names, self._recipes(grid, where)):
            needs, found = self.methods.predictive(name).needs, self.recipes.get(recipe, "recipe", where)
            file = f"config/recipes/{recipe}.yaml"
            if "lora" in needs and (found.adapter is None or "lora" not in self.methods.kind(found).provides):
                kind = "none" if found.adapter is None else f"of the kind {self.methods.kind_of(found)}"
                raise UserError(f"{where}.predictives: {name} needs a plain LoRA adapter; that of {file} is {kind}")
            if "dropout" in needs and not found.adapter.dropout:
                raise UserError(f"{where}.predictives: {name} needs adapter.dropout above 0 in {file}")

    def _check_kinds(self, grid: schema.Grid, where: str) -> None:
        for dataset in grid.datasets:
            spec = self.dataset(dataset, where)
            if not spec.splits.train:
                raise UserError(f"{where}.datasets: {dataset} is for evaluation only: list it under shifts")
            for model in grid.models:
                if spec.kind == "choice" and self.models.get(model, "model", where).kind == "encoder":
                    raise UserError(f"{where}: {model} is an encoder and cannot answer {dataset}: use a decoder")
            for shift in grid.shifts.get(dataset, []):
                other = self.dataset(shift, where)
                if other.kind != spec.kind or (spec.kind == "classification" and other.classes != spec.classes):
                    raise UserError(f"{where}.shifts: {shift} does not share the kind and classes of {dataset}")

    # -- what the workflow asks for ---------------------------------------------------------------------

    @cached_property
    def adapters(self) -> dict[Adapter, None]:
        """Every adapter whose records are needed, once, in a stable order (a dict for quick look-up)."""
        return {Adapter(*cell.setting, seed): None for cell in self.cells for seed in self.members(cell)}

    def evals(self, setting: Setting) -> list[str]:
        """The parts a setting is evaluated on: its own test split, then its shift sets."""
        return ["test", *self.shifts[setting]]

    def cells_of(self, setting: Setting) -> dict[Cell, list[str]]:
        return self._by_setting[setting]

    @property
    def settings(self) -> list[Setting]:
        return list(self._by_setting)

    @cached_property
    def _by_setting(self) -> dict[Setting, dict[Cell, list[str]]]:
        grouped: dict[Setting, dict[Cell, list[str]]] = {}
        for cell, scores in self.cells.items():
            grouped.setdefault(cell.setting, {})[cell] = scores
        return grouped

    def precision(self, recipe: str) -> precision.Precision:
        """Precision in which a recipe's models compute, `auto` resolved."""
        configured = self.config.precision or self.recipes.get(recipe, "recipe", "").precision
        return precision.native() if configured == "auto" else configured

    # -- datasets -------------------------------------------------------------------------------------

    def dataset(self, name: str, where: str = "config") -> data_schema.Dataset:
        return self._datasets.get(name, where)

    @cached_property
    def dataset_names(self) -> list[str]:
        """Every dataset that is trained or evaluated on."""
        trained = [setting.dataset for setting in self.settings]
        shifted = [shift for setting in self.settings for shift in self.shifts[setting]]
        return list(dict.fromkeys([*trained, *shifted]))

    def preparation(self, name: str) -> data_schema.Preparation:
        """Spec of a dataset's prepared examples, from the source the configuration prefers."""
        limit = self.config.limits.get(name, self.config.limit)
        sizes = {"train": limit.train, "valid": limit.valid, "test": limit.test}
        if name not in {setting.dataset for setting in self.settings}:
            sizes = {"test": limit.shift or limit.test}
        dataset = self.dataset(name)
        kind = self.source(list(dataset.sources.offered), f"config/datasets/{name}.yaml")
        return dataset.preparation(name, kind, {part: size for part, size in sizes.items() if size is not None})

    def model_source(self, name: str) -> str:
        """The kind of source that a model's files come from."""
        return self.source(list(self.models.get(name, "model", "").sources.offered), f"config/models/{name}.yaml")

    def prompt(self, name: str, where: str = "config") -> dict[str, Any]:
        return self._prompts.get(name, "prompt", where).model_dump()

    def source(self, offered: list[str], where: str) -> str:
        """The first kind of source, in the configuration's order, that a file offers."""
        for kind in self.config.sources:
            if kind in offered:
                return kind
        raise UserError(f"{where}: offers the sources {', '.join(offered)}; config: sources allows only "
                        f"{', '.join(self.config.sources)}")  # fmt: skip
