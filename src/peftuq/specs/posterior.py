"""The spec of a comparison of approximate posteriors with the exact one."""

from pydantic import PositiveFloat, PositiveInt

from peftuq.strict import Strict

Number = PositiveInt | PositiveFloat  # as it stands in the spec, for the file that repeats it


class ComparePosteriors(Strict):
    """Sizes of the network and of the sampler, as `config.schema.Gold` describes them, and the evaluation sets."""

    seed: int
    inputs: PositiveInt
    hidden: PositiveInt
    rank: PositiveInt
    alpha: Number
    half_lambda: Number
    dropout: float
    examples: PositiveInt
    chains: PositiveInt
    warmup: PositiveInt
    draws: PositiveInt
    evals: list[str]
