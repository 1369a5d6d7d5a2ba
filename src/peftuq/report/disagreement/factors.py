"""The one factor in which two methods of a model and dataset differ: found in what they hold, not in their names."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from peftuq.cells import Setting, parse_predictive
from peftuq.report.adapters import kind
from peftuq.report.run import Run

_KIND = "kind"
_WITHOUT_EFFECT = ("version", "prompts", "epoch_records", "micro_batch_tokens", "checkpoint_steps", "gpus")
_NAMES = {
    "prompt": "Prompt",
    "adapter.targets": "Targets",
    "optimiser.max_steps": "Steps",
    "optimiser.epochs": "Epochs",
    "precision": "Precision",
    "adapter.dropout": "Dropout",
}
LM_HEAD, REFERENCE, SPLIT = "LM head", "Reference", "Split"
_CODE = "_code"  # ends the name of a predictive that reads its method as the authors' code does


class Side(NamedTuple):
    """A method: a setting and a source of probabilities."""

    setting: Setting
    predictive: str = "point"


@dataclass(frozen=True)
class Change:
    """The `factor` alone that differs between two methods, and how: `text`, such as 5,000 → 2,000."""

    factor: str
    text: str
    base: Side
    other: Side

    @property
    def key(self) -> tuple[str, str]:
        return self.factor, self.text


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """A recipe's values by their dotted key; what is None is as good as absent."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    elif value is not None:
        yield path, value


def _content(run: Run, setting: Setting) -> dict[str, Any]:
    """A recipe as a dataset meets it; `kind`: of its adapter, whose section may be empty."""
    recipe = run.recipes[setting.recipe]
    prompt = recipe.get("prompts", {}).get(setting.dataset, recipe.get("prompt"))
    return {**dict(leaves({**_but(recipe, *_WITHOUT_EFFECT), "prompt": prompt})), _KIND: kind(recipe)}


def of_recipes(run: Run, base: Setting, other: Setting) -> tuple[str, str] | None:
    """The only factor in which two recipes differ, and how; None where several do, none, or the kind of adapter."""
    one, two = _content(run, base), _content(run, other)
    keys = [key for key in one | two if one.get(key) != two.get(key)]
    if len(keys) != 1 or keys == [_KIND]:
        return None
    (key,) = keys
    values = [content.get(key) for content in (one, two)]
    if key == "adapter.targets" and set(values[0]) ^ set(values[1]) == {"lm_head"}:
        return LM_HEAD, " → ".join("adapted" if "lm_head" in value else "frozen" for value in values)
    if key.rpartition(".")[2] == "reference":
        return REFERENCE, f"{key.split('.')[-2]}: {' → '.join(map(_text, values))}"
    return _NAMES.get(key, key), " → ".join(map(_text, values))


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_text, value))
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def changes(run: Run, settings: Sequence[Setting]) -> list[Change]:
    """Every method beside the first one listed from which it differs in one factor alone."""
    found = [*_of_recipes(run, settings), *_of_predictives(run, settings), *_of_splits(run, settings)]
    return sorted(found, key=lambda change: settings.index(change.base.setting))


def _of_recipes(run: Run, settings: Sequence[Setting]) -> Iterator[Change]:
    for index, other in enumerate(settings):
        earlier = [s for s in settings[:index] if (s.model, s.dataset) == (other.model, other.dataset)]
        if any(_content(run, base) == _content(run, other) for base in earlier):
            continue  # such as a recipe's precision where `auto` means the same
        for base in earlier:
            factor = of_recipes(run, base, other)
            if factor is not None:
                yield from _each(run, *factor, base, other)
                break


def _each(run: Run, factor: str, text: str, base: Setting, other: Setting) -> Iterator[Change]:
    """The change in every source of samples that both have; without any, in the adapters themselves."""
    common = [p for p in run.predictives(base) if p in run.predictives(other)]
    sampled = [p for p in common if p != "point"]
    for predictive in sampled or common:
        yield Change(factor, text, Side(base, predictive), Side(other, predictive))


def _of_predictives(run: Run, settings: Sequence[Setting]) -> Iterator[Change]:
    """Sources of probabilities that the papers and their codes compute otherwise, on one adapter."""
    for setting in settings:
        for predictive in run.predictives(setting):
            name, size = parse_predictive(predictive)
            paper = name.removesuffix(_CODE) + ("" if size is None else f"-{size}")
            if name.endswith(_CODE) and paper in run.predictives(setting):
                text = f"{name.removesuffix(_CODE)}: paper → code"
                yield Change(REFERENCE, text, Side(setting, paper), Side(setting, predictive))


def _of_splits(run: Run, settings: Sequence[Setting]) -> Iterator[Change]:
    """One dataset split in two ways."""
    for index, other in enumerate(settings):
        for base in (s for s in settings[:index] if (s.model, s.recipe) == (other.model, other.recipe)):
            if _data(run, base.dataset) == _data(run, other.dataset):
                yield from _each(run, SPLIT, f"{base.dataset} → {other.dataset}", base, other)
                break


def _data(run: Run, dataset: str) -> dict[str, Any]:
    """A dataset but for what splits it."""
    content = run.datasets[dataset]
    sources = {kind: _but(source or {}, "splits", "note") for kind, source in content["sources"].items()}
    return {**_but(content, "title", "splits", "version", "size"), "sources": sources}


def _but(content: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in keys}
