"""Read and validate everything under `config/` before any job starts."""

import difflib
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from peftuq.config import schema, strict_yaml
from peftuq.config.recipe import Recipe, Sweep
from peftuq.data import schema as data_schema
from peftuq.errors import UserError

M = TypeVar("M")
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_MISSING = ("missing", "missing_argument", "missing_keyword_only_argument")
_BRANCH = re.compile(r"(function|constrained)-.*|list\[.*|str|int|float|bool")  # of a union: no key of the user's
_SHOWN = 80  # characters of a wrong value


def configuration(files: Iterable[Path], over: Mapping[str, Any] = {}) -> dict[str, Any]:
    """Configuration files laid over each other in order, and `over` (the command line's) over them."""
    found: dict[str, Any] = {}
    for file in files:
        found = merge(found, strict_yaml.read(file))
    return merge(found, dict(over))


def validate(model: type[M], content: dict[str, Any], where: str) -> M:
    """`content` as a pydantic model or dataclass; the first mistake becomes one line: file, key, what is allowed."""
    try:
        return _validator(model).validate_python(content)
    except ValidationError as failure:
        # A misspelt key leaves the right one missing: the misspelling says more.
        errors = failure.errors(include_url=False)
        error = next((error for error in errors if error["type"] in _UNKNOWN), errors[0])
        raise UserError(f"{where}: {_explain(model, error)}") from failure


@cache
def _validator(model: type) -> TypeAdapter:
    """Building one takes far longer than using it."""
    return TypeAdapter(model)


def _explain(model: type, error: Mapping[str, Any]) -> str:
    loc = [part for part in error["loc"] if not _BRANCH.fullmatch(str(part))]
    key = ".".join(str(part) for part in loc)
    if error["type"] in _UNKNOWN:
        parent = _model_at(model, loc[:-1])
        known = sorted(_fields(parent)) if parent else []
        return f"unknown key '{key}'{_suggest(str(loc[-1]), known)}; allowed: {', '.join(known)}"
    if error["type"] in _MISSING:
        return f"key '{key}' is missing"
    if error["type"] == "value_error":
        message = error["msg"].removeprefix("Value error, ")
        return message if not loc or message.startswith(str(loc[0])) else f"key '{key}': {message}"
    message = error["msg"][0].lower() + error["msg"][1:]
    return f"key '{key}': {message}, got {shown(error['input'])}{_REMEDIES.get(error['type'], '')}"


_REMEDIES = {
    "string_type": ": write it in quotes",
    "string_pattern_mismatch": ": names are of small letters, digits, _ and ., the first no _ or .: rename the file",
    "finite_number": ": write a number",
    "dict_type": ": write keys and values below it",
    "list_type": ": write it in brackets, [ ]",
}


def shown(value: Any) -> str:
    """A wrong value in a message: its beginning, if it is long."""
    text = f"an integer of {value.bit_length()} bits" if isinstance(value, int) and value > 10**30 else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"


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
    if not isinstance(name, str):
        raise UserError(f"{where}: {shown(name)} is no {what}; allowed: {', '.join(known)}")
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

    def file(self, name: str) -> str:
        """Where an entry is written, for messages."""
        return f"config/{self.path.name}/{name}.yaml"

    def raw(self, name: str) -> dict[str, Any]:
        return strict_yaml.read(self.path / f"{name}.yaml")

    def _extended(self, name: str, extending: tuple[str, ...] = ()) -> dict[str, Any]:
        """The file's content laid over that of the file it `extends`, key by key; `extending`: those that led to it."""
        content = self.raw(name)
        base = content.pop("extends", None)
        if base is None:
            return content
        where, chain = f"{self.path / name}.yaml: extends", (*extending, name)
        pick(base, self._files, "file to extend", where)
        if base in chain:
            raise UserError(f"{where}: {' → '.join((*chain, base))} is a circle: remove one 'extends'")
        return merge(self._extended(base, chain), content)


class Recipes(Folder):
    """Recipes; a file with `sweep: {key, values}` stands for one recipe per value, named `<file>.<value>`."""

    def __init__(self, path: Path, check: Callable[[Recipe, str], Recipe]):
        super().__init__(path, lambda content, where: check(validate(Recipe, content, where), where))
        self._swept = cache(self._read_sweep)

    def expand(self, name: str, where: str) -> list[str]:
        """The recipes that a name stands for; a value that the extended recipe already has is that recipe itself."""
        pick(name, self.names, "recipe", where)
        return list(self._swept(name)) or [name]

    def file(self, name: str) -> str:
        return super().file(self._sweep_of(name) or name)

    def is_sweep(self, name: str) -> bool:
        return bool(self._swept(name))

    def get(self, name: str, what: str, where: str) -> Any:
        file = self._sweep_of(name)
        if name not in self._loaded and file is not None:
            self._loaded[name] = self._parse(self._swept(file)[name], str(self.path / f"{file}.yaml"))
        return super().get(name, what, where)

    def _sweep_of(self, name: str) -> str | None:
        """The file of a recipe that is a value of a sweep. `UserError` for two recipes of that name."""
        if name in self._loaded or not isinstance(name, str):
            return None
        # The name of a sweep's recipe begins with its file's and a dot: no other file needs to be read.
        near = [file for file in self.names if name.startswith(f"{file}.") and name in self._swept(file)]
        named = [*near, *({name} & self._files)]
        if near and len(named) > 1:
            files = " and ".join(f"{file}.yaml" for file in named)
            raise UserError(f"{self.path}: both {files} give a recipe '{name}': rename one of them")
        return near[0] if near else None

    def _read_sweep(self, name: str) -> dict[str, dict[str, Any]]:
        """A sweep's recipes by name; empty for a file that is a recipe."""
        whole = self._extended(name)
        sweep = whole.pop("sweep", None)
        if sweep is None:
            return {}
        where = f"{self.path / name}.yaml"
        sweep = validate(Sweep, sweep, f"{where}: sweep")
        extended = self.raw(name).get("extends")
        plain = None if extended is None else self._parse_plain(extended, where)
        found: dict[str, dict[str, Any]] = {}
        for value in sweep.values:
            content = merge(whole, _nested(sweep.key.split("."), value))
            recipe = self._parse(content, f"{where}: sweep value {value}")
            title = extended if plain is not None and recipe == plain else f"{name}.{_plainly(value)}"
            if title in found:
                raise UserError(f"{where}: sweep.values: two of them are the recipe '{title}': keep one, or make them "
                                "differ in their first six digits")  # fmt: skip
            found[title] = content
        return found

    def _parse_plain(self, name: str, where: str) -> Recipe:
        content = self._extended(name)
        if "sweep" in content:
            raise UserError(f"{where}: extends: '{name}' is a sweep: extend the recipe that it varies")
        return self._parse(content, f"{self.path / name}.yaml")


def _plainly(value: float) -> str:
    """Six digits of a number without an exponent: a part of names, which have no hyphen."""
    return format(Decimal(f"{value:g}"), "f")


def _nested(keys: list[str], value: Any) -> dict[str, Any]:
    return {keys[0]: _nested(keys[1:], value)} if len(keys) > 1 else {keys[0]: value}


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid over `base`, recursively for mappings."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


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
    return Folder(root / "prompts", lambda content, where: validate(schema.Prompt, content, where))
