"""The result of a score's plug-in: checked before it is written, every variant, every example, numbers; its columns."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from peftuq.artifacts import Samples
from peftuq.errors import UserError
from peftuq.plugins import Score

ROUNDING = 1e-6  # by which a probability may leave [0, 1]


def check(declared: Score, file: str, returned: Any, examples: Mapping[str, int]) -> None:
    """Raises `UserError` naming the plug-in's `file` unless `returned` is the pair that `ScoreModule.score` is to give.

    `examples`: how many each evaluation set has.
    """
    if not isinstance(returned, tuple) or len(returned) != 2 or not all(isinstance(one, Mapping) for one in returned):
        raise UserError(f"{file}: score(…) must return two mappings, (scores, diagnostics), not {_kind(returned)}")
    scores, diagnostics = returned
    if set(scores) != set(declared.variants):
        raise UserError(f"{file}: score(…) returned the variants {_names(scores)}, and SCORE declares "
                        f"{_names(declared.variants)}: make them the same")  # fmt: skip
    for variant, by_part in scores.items():
        for part, count in examples.items():
            where = f"{file}: score(…)['{variant}']"
            if not isinstance(by_part, Mapping) or part not in by_part:
                raise UserError(f"{where}: has no scores of the evaluation set '{part}': give one for each of evals")
            _check_values(by_part[part], count, f"{where}['{part}']", variant in declared.probabilities)
    try:
        json.dumps(dict(diagnostics))
    except (TypeError, ValueError) as error:
        raise UserError(f"{file}: score(…): diagnostics must be JSON ({error}): use float(…), .tolist()") from error


def columns(scores: Mapping[str, Mapping[str, np.ndarray]], samples: Mapping[str, Samples]) -> dict[str, Any]:
    """Columns of `artifacts.write_scores`: of the examples of `samples`, by evaluation set, one a variant."""
    found: dict[str, Any] = {
        "eval": [part for part, sample in samples.items() for _ in sample.id],
        "id": np.concatenate([sample.id for sample in samples.values()]),
        "error": [error for sample in samples.values() for error in sample.errors],
    }
    return found | {v: np.concatenate([by_part[part] for part in samples]) for v, by_part in scores.items()}


def _check_values(values: Any, count: int, where: str, is_probability: bool) -> None:
    array = np.asarray(values)
    if array.shape != (count,) or array.dtype.kind not in "fiu":
        raise UserError(f"{where}: must be {count} numbers, one an example, not {array.dtype} of shape {array.shape}")
    if np.isnan(array).any():
        raise UserError(f"{where}: {int(np.isnan(array).sum())} of {count} are NaN, the first at {_first(array)}: a "
                        "score orders all examples")  # fmt: skip
    if is_probability and not ((array >= -ROUNDING) & (array <= 1 + ROUNDING)).all():
        raise UserError(f"{where}: has values from {array.min():g} to {array.max():g}, and SCORE lists it under "
                        "probabilities: leave it out there, or keep it in [0, 1]")  # fmt: skip


def _first(array: np.ndarray) -> int:
    return int(np.isnan(array).argmax())


def _names(names: Any) -> str:
    return ", ".join(sorted(map(str, names))) or "none"


def _kind(returned: Any) -> str:
    return f"a tuple of {len(returned)}" if isinstance(returned, tuple) else type(returned).__name__
