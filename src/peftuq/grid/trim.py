"""A grid without what a configuration's `trim` leaves out."""

from typing import TYPE_CHECKING

from peftuq.grid import schema

if TYPE_CHECKING:
    from peftuq.grid.study import Study


def trimmed(study: "Study", grid: schema.Grid) -> schema.Grid:
    """The same grid with fewer seeds, smaller ensembles, no sweeps, fewer models; its lists may end up empty."""
    trim = study.config.trim
    kept = {
        "seeds": grid.seed_list[: trim.seeds],
        "models": [name for name in grid.models if name not in trim.models],
        "predictives": [name for name in grid.predictives if _members(study, name) <= (trim.members or float("inf"))],
    }
    if trim.sweeps == "leave out":
        kept["recipes"] = [name for name in grid.recipes if not study.recipes.is_sweep(name)]
    return grid.model_copy(update=kept)


def _members(study: "Study", predictive: str) -> int:
    """How many adapters a predictive pools."""
    name, size = study.predictive(predictive)
    return size or 1 if name != "point" and "members" in study.method(name)["needs"] else 1
