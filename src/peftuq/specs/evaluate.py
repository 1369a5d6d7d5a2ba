"""The spec of an evaluation."""

from peftuq.strict import Strict


class Evaluate(Strict):
    """A cell, and `score`: a score's name, or "prediction". `probabilities`: its variants that are a probability."""

    model: str
    dataset: str
    recipe: str
    seed: int
    predictive: str
    score: str
    evals: list[str]
    probabilities: list[str]
