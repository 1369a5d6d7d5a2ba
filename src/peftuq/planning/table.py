"""Rehearsals as a table: for the terminal, and as rows for a file."""

from collections.abc import Iterator
from typing import Any

from peftuq.planning.cards import GIB, Card
from peftuq.planning.rehearsals import Rehearsals
from peftuq.planning.requests import Request

PARTS = {"weights": "weights", "adapter and optimiser": "adapter", "kept activations": "kept", "transient": "passing"}
Row = dict[str, Any]


def rows(wanted: dict[str, Request], rehearsals: Rehearsals) -> list[Row]:
    """One row a request: what it is, what it needs, and whether it fits the card."""
    requests = list(wanted.values())
    found = [_row(r, result, rehearsals.card) for r, result in zip(requests, rehearsals.of(requests), strict=True)]
    tight = [request for request, row in zip(requests, found, strict=True) if row.get("fits") is False]
    fitting = dict(zip((r.identity for r in tight), rehearsals.largest(tight), strict=True))
    for request, row in zip(requests, found, strict=True):
        if request.identity in fitting:
            row["largest_batch_tokens"] = fitting[request.identity]
    return found


def columns(found: list[Row]) -> dict[str, list[Any]]:
    """The rows as columns; None where a row lacks one."""
    return {name: [row.get(name) for row in found] for name in dict.fromkeys(name for row in found for name in row)}


def _row(request: Request, result: dict[str, Any], card: Card) -> Row:
    names = ("rule", "model", "recipe", "dataset", "jobs")
    row: Row = {name: getattr(request, name) for name in names}
    if "method" in request.spec:
        row["method"] = request.spec["method"]
    if "fault" in result:
        return {**row, "fault": result["fault"]}
    peak = sum(result["peak"].values())
    work = {name: value for name, value in result["work"].items() if not name.startswith("seconds")}
    return {
        **row,
        "rows": result["rows"],
        "tokens": result["tokens"],
        "peak": peak,
        **{f"peak of {name}": size for name, size in result["peak"].items()},
        **work,
        "card": card.name,
        "seconds": result["work"][f"seconds on {card.name}"],
        "fits": peak <= card.usable,
    }


def lines(found: list[Row], card: Card) -> Iterator[str]:
    """The table as text, and under it what would be refused and what does not fit."""
    yield (f"{len(found)} kinds of GPU jobs, {sum(row['jobs'] for row in found)} jobs; memory in GiB, of which "
           f"{card.usable / GIB:.0f} of {card.name}'s {card.memory / GIB:.4g} may be used")  # fmt: skip
    heads = ("rule", "model", "recipe", "dataset", "jobs", "tokens", "peak", *PARTS.values())
    yield _line(heads, ("TFLOP", "GB", "kernels", "reads", "s", "fits"))
    for row in found:
        yield _line(*_cells(row))
    yield from (f"refused: {row['fault']}" for row in found if "fault" in row)
    yield from (_advice(row) for row in found if row.get("fits") is False)


def _cells(row: Row) -> tuple[tuple, tuple]:
    rule = row["rule"] + (f" {row['method']}" if "method" in row else "")
    names = (rule, row["model"], row["recipe"], row["dataset"], row["jobs"])
    if "fault" in row:
        return (*names, *[""] * 6), ("", "", "", "", "", "refused")
    memory = [f"{row['peak'] / GIB:.2f}", *(f"{row[f'peak of {part}'] / GIB:.2f}" for part in PARTS)]
    work = (f"{row['flops'] / 1e12:.2f}", f"{row['bytes'] / 1e9:.0f}", f"{row['kernels']:.0f}", f"{row['reads']:.0f}")
    return (*names, row["tokens"] or "", *memory), (*work, f"{row['seconds']:.4f}", "yes" if row["fits"] else "no")


def _line(first: tuple, second: tuple) -> str:
    names = "".join(f"{cell:<{width}}" for cell, width in zip(first[:4], (31, 11, 20, 13), strict=True))
    sizes = "".join(f"{cell:>{width}}" for cell, width in zip(first[4:], (5, 7, 7, 8, 8, 7, 8), strict=True))
    return names + sizes + "".join(f"{cell:>{width}}" for cell, width in zip(second, (9, 8, 8, 6, 9, 8), strict=True))


def _advice(row: Row) -> str:
    name = f"{row['rule']} {row['model']}/{row['recipe']}"
    if row["largest_batch_tokens"] is None:
        return f"does not fit: {name}: not with one example of the longest either"
    key = "micro_batch_tokens" if row["rule"].startswith("train_") else "batch_tokens"
    return f"does not fit: {name}: fits with {key}: {row['largest_batch_tokens']}"
