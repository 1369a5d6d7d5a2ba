"""YAML as it is plainly meant: a key once, `1e-3` a number, nothing else read as what it does not look like.

YAML 1.1, which PyYAML reads, lets the last of two equal keys win, takes `1e-3` for a text, `12:30` for 750 and `010`
for 8, and dates for objects. Numbers here are those of YAML 1.2; what only YAML 1.1 calls a number is refused.
"""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from peftuq.errors import UserError
from peftuq.files import read_text

LARGEST = 2**22  # bytes of a file
DEEPEST = 40  # mappings and lists in each other
MOST = 100_000  # values, those that an alias repeats counted each time
_FLOAT = re.compile(r"[-+]?(\.\d+|(0|[1-9]\d*)(\.\d*)?)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_INT = re.compile(r"[-+]?(0|[1-9]\d*)|0x[0-9a-fA-F]+|0o[0-7]+")
_MERGE = "tag:yaml.org,2002:merge"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the one that is installed
    """PyYAML's safe loader with the numbers of YAML 1.2, without dates, and with every key once."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, OverflowError, AttributeError) as error:
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict[Hashable, Any]:
        if isinstance(node, yaml.MappingNode):
            self._check_keys(node)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping

    def _check_keys(self, node: yaml.MappingNode) -> None:
        """Before `<<` is laid under the mapping: a key beside it may well repeat one of what it names."""
        seen: dict[Any, int] = {}
        for key, _ in node.value:
            name = "<<" if key.tag == _MERGE else self.construct_object(key, deep=True)
            if not isinstance(name, str):
                problem = f"the key {name!r} is not a text: write it in quotes"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            if name in seen:
                problem = f"the key '{name}' stands in line {seen[name]} already: keep one of them"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen[name] = key.start_mark.line + 1

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        text = self.construct_scalar(node)
        if _INT.fullmatch(text):
            return int(text, 0)
        if not _FLOAT.fullmatch(text):
            raise ValueError(
                f"{text!r} may be meant as a number or as a text: write it as 10, 0.1 or 1e-3, or in quotes"
            )
        return float(re.sub(r"^([-+]?)\.(?=[a-zA-Z])", r"\1", text))


_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_NUMBERS[1], re.compile(rf"(?:{_FLOAT.pattern})\Z"), list("-+.0123456789"))
_Loader.add_implicit_resolver(_NUMBERS[0], re.compile(r"0o[0-7]+\Z"), ["0"])
for _tag in _NUMBERS:
    _Loader.add_constructor(_tag, _Loader.construct_number)


def read(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. `UserError` names file and line of what is not YAML, or not plainly meant."""
    text = read_text(path, LARGEST)
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        _check_size(node, path)
        content = None if node is None else loader.construct_document(node)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(
            f"{path}: line {line}: not valid YAML: holds a character of number {error.character}"
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}:" if mark else ""
        raise UserError(f"{path}:{where} not valid YAML: {getattr(error, 'problem', None) or error}") from error
    except RecursionError as error:
        raise UserError(f"{path}: not valid YAML: nested deeper than {DEEPEST} levels") from error
    finally:
        if loader is not None:
            loader.dispose()
    if not isinstance(content, dict):
        empty = "is empty, and " if content is None else ""
        raise UserError(f"{path}: {empty}must be a mapping of keys to values, like 'version: 1'")
    return content


def _check_size(root: yaml.Node | None, path: Path) -> None:
    """Aliases may multiply, or hold themselves: counted as often as they are read."""
    stack, count = [(root, 1)] if root is not None else [], 0
    while stack:
        node, depth = stack.pop()
        count += 1
        where = f"{path}: line {node.start_mark.line + 1}:"
        if depth > DEEPEST:
            raise UserError(f"{where} nested deeper than {DEEPEST} levels: an alias (*) must not hold itself")
        if count > MOST:
            raise UserError(f"{where} more than {MOST} values, those of aliases (*) counted: write fewer")
        if isinstance(node, yaml.MappingNode):
            stack += [(part, depth + 1) for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            stack += [(part, depth + 1) for part in node.value]
