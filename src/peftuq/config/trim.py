"""A grid without what a configuration's `trim` leaves out."""

from collections.abc import Callable

from peftuq.config.schema import Grid, Trim


def trimmed(grid: Grid, trim: Trim, pooled: Callable[[str], int | None], is_sweep: Callable[[str], bool]) -> Grid:
    """The same grid with fewer seeds, smaller ensembles, no sweeps, fewer models; its lists may end up empty.

    `pooled`: how many adapters a predictive pools, None for one; `is_sweep`: whether a recipe's file is a sweep.
    """
    most = trim.members or float("inf")
    kept = {
        "seeds": grid.seed_list[: trim.seeds],
        "models": [name for name in grid.models if name not in trim.models],
        "predictives": [name for name in grid.predictives if (pooled(name) or 1) <= most],
    }
    if trim.sweeps == "leave out":
        kept["recipes"] = [name for name in grid.recipes if not is_sweep(name)]
    return grid.model_copy(update=kept)
