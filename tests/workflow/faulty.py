"""A nano checkout whose trainings last long enough to be hit by a fault."""

from pathlib import Path

import nano
from checkout import CONFIG, RECIPE, Checkout

EPOCHS, STEPS = 10, 60  # of every training
METRICS = "results/metrics.csv"
STEP = "        self.model.train()\n"


def furnished(folder: Path, *grids: dict) -> Checkout:
    """A checkout with these grids over the nano models, `words`, `other_words`, and the recipe `tiny`."""
    checkout = Checkout(folder)
    nano.furnish(checkout)
    checkout.suite(*grids)
    checkout.write("config/recipes/tiny.yaml", {**RECIPE, "optimiser": {**RECIPE["optimiser"], "epochs": EPOCHS}})
    checkout.write("config/config.yaml", {**CONFIG, "sources": ["local"], "local_root": str(folder / "material")})
    return checkout


def slow(checkout: Checkout, seconds: float) -> None:
    """Let every training step of this copy take its time, without keeping a processor busy."""
    loop = checkout.folder / "src/peftuq/training/loop.py"
    text = loop.read_text()
    assert text.count(STEP) == 1
    loop.write_text(text.replace(STEP, f"        time.sleep({seconds})\n{STEP}"))
