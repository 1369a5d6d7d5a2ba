"""The plug-ins that there are: scores and predictives with the configuration's parameters, and kinds of adapter."""

import ast
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from peftuq.cells import PREDICTION
from peftuq.config import load, parameters
from peftuq.config.recipe import Adapter, Recipe
from peftuq.errors import UserError
from peftuq.files import read_text
from peftuq.plugins import NAME, AdapterKind, Plugin, Predictive, Score

LARGEST = 2**22  # bytes of a plug-in's file
FUNCTIONS: dict[type[Plugin], tuple[str, ...]] = {
    Score: ("score",),
    Predictive: ("predict",),
    AdapterKind: ("attach", "load", "read_out", "extra_loss"),
}
P = TypeVar("P", Score, Predictive, AdapterKind)


class Methods:
    """Plug-ins by name. `overrides`: method → parameters that differ from its defaults, checked here."""

    def __init__(self, package: Path, overrides: Mapping[str, Mapping[str, Any]], where: str):
        self.scores = _files(package / "scores", Score)
        self.predictives = _files(package / "predictives", Predictive)
        self.kinds = _files(package / "adapters", AdapterKind)
        self._overrides, self._where, self._read = overrides, where, {}
        self._check_names()
        for name in overrides:
            load.pick(name, self.files, "method", f"{where}: methods")
            _ = self[name]

    def _check_names(self) -> None:
        """Every name, in a configuration or in the tables of metrics, stands for one thing."""
        if PREDICTION in self.scores:
            raise UserError(f"{self.scores[PREDICTION]}: '{PREDICTION}' is a reserved name: rename the file")
        taken = {PREDICTION: "a reserved name"}
        for name, file in self.scores.items():
            for variant in declaration(file, Score).variants:
                if variant in taken:
                    raise UserError(f"{file}: variants: '{variant}' is {taken[variant]}: rename it")
                taken[variant] = f"one of {name}'s already"
        for name in self.scores.keys() & self.predictives.keys():
            raise UserError(f"{self.scores[name]}: {self.predictives[name]} has the same name: rename one of them")
        if "point" in self.predictives:
            raise UserError(f"{self.predictives['point']}: 'point' is the adapter itself: rename the file")
        sections: dict[str | None, Path] = {}
        for name, kind in self._kinds.items():
            if kind.section in sections:
                raise UserError(
                    f"{self.kinds[name]}: section: {sections[kind.section]} has the same: rename one of them"
                )
            sections[kind.section] = self.kinds[name]

    @cached_property
    def files(self) -> dict[str, Path]:
        return {**self.predictives, **self.scores}

    def __getitem__(self, name: str) -> Plugin:
        return self.score(name) if name in self.scores else self.predictive(name)

    def score(self, name: str) -> Score:
        return self._declared(name, Score)

    def predictive(self, name: str) -> Predictive:
        return self._declared(name, Predictive)

    # -- kinds of adapter ------------------------------------------------------------------------------

    @cached_property
    def _kinds(self) -> dict[str, AdapterKind]:
        return {name: declaration(file, AdapterKind) for name, file in self.kinds.items()}

    @cached_property
    def _by_section(self) -> dict[str | None, str]:
        return {kind.section: name for name, kind in self._kinds.items()}

    def kind_of(self, recipe: Recipe) -> str:
        """The kind of a recipe's adapter; that of the untuned model, whose adapter is null, is LoRA's."""
        sections = recipe.adapter.sections if recipe.adapter is not None else {}
        return self._by_section[next(iter(sections), None)]

    def kind(self, recipe: Recipe) -> AdapterKind:
        return self._kinds[self.kind_of(recipe)]

    def sections_with(self, provided: str) -> list[str]:
        """The sections of the kinds of adapter that provide something, in the order of their files."""
        return [kind.section for kind in self._kinds.values() if kind.section and provided in kind.provides]

    def recipe(self, recipe: Recipe, where: str) -> Recipe:
        """`recipe` with all parameters of its kind of adapter. `UserError` for what that kind does not take."""
        if recipe.adapter is not None:
            allowed = [*type(recipe.adapter).model_fields, *filter(None, self._by_section)]
            for section, value in recipe.adapter.sections.items():
                load.pick(section, allowed, "key below adapter", where)
                if not isinstance(value, dict):
                    raise UserError(f"{where}: adapter.{section}: must be a mapping of keys to values, got {value!r}")
            if len(recipe.adapter.sections) > 1:
                raise UserError(f"{where}: adapter: {' and '.join(recipe.adapter.sections)} are two kinds: keep one")
        kind = self.kind(recipe)
        if recipe.adapter is not None:
            _check_sizes(recipe.adapter, kind, where)
        for part in recipe.parts:
            if part not in kind.takes:
                others = [k for k in self._kinds.values() if part in k.takes]
                takers = [f"adapter.{k.section}" if k.section else "plain LoRA" for k in others]
                raise UserError(f"{where}: {part}: needs {' or '.join(takers)}; remove it, or change adapter")
        if "evidence" in kind.provides and (recipe.loss.label_smoothing or recipe.loss.focal):
            raise UserError(f"{where}: loss: adapter.{kind.section} has a loss in place of the cross-entropy: remove "
                            "label_smoothing and focal")  # fmt: skip
        if kind.section is None:
            return recipe
        params = parameters.with_overrides(
            kind, recipe.adapter.sections[kind.section], f"{where}: adapter.{kind.section}"
        )
        adapter = recipe.adapter.model_copy(update={kind.section: params})
        return recipe.model_copy(update={"adapter": adapter})

    def _declared(self, name: str, kind: type[P]) -> P:
        if name not in self._read:
            declared = declaration(self.files[name], kind)
            overrides = self._overrides.get(name, {})
            params = parameters.with_overrides(declared, overrides, f"{self._where}: methods.{name}")
            self._read[name] = replace(declared, params=params)
        return self._read[name]


def _check_sizes(adapter: Adapter, kind: AdapterKind, where: str) -> None:
    for name, value in adapter.sizes.items():
        if kind.low_rank and value is None:
            raise UserError(f"{where}: key 'adapter.{name}' is missing")
        if not kind.low_rank and value is not None:
            raise UserError(f"{where}: adapter.{name}: adapter.{kind.section} has none: remove it, or write null")


def _files(folder: Path, kind: type[Plugin]) -> dict[str, Path]:
    """Plug-ins of a package's folder by name: a file that holds a declaration of this kind, or a folder whose
    `method.py` does."""
    declares = re.compile(rf"^\w+\s*(:[^=\n]*)?=\s*([\w.]+\.)?{kind.__name__}\(", re.MULTILINE)
    found: dict[str, Path] = {}
    for file in sorted(folder.rglob("*.py")):
        if declares.search(read_text(file, LARGEST)):
            name = file.parent.name if file.stem == "method" else file.stem
            if not re.fullmatch(NAME, name):
                raise UserError(f"{file}: '{name}' is no name of a plug-in: rename it to small letters, digits and _, "
                                "the first a letter")  # fmt: skip
            if name in found:
                raise UserError(f"{file}: {found[name]} declares '{name}' already: rename one of them")
            found[name] = file
    return found


def declaration(file: Path, kind: type[P]) -> P:
    """The declaration in a plug-in's file, read without importing it. `UserError` for one that is not valid."""
    statements = _parsed(file)
    for node in statements:
        call = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] == kind.__name__:
            if call.args or any(word.arg is None for word in call.keywords):
                raise UserError(f"{file}: line {node.lineno}: {kind.__name__}(…): write every value as name=value")
            try:
                content = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
            except (ValueError, TypeError) as error:
                raise UserError(
                    f"{file}: line {node.lineno}: {kind.__name__}(…): write its values as literals ({error})"
                ) from error
            declared = load.validate(kind, content, f"{file}: {kind.__name__}")
            _check_functions(statements, FUNCTIONS[kind], file)
            return declared
    raise UserError(f"{file}: declares no {kind.__name__}(…): see docs/adding.md")


def _check_functions(statements: list[ast.stmt], wanted: tuple[str, ...], file: Path) -> None:
    """The file defines or imports each of the functions that are `wanted` of it."""
    found: set[str] = set()
    for node in statements:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
    for name in wanted:
        if name not in found:
            raise UserError(f"{file}: has no function {name}(…): define it, or import it by its name (docs/adding.md)")


def _parsed(file: Path) -> list[ast.stmt]:
    try:
        return ast.parse(read_text(file, LARGEST)).body
    except (SyntaxError, ValueError) as error:
        line = f"line {error.lineno}: " if isinstance(error, SyntaxError) else ""
        raise UserError(f"{file}: {line}not valid Python: {error}") from error
