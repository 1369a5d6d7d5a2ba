"""The nano grid of tests/workflow, four adapters wide, with a slurm profile that this machine's cluster can serve."""

from pathlib import Path

import nano
from checkout import Checkout

SEEDS = 4
METRICS = "results/metrics.csv"
GRID = {
    "models": ["nano_encoder"],
    "datasets": ["words"],
    "recipes": ["tiny"],
    "seeds": SEEDS,
    "shifts": {"words": ["other_words"]},
    "predictives": ["point", "temperature"],
    "scores": ["softmax", "mahalanobis", "adue"],
}
OPTIMISER = {"lr": 0.003, "weight_decay": 0.1, "batch_size": 8, "epochs": 10, "warmup": 0.1}
STEP = "        self.model.train()\n"


def furnished(folder: Path) -> Checkout:
    """A checkout whose configuration is the grid."""
    checkout = Checkout(folder)
    nano.furnish(checkout)
    checkout.suite(GRID)
    nano.edit(checkout, "config/recipes/tiny.yaml", optimiser=OPTIMISER)
    nano.edit(checkout, "config/config.yaml", sources=["local"], local_root=str(folder / "material"))
    return checkout


def slow(checkout: Checkout, seconds: float) -> None:
    """Let every training step of this copy take its time, so that a fault finds a training to hit."""
    loop = checkout.folder / "src/peftuq/training/loop.py"
    text = loop.read_text()
    assert text.count(STEP) == 1
    loop.write_text(text.replace(STEP, f"        time.sleep({seconds})\n{STEP}"))
