"""Parameters of plug-ins as a configuration changes them: of the type, within the bounds and choices of the default."""

from collections.abc import Mapping
from typing import Any

from peftuq.config.load import pick, shown
from peftuq.errors import UserError
from peftuq.plugins import Parametrised
from peftuq.strict import MOST


def with_overrides(declared: Parametrised, overrides: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A plug-in's parameters with the user's changes. Raises `UserError` for a key or value that it does not take."""
    params = dict(declared.params)
    for key, value in overrides.items():
        pick(key, params, "parameter", where)
        params[key] = _like(params[key], value, f"{where}.{key}")
    for key in params:
        _check_bounds(declared, params, key, f"{where}.{key}")
        _check_choices(declared, params[key], key, f"{where}.{key}")
    return params


def _check_bounds(declared: Parametrised, params: Mapping[str, Any], key: str, where: str) -> None:
    bounds = declared.bounds.get(key, (None, None))
    values = _each(params[key])
    for value, (least, most) in zip(
        values, bounds if isinstance(bounds, list) else [bounds] * len(values), strict=True
    ):
        limit, name = (params[most], f"{most} = ") if isinstance(most, str) else (most, "")
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if least is not None and value < least:
            raise UserError(f"{where}: must be at least {least}, got {shown(value)}")
        if value > (MOST if limit is None else limit):
            raise UserError(f"{where}: must be at most {name}{MOST if limit is None else limit}, got {shown(value)}")


def _check_choices(declared: Parametrised, value: Any, key: str, where: str) -> None:
    if key not in declared.choices:
        return
    for choice in _each(value):
        pick(choice, declared.choices[key], "value", where)
    if len(set(_each(value))) < len(_each(value)):
        raise UserError(f"{where}: a value is there twice: keep one")


def _each(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _like(default: Any, value: Any, where: str) -> Any:
    """`value` with the type of `default`.

    A list that is not empty keeps at least one entry, each like its own; a tuple has as many as the default, each like
    that in its place.
    """
    if default is None:
        return value
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple) or len(value) != len(default):
            raise UserError(f"{where}: must be a list of {len(default)} like {list(default)}, got {shown(value)}")
        pairs = enumerate(zip(default, value, strict=True))
        return tuple(_like(one, entry, f"{where}.{place}") for place, (one, entry) in pairs)
    if isinstance(default, list) and isinstance(value, list) and default and value:
        return [_like(default[0], entry, where) for entry in value]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and not (abs(value) <= 10 * MOST):
        raise UserError(f"{where}: must be a number of at most {MOST}, got {shown(value)}")
    if isinstance(default, float) and number:
        return float(value)
    if type(default) is int and number and value == int(value):
        return int(value)
    if isinstance(default, list | float) or type(value) is not type(default):
        raise UserError(f"{where}: must be {type(default).__name__} like {default!r}, got {shown(value)}")
    return value
