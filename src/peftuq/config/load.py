"""Read and validate everything under `config/` before any job starts."""

import difflib
import math
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from peftuq.config import schema
from peftuq.config.recipe import Recipe, Sweep
from peftuq.data import schema as data_schema
from peftuq.data.prompts import Template
from peftuq.errors import UserError
from peftuq.plugins import Parametrised

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
M = TypeVar("M")
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; `UserError` names the file and line of a syntax error."""
    try:
        content = yaml.load(path.read_text(), Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        raise UserError(f"{path}:{line} not valid YAML: {getattr(error, 'problem', error)}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: must be a mapping of keys to values")
    return content


def validate(model: type[M], content: dict[str, Any], where: str) -> M:
    """`content` as a pydantic model or dataclass; the first mistake becomes one line: file, key, what is allowed."""
    try:
        return TypeAdapter(model).validate_python(content)
    except ValidationError as failure:
        # A misspelt key leaves the right one missing: the misspelling says more.
        errors = failure.errors(include_url=False)
        error = next((error for error in errors if error["type"] in _UNKNOWN), errors[0])
        raise UserError(f"{where}: {_explain(model, error)}") from failure


def _explain(model: type, error: Mapping[str, Any]) -> str:
    loc = [part for part in error["loc"] if not str(part).startswith(("function-", "list[", "constrained-"))]
    key = ".".join(str(part) for part in loc)
    if error["type"] in _UNKNOWN:
        parent = _model_at(model, loc[:-1])
        known = sorted(_fields(parent)) if parent else []
        return f"unknown key '{key}'{_suggest(str(loc[-1]), known)}; allowed: {', '.join(known)}"
    if error["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"key '{key}' is missing"
    if error["type"] == "value_error":
        return error["msg"].removeprefix("Value error, ")
    message = error["msg"][0].lower() + error["msg"][1:]
    return f"key '{key}': {message}, got {error['input']!r}"


def _fields(model: type) -> dict[str, Any]:
    """The keys of a pydantic model or a dataclass, with their annotations."""
    if is_dataclass(model):
        return {field.name: field.type for field in fields(model)}
    return {name: field.annotation for name, field in model.model_fields.items()}


def _model_at(model: type | None, loc: Iterable[Any]) -> type | None:
    """The model found by following `loc` from `model`, through lists, dicts, optionals and unions."""
    for part in loc:
        if model is None:
            return None
        if isinstance(part, int) or part not in _fields(model):
            continue
        model = _inner_model(_fields(model)[part])
    return model


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in typing.get_args(annotation) if (found := _inner_model(arg))), None)


def _suggest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def pick(name: str, known: Iterable[str], what: str, where: str) -> str:
    """`name` if it is among `known`; else a `UserError` that lists what is."""
    known = sorted(known)
    if name not in known:
        raise UserError(f"{where}: unknown {what} '{name}'{_suggest(name, known)}; allowed: {', '.join(known)}")
    return name


class Folder:
    """One `config/` folder of one-file-an-entry YAML, loaded and validated on demand."""

    def __init__(self, path: Path, parse: Callable[[dict[str, Any], str], Any]):
        self.path, self._parse, self._loaded = path, parse, {}
        self._files = {file.stem for file in path.glob("*.yaml")}
        self.names = sorted(name for name in self._files if not name.startswith("_"))  # _name: only to extend

    def get(self, name: str, what: str, where: str) -> Any:
        if name not in self._loaded:
            pick(name, self.names, what, where)
            file = self.path / f"{name}.yaml"
            self._loaded[name] = self._parse(self._extended(name), str(file))
        return self._loaded[name]

    def raw(self, name: str) -> dict[str, Any]:
        return read_yaml(self.path / f"{name}.yaml")

    def _extended(self, name: str) -> dict[str, Any]:
        """The file's content laid over that of the file it `extends`, key by key."""
        content = self.raw(name)
        base = content.pop("extends", None)
        if base is None:
            return content
        pick(base, self._files - {name}, "file to extend", f"{self.path / name}.yaml")
        return merge(self._extended(base), content)


class Recipes(Folder):
    """Recipes; a file with `sweep: {key, values}` stands for one recipe per value, named `<file>.<value>`."""

    def __init__(self, path: Path, check: Callable[[Recipe, str], Recipe]):
        super().__init__(path, lambda content, where: check(validate(Recipe, content, where), where))
        self._swept = cache(self._read_sweep)

    def expand(self, name: str, where: str) -> list[str]:
        """The recipes that a name stands for; a value that the extended recipe already has is that recipe itself."""
        pick(name, self.names, "recipe", where)
        return list(self._swept(name)) or [name]

    def is_sweep(self, name: str) -> bool:
        return bool(self._swept(name))

    def get(self, name: str, what: str, where: str) -> Any:
        file = self._sweep_of(name)
        if name not in self._loaded and file is not None:
            self._loaded[name] = self._parse(self._swept(file)[name], str(self.path / f"{file}.yaml"))
        return super().get(name, what, where)

    def _sweep_of(self, name: str) -> str | None:
        """The file of a recipe that is a value of a sweep."""
        return next((file for file in self.names if name.startswith(f"{file}.") and name not in self.names), None)

    def _read_sweep(self, name: str) -> dict[str, dict[str, Any]]:
        """A sweep's recipes by name; empty for a file that is a recipe."""
        sweep = self.raw(name).get("sweep")
        if sweep is None:
            return {}
        where = f"{self.path / name}.yaml"
        sweep = validate(Sweep, sweep, f"{where}: sweep")
        base = self._extended(name)
        del base["sweep"]
        extended = self.raw(name).get("extends")
        plain = None if extended is None else self._extended(extended)
        found = {}
        for value in sweep.values:
            content = merge(base, _nested(sweep.key.split("."), value))
            recipe = self._parse(content, f"{where}: sweep value {value}")
            same = plain is not None and recipe == self._parse(plain, where)
            found[extended if same else f"{name}.{value:g}"] = content
        return found


def _nested(keys: list[str], value: Any) -> dict[str, Any]:
    return {keys[0]: _nested(keys[1:], value)} if len(keys) > 1 else {keys[0]: value}


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid over `base`, recursively for mappings."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def with_overrides(declared: Parametrised, overrides: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A plug-in's parameters with the user's changes: keys must exist, keep their type and lie in their bounds."""
    params = dict(declared.params)
    for key, value in overrides.items():
        pick(key, params, "parameter", where)
        params[key] = _like(params[key], value, f"{where}.{key}")
    for key, (least, most) in declared.bounds.items():
        limit, name = (params[most], f"{most} = ") if isinstance(most, str) else (most, "")
        for value in params[key] if isinstance(params[key], list) else [params[key]]:
            if least is not None and value < least:
                raise UserError(f"{where}.{key}: must be at least {least}, got {value!r}")
            if limit is not None and value > limit:
                raise UserError(f"{where}.{key}: must be at most {name}{limit}, got {value!r}")
    for key, allowed in declared.choices.items():
        for value in params[key] if isinstance(params[key], list) else [params[key]]:
            pick(value, allowed, "value", f"{where}.{key}")
    return params


def _like(default: Any, value: Any, where: str) -> Any:
    """`value` with the type of `default`; a list that is not empty keeps at least one entry, each like its own."""
    if default is None:
        return value
    if isinstance(default, list) and isinstance(value, list) and default and value:
        return [_like(default[0], entry, where) for entry in value]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(default, float) and number and math.isfinite(value):
        return float(value)
    if type(default) is int and number and value == int(value):
        return int(value)
    if isinstance(default, list | float) or type(value) is not type(default):
        raise UserError(f"{where}: must be {type(default).__name__} like {default!r}, got {value!r}")
    return value


def models(root: Path) -> Folder:
    return Folder(root / "models", lambda content, where: validate(schema.Model, content, where))


def recipes(root: Path, check: Callable[[Recipe, str], Recipe]) -> Recipes:
    """`check(recipe, file)`: the recipe with its kind of adapter's parameters; it may raise `UserError`."""
    return Recipes(root / "recipes", check)


def suites(root: Path) -> Folder:
    return Folder(root / "suites", lambda content, where: validate(schema.Suite, content, where))


def datasets(root: Path) -> Folder:
    return Folder(root / "datasets", lambda content, where: validate(data_schema.Dataset, content, where))


def prompts(root: Path) -> Folder:
    return Folder(root / "prompts", lambda content, where: validate(Template, content, where))
