"""The look of every figure: one font, greys that print, a marker and a line of its own for every method."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from peftuq.files import atomic

WIDTH = 6.69  # inches: the text width of the document's page
STYLE = {
    "font.family": "STIXGeneral",  # bundled with matplotlib, and close to the document's own serif
    "mathtext.fontset": "stix",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.grid": True,
    "grid.linewidth": 0.4,
    "grid.color": "0.85",
    "axes.axisbelow": True,
    "lines.linewidth": 1.1,
    "lines.markersize": 4,
    "pdf.fonttype": 42,
    "svg.hashsalt": "peftuq",
    "figure.dpi": 100,
    "savefig.dpi": 200,
}


class Look(NamedTuple):
    """A method's colour (Okabe and Ito's palette, which the colour-blind distinguish), line and marker."""

    color: str
    line: Any
    marker: str


LOOKS = {
    "adue": Look("#000000", "-", "o"),
    "sr": Look("#D55E00", (0, (5, 1.5)), "s"),
    "rmd_l2": Look("#0072B2", (0, (1, 1)), "^"),
    "md_l2": Look("#009E73", (0, (5, 1, 1, 1)), "D"),
    "rde_l2": Look("#CC79A7", (0, (3, 1, 1, 1, 1, 1)), "v"),
}
ADAPTERS = {  # the methods of the UQ4CT section: never in one figure with the scores above
    "uq4ct": Look("#000000", "-", "o"),
    "uq4ct_last": Look("#000000", (0, (1, 1)), "h"),
    "mixlora": Look("#D55E00", (0, (5, 1.5)), "s"),
    "lora": Look("#0072B2", (0, (3, 1)), "^"),
    "mc_dropout": Look("#56B4E9", (0, (1, 2)), "v"),
    "ensemble": Look("#009E73", (0, (5, 1, 1, 1)), "D"),
    "laplace": Look("#CC79A7", (0, (3, 1, 1, 1, 1, 1)), "P"),
    "temperature": Look("#E69F00", (0, (7, 1, 2, 1)), "<"),
    "untuned": Look("0.55", (0, (2, 2)), "*"),
}
FURTHER = (  # for names that no table here has; lines and markers differ
    Look("#56B4E9", (0, (1, 2)), "P"),
    Look("#E69F00", (0, (7, 1, 2, 1)), "<"),
    Look("0.45", "-", "X"),
    Look("0.45", (0, (4, 2)), "*"),
    Look("0.45", (0, (1, 1.5)), "h"),
)


def looks(names: Iterable[str]) -> dict[str, Look]:
    """The look of each variant of a score, or method that makes adapters or probabilities, in one figure."""
    known, further = LOOKS | ADAPTERS, cycle(FURTHER)
    return {name: known.get(name) or next(further) for name in dict.fromkeys(names)}


ACROSS = 3  # panels side by side


def facets(
    n: int, height: float, across: int = ACROSS, names: Sequence[str] = (), **shared: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of n panels, `height` inches each, in rows of `across`; its axes in order.

    Below is room for a legend of `names`; by default for one line, or two where the figure is narrow.
    """
    width, below = (width_of(n), legend_height(n, names)) if across == ACROSS else (WIDTH, legend_height(ACROSS, names))
    across = min(n, across)
    rows = math.ceil(n / across)
    tall = rows * height + below
    figure = Figure(figsize=(width, tall), layout="constrained")
    figure.get_layout_engine().set(rect=(0, below / tall, 1, 1 - below / tall))
    axes = figure.subplots(rows, across, squeeze=False, **shared).ravel().tolist()
    for spare in axes[n:]:
        spare.remove()
    return figure, axes[:n]


def in_rows(
    panels: Sequence, height: float, ylabel: str, draw: Callable[[Axes, Any], None], names: Sequence[str] = ()
) -> Figure:
    """A figure of all panels, each drawn by `draw`; the y axis is named where a row begins, one legend serves all."""
    with matplotlib.rc_context(STYLE):
        figure, axes = facets(len(panels), height, names=names)
        for index, (ax, panel) in enumerate(zip(axes, panels, strict=True)):
            draw(ax, panel)
            if index % ACROSS == 0:
                ax.set_ylabel(ylabel)
        legend(figure, axes)
    return figure


def width_of(n: int) -> float:
    """Inches: a figure of one or two panels is narrower, its panels are not wider."""
    return WIDTH if n >= ACROSS else WIDTH * 2 / ACROSS


def legend_height(n: int, names: Sequence[str] = ()) -> float:
    """Inches: for the lines that a legend of `names` takes below n panels; a narrow figure's are two at least."""
    lines = math.ceil(len(names) / _columns(names, width_of(n))) if names else 1
    return 0.12 + 0.18 * max(lines, 1 if n >= ACROSS else 2)


def _columns(names: Sequence[str], width: float) -> int:
    """The columns of a legend, so many that its lines fit into `width` inches, and are equally full."""
    room = round(110 * width / WIDTH)  # characters of a line; a handle is worth nine
    fitting = max(1, room // (max(map(len, names), default=0) + 9))
    return math.ceil(len(names) / math.ceil(max(1, len(names)) / fitting)) or 1


def handles(axes: Sequence[Axes]) -> dict[str, Any]:
    """The handles of the panels' legends by name, each name once."""
    return {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}


def legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend below all panels, each name once, in as many lines as it takes."""
    named = handles(axes)
    columns = _columns(list(named), figure.get_figwidth())
    figure.legend(named.values(), named.keys(), loc="lower center", ncols=columns)


def legend_outside(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend in as many columns as its names leave room for, below a figure that is laid out as constrained."""
    named = handles(axes)
    columns = min(4, _columns(list(named), WIDTH))
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=columns)


def pages(items: Sequence, per_page: int) -> Iterator[tuple[str, str, Sequence]]:
    """Items in pages: what to add to the page's name and to its title ("" for the only one), and its items."""
    count = math.ceil(len(items) / per_page)
    for page in range(count):
        added = (f"_{page + 1}", f" ({page + 1} of {count})") if count > 1 else ("", "")
        yield *added, items[page * per_page : (page + 1) * per_page]


def message(axes: Axes, text: str) -> None:
    """Print a sentence instead of a panel's data."""
    axes.set_axis_on()
    axes.grid(False)
    axes.set(xticks=[], yticks=[])
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", style="italic", color="0.3")


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write `<name>.pdf` and `<name>.png`: the same figure always gives the same bytes."""
    with matplotlib.rc_context(STYLE):
        for ending, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
            with atomic(folder / f"{name}.{ending}") as temporary:
                figure.savefig(temporary, format=ending, metadata=metadata)
