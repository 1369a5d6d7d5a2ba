"""A grid without what a configuration's `trim` leaves out."""

from typing import TYPE_CHECKING

from peftuq.config import schema

if TYPE_CHECKING:
    from peftuq.config.study import Study


def trimmed(study: "Study", grid: schema.Grid) -> schema.Grid:
    """The same grid with fewer seeds, smaller ensembles, no sweeps, fewer models; its lists may end up empty."""
    trim = study.config.trim
    most = trim.members or float("inf")
    kept = {
        "seeds": grid.seed_list[: trim.seeds],
        "models": [name for name in grid.models if name not in trim.models],
        "predictives": [name for name in grid.predictives if (study.pooled(name) or 1) <= most],
    }
    if trim.sweeps == "leave out":
        kept["recipes"] = [name for name in grid.recipes if not study.recipes.is_sweep(name)]
    return grid.model_copy(update=kept)
