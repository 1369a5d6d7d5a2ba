"""A grid's parts fit each other: found out when the workflow is planned, before anything is computed."""

import itertools
from typing import Protocol

from peftuq.cells import Cell, Predictive
from peftuq.config import load, schema
from peftuq.config.methods import Methods
from peftuq.config.recipe import Adapter
from peftuq.config.roles import PLACES
from peftuq.data.schema import Dataset
from peftuq.data.source_schema import Kind
from peftuq.errors import UserError

MOST_CELLS = 200_000  # of a grid
LARGEST = 1000  # members, epochs or samples of a predictive


class Named(Protocol):
    """The things that names in a grid stand for; a `config.study.Study` has them."""

    models: load.Folder
    recipes: load.Recipes
    methods: Methods

    def dataset(self, name: str, where: str = ...) -> Dataset: ...

    def prompt(self, name: str, where: str = ...) -> schema.Prompt: ...

    def prompt_for(self, recipe: str, dataset: str) -> str: ...

    def predictive(self, key: str, where: str = ...) -> Predictive: ...

    def recipes_of(self, grid: schema.Grid, where: str) -> list[str]: ...

    def source_of(self, name: str) -> Kind: ...

    def applies(self, score: str, cell: Cell) -> bool: ...


def check(study: Named, grid: schema.Grid, where: str) -> None:
    """Raises `UserError` for a name that stands for nothing, and for parts that cannot be combined."""
    _names(study, grid, where)
    _size(study, grid, where)
    for recipe in study.recipes_of(grid, where):
        for predictive in grid.predictives:
            _predictive(study, recipe, predictive, grid.predictives, where)
        for model in grid.models:
            _adapter(study, recipe, model, where)
    _kinds(study, grid, where)
    _scores(study, grid, where)


def _names(study: Named, grid: schema.Grid, where: str) -> None:
    for model in grid.models:
        study.models.get(model, "model", f"{where}.models")
    for dataset in grid.datasets:
        study.dataset(dataset, f"{where}.datasets")
    for name, shifts in grid.shifts.items():
        load.pick(name, grid.datasets, "training dataset", f"{where}.shifts")
        for shift in shifts:
            study.dataset(shift, f"{where}.shifts.{name}")
    for recipe in study.recipes_of(grid, where):
        found = study.recipes.get(recipe, "recipe", f"{where}.recipes")
        prompt = study.prompt(found.prompt, f"{study.recipes.file(recipe)}: prompt")
        for dataset, other in prompt.datasets.items():
            study.dataset(dataset, f"config/prompts/{found.prompt}.yaml: datasets")
            study.prompt(other, f"config/prompts/{found.prompt}.yaml: datasets.{dataset}")
    for score in grid.scores:
        load.pick(score, study.methods.scores, "score", f"{where}.scores")
    for predictive in grid.predictives:
        _sized(study, predictive, f"{where}.predictives")


def _sized(study: Named, predictive: str, where: str) -> None:
    name, size = study.predictive(predictive, where)
    load.pick(name, {"point", *study.methods.predictives}, "predictive", where)
    sized = name != "point" and study.methods.predictive(name).sized
    if sized != (size is not None):
        raise UserError(f"{where}: '{predictive}': write '{name}-5'" if sized else
                        f"{where}: '{predictive}': write '{name}'")  # fmt: skip
    if size is not None and size > LARGEST:
        raise UserError(f"{where}: '{predictive}': must be at most {name}-{LARGEST}")


def _size(study: Named, grid: schema.Grid, where: str) -> None:
    recipes = len(study.recipes_of(grid, where))
    counts = (len(grid.models), len(grid.datasets), recipes, len(grid.seed_list), len(grid.predictives))
    cells = 1
    for count in counts:
        cells *= count
    if cells > MOST_CELLS:
        raise UserError(f"{where}: {' × '.join(map(str, counts))} = {cells} cells (models × datasets × recipes × "
                        f"seeds × predictives): name at most {MOST_CELLS}")  # fmt: skip


# -- recipes --------------------------------------------------------------------------------------------


def _predictive(study: Named, recipe: str, predictive: str, predictives: list[str], where: str) -> None:
    """A predictive has what it works on: an adapter to sample around, members that differ, epochs on record."""
    name, size = study.predictive(predictive)
    if name == "point":
        return
    declared, found = study.methods.predictive(name), study.recipes.get(recipe, "recipe", where)
    file, where = study.recipes.file(recipe), f"{where}.predictives"
    if "lora" in declared.needs and (found.adapter is None or "lora" not in study.methods.kind(found).provides):
        kind = "none" if found.adapter is None else f"of the kind {study.methods.kind_of(found)}"
        raise UserError(f"{where}: {name} needs a plain LoRA adapter; that of {file} is {kind}")
    if "dropout" in declared.needs and not found.adapter.dropout:
        raise UserError(f"{where}: {name} needs adapter.dropout above 0 in {file}")
    if "posterior" in declared.needs and (
        found.adapter is None or "posterior" not in study.methods.kind(found).provides
    ):
        kinds = ", ".join(f"adapter.{section}" for section in study.methods.sections_with("posterior"))
        raise UserError(f"{where}: {name} needs an adapter with a posterior; give {file} one of {kinds}, or leave "
                        f"{name} out")  # fmt: skip
    if declared.reads == "samples" and declared.params["of"] not in predictives:
        raise UserError(f"{where}: {name} pools the samples of {declared.params['of']}: add that, or change "
                        f"methods.{name}.of")  # fmt: skip
    if "members" in declared.needs and found.adapter is None:
        raise UserError(f"{where}: {name} pools adapters, and {file} trains none: its members would be the same")
    if declared.reads == "epochs":
        if found.epoch_records is None:
            raise UserError(f"{where}: {name} needs the key epoch_records in {file}: add it, or leave {name} out")
        epochs = found.optimiser.epochs  # of `max_steps` their number depends on the dataset, and the job finds out
        if size is not None and epochs is not None and size > epochs:
            raise UserError(f"{where}: '{predictive}': {file} trains {epochs} epochs: lower the size")


def _adapter(study: Named, recipe: str, model: str, where: str) -> None:
    """Every role that is adapted is one of the model's, and something is adapted."""
    found, backbone = study.recipes.get(recipe, "recipe", where), study.models.get(model, "model", where)
    adapter = found.adapter
    if adapter is None:
        return
    file = study.recipes.file(recipe)
    for role in adapter.targets:
        if role != "lm_head" and role not in backbone.modules:
            raise UserError(f"{file}: adapter.targets: '{role}' is not among the modules of "
                            f"{study.models.file(model)}: name some of {', '.join(backbone.modules)}")  # fmt: skip
    depth = backbone.config["num_hidden_layers"]
    if adapter.top_layers is not None and adapter.top_layers > depth:
        raise UserError(f"{file}: adapter.top_layers: must be at most {depth}, the layers of {model}")
    kind = study.methods.kind(found)
    if kind.places is not None and kind.section is not None:
        _places(adapter, kind.section, kind.places, gated="gate" in backbone.modules, where=file)


def _places(adapter: Adapter, section: str, parameter: str, gated: bool, where: str) -> None:
    """Each place that a kind has layers of its own in has a target there; a gated FFN is adapted whole."""
    for place in adapter.sections[section][parameter]:
        roles = [role for role in PLACES[place] if role in adapter.targets]
        if not roles:
            raise UserError(f"{where}: adapter.{section}.{parameter}: no target lies in {place}: add some of "
                            f"{', '.join(PLACES[place])} to adapter.targets")  # fmt: skip
        if place == "ffn" and gated and set(roles) != set(PLACES[place]):
            raise UserError(f"{where}: adapter.targets has {', '.join(roles)}: {section} on a gated FFN spans all "
                            "of it: name gate, up and down")  # fmt: skip


# -- datasets and scores --------------------------------------------------------------------------------


def _kinds(study: Named, grid: schema.Grid, where: str) -> None:
    for dataset in grid.datasets:
        spec = study.dataset(dataset, where)
        if not spec.labelled:
            raise UserError(f"{where}.datasets: {dataset} has no labels to train on: list it under shifts")
        if not spec.splits_of(study.source_of(dataset)).train:
            raise UserError(f"{where}.datasets: {dataset} is for evaluation only: list it under shifts")
        for model in grid.models:
            if spec.kind == "choice" and study.models.get(model, "model", where).kind == "encoder":
                raise UserError(f"{where}: {model} is an encoder and cannot answer {dataset}: use a decoder")
        for shift in grid.shifts.get(dataset, []):
            other = study.dataset(shift, where)
            alike = spec.kind == "choice" or other.classes == spec.classes or not (other.labelled or other.classes)
            if other.kind != spec.kind or not alike:
                raise UserError(f"{where}.shifts: {shift} does not share the kind and classes of {dataset}")
        for recipe in study.recipes_of(grid, where):
            found = study.recipes.get(recipe, "recipe", where)
            if found.adapter is None and spec.kind == "classification":
                raise UserError(f"{where}.recipes: {study.recipes.file(recipe)} trains nothing (adapter: null), "
                                f"and a head that nobody trained cannot "
                                f"classify {dataset}: use a choice dataset")  # fmt: skip
            if found.adapts_lm_head and spec.kind == "classification":
                raise UserError(f"{study.recipes.file(recipe)}: adapter.targets: lm_head: {dataset} is classified by a "
                                "head of its own: use a choice dataset, or remove lm_head")  # fmt: skip
            if spec.kind == "choice":
                prompt = study.prompt_for(recipe, dataset)
                for name in (dataset, *grid.shifts.get(dataset, [])):
                    _labels(study, prompt, name, f"{study.recipes.file(recipe)}: prompt")


def _labels(study: Named, prompt: str, dataset: str, where: str) -> None:
    labels, classes = study.prompt(prompt).labels, study.dataset(dataset).classes
    if len(classes) > len(labels):
        raise UserError(f"{where}: '{prompt}' has {len(labels)} labels, and {dataset} up to {len(classes)} options: "
                        "use another prompt, or give it more labels")  # fmt: skip


def _scores(study: Named, grid: schema.Grid, where: str) -> None:
    """A score that is asked for is computed somewhere."""
    pairs = list(itertools.product(study.recipes_of(grid, where), grid.predictives))
    for score in grid.scores:
        cells = (Cell(grid.models[0], grid.datasets[0], recipe, 0, predictive) for recipe, predictive in pairs)
        if not any(study.applies(score, cell) for cell in cells):
            declared = study.methods.score(score)
            needs = f"the predictive point{', and ' + ', '.join(declared.needs) if declared.needs else ''}" \
                if declared.reads == "records" else "a predictive of several members"  # fmt: skip
            raise UserError(f"{where}.scores: {score} applies to nothing in this grid, for it needs {needs}: remove "
                            "it, or add that")  # fmt: skip
