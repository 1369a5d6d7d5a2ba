"""The spec of a training."""

from peftuq.config.recipe import Recipe
from peftuq.specs.task import Task
from peftuq.strict import Strict


class Train(Strict):
    """`adapter`: module of the recipe's kind of adapter; `modules`: names of the model's linear layers by role.

    `evals`: evaluation sets that are recorded after every epoch; empty unless the recipe has `epoch_records`.
    """

    task: Task
    adapter: str
    recipe: Recipe
    modules: dict[str, str]
    seed: int
    evals: list[str]
