"""The scores and predictives that there are, each with the configuration's parameters."""

import ast
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from peftuq.errors import UserError
from peftuq.grid import load
from peftuq.plugins import Plugin, Predictive, Score

P = TypeVar("P", Score, Predictive)


class Methods:
    """Plug-ins by name. `overrides`: method → parameters that differ from its defaults, checked here."""

    def __init__(self, package: Path, overrides: Mapping[str, Mapping[str, Any]], where: str):
        self.scores = _files(package / "scores", Score)
        self.predictives = _files(package / "predict", Predictive)
        self._overrides, self._where, self._read = overrides, where, {}
        for name in overrides:
            load.pick(name, self.files, "method", f"{where}: methods")
            _ = self[name]

    @cached_property
    def files(self) -> dict[str, Path]:
        return {**self.predictives, **self.scores}

    def __getitem__(self, name: str) -> Plugin:
        return self.score(name) if name in self.scores else self.predictive(name)

    def score(self, name: str) -> Score:
        return self._declared(name, Score)

    def predictive(self, name: str) -> Predictive:
        return self._declared(name, Predictive)

    def _declared(self, name: str, kind: type[P]) -> P:
        if name not in self._read:
            declared = declaration(self.files[name], kind)
            overrides = self._overrides.get(name, {})
            params = load.with_overrides(declared.params, overrides, f"{self._where}: methods.{name}")
            self._read[name] = replace(declared, params=params)
        return self._read[name]


def _files(folder: Path, kind: type[Plugin]) -> dict[str, Path]:
    """Plug-in files of a package's folder by name: those that hold a declaration of this kind."""
    declares = re.compile(rf"^\w+ = {kind.__name__}\(", re.MULTILINE)
    return {file.stem: file for file in sorted(folder.glob("*.py")) if declares.search(file.read_text())}


def declaration(file: Path, kind: type[P]) -> P:
    """The declaration in a plug-in's file, read without importing it. `UserError` for one that is not valid."""
    for node in ast.parse(file.read_text()).body:
        call = node.value if isinstance(node, ast.Assign) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == kind.__name__:
            try:
                content = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
            except ValueError as error:
                raise UserError(f"{file}: {kind.__name__}(…): write its values as literals ({error})") from error
            return load.validate(kind, content, f"{file}: {kind.__name__}")
    raise UserError(f"{file}: declares no {kind.__name__}(…): see docs/adding.md")
