"""The role of a recipe in the paper's tasks: recognised by its content, never by its name."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from peftuq.cells import Setting, parse_predictive
from peftuq.files import canonical
from peftuq.report.adapters import PLAIN, kind
from peftuq.report.run import Run

PAPERS_MIXTURE = {"experts": 8, "top_k": 2, "experts_at": ["attention", "ffn"]}
Recipe = Mapping[str, Any]


def mixture(recipe: Recipe) -> dict[str, Any] | None:
    """Return a recipe's experts, how many of them a token takes (`top_k`) and their layers; None for other adapters."""
    return (recipe["adapter"] or {}).get("mixture")


def is_plain(recipe: Recipe) -> bool:
    return kind(recipe) == PLAIN


def _calibration(recipe: Recipe) -> dict[str, Any]:
    return recipe["loss"].get("calibration") or {}


def beta(recipe: Recipe) -> float:
    """β, the weight of the calibration loss (UQ4CT eq. 14); 0 without one."""
    return _calibration(recipe).get("weight", 0)


def is_incremental(recipe: Recipe) -> bool:
    return _calibration(recipe).get("schedule") == "incremental"


def flu_tokens(recipe: Recipe) -> str:
    """The tokens over which the calibration loss takes FLU; "" where no such loss is."""
    return _calibration(recipe)["flu_tokens"] if beta(recipe) else ""


class Point(NamedTuple):
    """One value of a sweep: the setting and predictive that have it."""

    value: float
    setting: Setting
    predictive: str = "point"


@dataclass(frozen=True)
class Task:
    """A model on a dataset, with the settings that are compared on it; `sweeps` by factor (see `ablations.FACTORS`).

    Roles: `untuned`; `lora`, the widest plain LoRA; `members`, the LoRA of ensembles; `mixlora`, the task's usual
    mixture without calibration loss; `uq4ct`, with it; `uq4ct_last`, with FLU taken at the last token; `incremental`,
    with a growing β; and for any other recipe that no sweep holds, "recipe " and its name.
    """

    model: str
    dataset: str
    roles: dict[str, Setting]
    sweeps: dict[str, list[Point]]


def tasks(run: Run, settings: Sequence[Setting]) -> list[Task]:
    """The tasks of the settings, in their order, with what any suite of the run trains on them."""
    found: dict[tuple[str, str], list[Setting]] = {(setting.model, setting.dataset): [] for setting in settings}
    for setting in run.all_settings:
        found.get((setting.model, setting.dataset), []).append(setting)
    return [_task(run, *key, here) for key, here in found.items()]


def _task(run: Run, model: str, dataset: str, settings: Sequence[Setting]) -> Task:
    content = {setting: run.recipes[setting.recipe] for setting in settings}
    plain = [s for s in settings if is_plain(content[s])]
    pooled = [s for s in plain if any(is_ensemble(p) for p in run.predictives(s))]
    untuned = [s for s in settings if content[s]["adapter"] is None]
    roles = {"untuned": untuned[0]} if untuned else {}
    if plain:
        roles["lora"] = max(plain, key=lambda s: content[s]["adapter"]["rank"])
    if pooled:
        roles["members"] = min(pooled, key=lambda s: content[s]["adapter"]["rank"])
    mixtures = [s for s in settings if mixture(content[s])]
    roles |= _mixture_roles({s: content[s] for s in mixtures})
    sweeps = _sweeps({s: content[s] for s in mixtures}, roles) | _sizes(run, roles)
    known = {*roles.values(), *(point.setting for points in sweeps.values() for point in points)}
    roles |= {f"recipe {s.recipe}": s for s in settings if s not in known}
    return Task(model, dataset, roles, sweeps)


def is_ensemble(predictive: str) -> bool:
    return parse_predictive(predictive).name == "ensemble"


def _mixture_roles(content: dict[Setting, Recipe]) -> dict[str, Setting]:
    if not content:
        return {}
    usual = _usual([mixture(recipe) for recipe in content.values()])
    here = {setting: recipe for setting, recipe in content.items() if mixture(recipe) == usual}
    rules: dict[str, Callable[[Recipe], bool]] = {
        "mixlora": lambda recipe: not beta(recipe),
        "uq4ct": lambda recipe: flu_tokens(recipe) == "mean" and not is_incremental(recipe),
        "uq4ct_last": lambda recipe: flu_tokens(recipe) == "last" and not is_incremental(recipe),
        "incremental": lambda recipe: bool(beta(recipe)) and is_incremental(recipe),
    }
    found = {role: [s for s, recipe in here.items() if is_it(recipe)] for role, is_it in rules.items()}

    def distance(setting: Setting) -> tuple[float, bool]:
        """From the paper's β = 1; a calibration loss of weight 0 is a sweep's way of having none."""
        weight = beta(content[setting])
        return abs(weight - 1), not weight and bool(_calibration(content[setting]))

    return {role: min(some, key=distance) for role, some in found.items() if some}


def _usual(mixtures: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mixture that the ablations vary: that of most recipes, at a tie the one that is nearest to the paper's."""
    counts = Counter(map(canonical, mixtures))
    papers = {canonical(m): sum(m[key] == value for key, value in PAPERS_MIXTURE.items()) for m in mixtures}
    usual = max(counts, key=lambda text: (counts[text], papers[text]))
    return next(m for m in mixtures if canonical(m) == usual)


def _sweeps(content: dict[Setting, Recipe], roles: dict[str, Setting]) -> dict[str, list[Point]]:
    """The settings that differ from the task's UQ4CT (or MixLoRA) in one factor alone, by the factor."""
    centre = next((roles[role] for role in ("uq4ct", "uq4ct_last", "mixlora") if role in roles), None)
    if centre is None:
        return {}
    of_centre = _factors(content[centre])
    sweeps = {}
    for factor in ("beta", "top_k", "experts"):
        fixed = {key: value for key, value in of_centre.items() if key != factor}
        points = []
        for setting, recipe in content.items():
            factors = _factors(recipe)
            if factor == "beta" and not factors["beta"]:
                factors["tokens"] = of_centre["tokens"]  # without the loss it has no tokens
            if all(factors[key] == value for key, value in fixed.items()):
                points.append(Point(factors[factor], setting))
        if len(points) > 1:
            sweeps[factor] = sorted(points, key=lambda point: point.value)
    return sweeps


def _factors(recipe: Recipe) -> dict[str, Any]:
    factors = {"beta": beta(recipe), "incremental": is_incremental(recipe), "tokens": flu_tokens(recipe)}
    return factors | mixture(recipe)


def _sizes(run: Run, roles: dict[str, Setting]) -> dict[str, list[Point]]:
    """Ensembles of one recipe by their size; a member alone is one of size 1."""
    setting = roles.get("members")
    if setting is None:
        return {}
    predictives = run.predictives(setting)
    points = [Point(parse_predictive(p).size or 1, setting, p) for p in predictives if is_ensemble(p)]
    if "point" in predictives:
        points.append(Point(1, setting))
    return {"members": sorted(points, key=lambda point: point.value)} if len(points) > 1 else {}
