"""From configuration to cells: which adapters, predictives and scores a run consists of."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from peftuq.cells import Adapter, Cell, Predictive, Setting, parse_predictive
from peftuq.config import checks, load, precision, schema
from peftuq.config.methods import Methods
from peftuq.config.trim import trimmed
from peftuq.data import schema as data_schema
from peftuq.data.source_schema import Kind
from peftuq.errors import UserError

PARTS = ("train", "valid", "test")  # of a dataset
PACKAGE = Path(__file__).resolve().parents[1]


class Study:
    """A validated configuration, expanded. Raises `UserError` for anything it cannot run."""

    def __init__(self, config: dict[str, Any], root: Path, where: str = "config"):
        self.root = root
        self.config = load.validate(schema.Config, config, where)
        self._check_folders(where)
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

    def _check_folders(self, where: str) -> None:
        """Nothing of the checkout lies in a folder that a run fills, and that its user may remove."""
        own = [
            self.root.resolve(),
            *((PACKAGE.parents[1] / name).resolve() for name in ("src", "workflow", "docs", "tests")),
        ]
        for key in ("results", "reports"):
            if set(getattr(self.config, key)) & set("{}"):
                raise UserError(f"{where}: {key}: '{getattr(self.config, key)}' has a brace, which Snakemake takes for "
                                "a wildcard: name a folder without one")  # fmt: skip
        for key in ("results", "reports", "downloads"):
            folder = Path(getattr(self.config, key)).resolve()
            for path in own:
                if folder == path or folder in path.parents or path in folder.parents:
                    raise UserError(f"{where}: {key}: '{getattr(self.config, key)}' is, holds or lies in {path}, a "
                                    "folder of the workflow's own: name another")  # fmt: skip

    def _check_sources(self) -> None:
        """Everything can be had from an allowed source: found out now, not when its job starts."""
        for model in dict.fromkeys(setting.model for setting in self.settings):
            self.model_source(model)
        for dataset in self.dataset_names:
            self.preparation(dataset)

    # -- predictives ---------------------------------------------------------------------------------

    def predictive(self, key: str, where: str = "") -> Predictive:
        """A predictive's name and size; `UserError`, prefixed with `where`, for a key of another form."""
        try:
            return parse_predictive(key)
        except UserError as error:
            raise UserError(f"{where}: {error}" if where else str(error)) from error

    def members(self, cell: Cell) -> list[int]:
        """The seeds whose adapters supply a cell's samples: the first M for an ensemble, else its own."""
        return list(range(cell.seed, cell.seed + (self.pooled(cell.predictive) or 1)))

    def pooled(self, predictive: str) -> int | None:
        """How many adapters a predictive pools; None for one that works on a single adapter."""
        name, size = self.predictive(predictive)
        return (size or 1) if name != "point" and "members" in self.methods.predictive(name).needs else None

    # -- expansion ------------------------------------------------------------------------------------

    def _expand(self, suite: str, grid: schema.Grid, where: str) -> None:
        checks.check(self, grid, where)
        grid = trimmed(grid, self.config.trim, self.pooled, self.recipes.is_sweep)
        for model in grid.models:
            for dataset in grid.datasets:
                for recipe in self.recipes_of(grid, where):
                    setting = Setting(model, dataset, recipe)
                    known = self.shifts.setdefault(setting, [])
                    known += [s for s in grid.shifts.get(dataset, []) if s not in known]
                    for cell in self._cells_of(setting, grid):
                        self._add(suite, cell, grid.scores)

    def recipes_of(self, grid: schema.Grid, where: str) -> list[str]:
        """A grid's recipes, a sweep as those it stands for."""
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
            return name == "point" and {"flu", "evidence"}.intersection(needs) <= set(provided)
        several = name != "point" and self.methods.predictive(name).samples and size != 1
        return "members" not in needs or several

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
        if name in PARTS:
            raise UserError(f"{where}: a dataset may not be called '{name}', for so are the splits of each: rename it")
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
        kind = self.source_of(name)
        return dataset.preparation(name, kind, {part: size for part, size in sizes.items() if size is not None})

    def source_of(self, name: str) -> Kind:
        """The kind of source that a dataset comes from."""
        return self.source(list(self.dataset(name).sources.offered), f"config/datasets/{name}.yaml")

    def model_source(self, name: str) -> Kind:
        """The kind of source that a model's files come from."""
        return self.source(list(self.models.get(name, "model", "").sources.offered), f"config/models/{name}.yaml")

    def prompt(self, name: str, where: str = "config") -> schema.Prompt:
        found: schema.Prompt = self._prompts.get(name, "prompt", where)
        return found

    def prompt_for(self, recipe: str, dataset: str) -> str:
        """Name of the prompt that a recipe asks a dataset's questions with."""
        name = self.recipes.get(recipe, "recipe", "").prompt
        return self.prompt(name).datasets.get(dataset, name)

    def template(self, prompt: str) -> dict[str, Any]:
        return self.prompt(prompt).model_dump(exclude={"datasets"})

    def source(self, offered: list[Kind], where: str) -> Kind:
        """The first kind of source, in the configuration's order, that a file offers."""
        for kind in self.config.sources:
            if kind in offered:
                return kind
        raise UserError(f"{where}: offers the sources {', '.join(offered)}; config: sources allows only "
                        f"{', '.join(self.config.sources)}")  # fmt: skip
