"""Differences between two identities of a job, in words."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

LONGEST = 60  # characters of a value
_ABSENT = object()


def of_values(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """ "key.of.mapping: 1 → 2" for each leaf that differs; lists are compared item by item if equally long."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            at = f"{path}.{key}" if path else key
            yield from of_values(old.get(key, _ABSENT), new.get(key, _ABSENT), at)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _of_lists(old, new, path)
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        if old is _ABSENT:
            yield f"{path}: {_short(new)} is new"
        elif new is _ABSENT:
            yield f"{path}: {_short(old)} is gone"
        else:
            yield f"{path}: {_short(old)} → {_short(new)}"


def _of_lists(old: list[Any], new: list[Any], path: str) -> Iterator[str]:
    if len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from of_values(before, after, f"{path}.{index}")
        return
    gone = [item for item in old if item not in new]
    added = [item for item in new if item not in old]
    if not gone and not added:
        yield f"{path}: {_short(old)} → {_short(new)}"
    yield from (f"{path}: {_short(item)} is gone" for item in gone)
    yield from (f"{path}: {_short(item)} is new" for item in added)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 2]} …"


Definitions = Mapping[str, Mapping[str, str]]  # module → definition → digest, as `identity.definitions` gives them


def of_code(old: Definitions, new: Definitions) -> Iterator[str]:
    """ "function fit of peftuq.scores.rde changed" for each definition that differs."""
    found = False
    for module in sorted({*old, *new}):
        for line in _of_module(module, old.get(module), new.get(module)):
            found = True
            yield line
    if not found:
        yield "the order of its definitions changed"


def _of_module(module: str, old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> Iterator[str]:
    if old is None or new is None:
        yield f"{module} is {'no longer' if new is None else 'now'} used"
        return
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            change = "is new" if name not in old else "is gone" if name not in new else "changed"
            yield f"{name} of {module} {change}"
