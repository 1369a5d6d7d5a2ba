"""`peftuq.fit` and `peftuq.score`: data frames, or files, in; data frames out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from peftuq.progress import Log
from peftuq.tool import fit as fitting
from peftuq.tool import score as scoring
from peftuq.tool.columns import Columns

if TYPE_CHECKING:
    import pandas as pd


def fit(
    model: str | Path,
    adapter: str | Path,
    data: "str | Path | pd.DataFrame",
    out: str | Path,
    *,
    train: "str | Path | pd.DataFrame | None" = None,
    purpose: str = "error-detection",
    text: str = "text",
    label: str = "label",
    options: Sequence[str] = (),
    context: str | None = None,
    classes: Sequence[str] | None = None,
    prompt: str | Path | None = None,
    max_length: int | None = None,
    precision: str = "auto",
    samples: int = 0,
    seed: int = 0,
) -> "pd.DataFrame":
    """Fit every method that applies to an adapter, pick one for a `purpose`, write its bundle into the folder `out`.

    Returns the comparison on held-out rows, a row a method, the best first; arguments as of `peftuq fit`. Raises
    `peftuq.errors.UserError`.
    """
    import pandas as pd

    request = fitting.Request(
        Path(model), Path(adapter), _table(data), Path(out), None if train is None else _table(train), purpose,
        Columns(text=text, options=list(options), context=context), label, classes,
        None if prompt is None else Path(prompt), max_length, precision, samples, seed,
    )  # fmt: skip
    written = fitting.fit(request, Log(None, "fit"))
    content = written.content
    picked = f"{content.predictive}/{content.variant}"
    return pd.DataFrame([{**line.model_dump(), "picked": line.name == picked} for line in content.compared])


def score(
    uq: str | Path,
    data: "pd.DataFrame",
    *,
    risk: float | None = None,
    confidence: float = scoring.CONFIDENCE,
    model: str | Path | None = None,
    adapter: str | Path | None = None,
) -> "pd.DataFrame":
    """Answers, probabilities, P(wrong) and, for a `risk`, which to answer: a row for each of `data`, with its index.

    `model`, `adapter`: where they lie now, if not where they did when the bundle `uq` was fitted. Raises
    `peftuq.errors.UserError`.
    """
    model, adapter = (None if folder is None else Path(folder) for folder in (model, adapter))
    scorer = scoring.Scorer.load(Path(uq), model, adapter, risk, confidence, Log(None, "score"))
    return scoring.score_frame(scorer, data)


def _table(table: "str | Path | pd.DataFrame") -> "Path | pd.DataFrame":
    return Path(table) if isinstance(table, str | Path) else table
