"""A nano checkout whose trainings last long enough to be hit by a fault."""

from pathlib import Path

import nano
from checkout import CONFIG, RECIPE, Checkout

EPOCHS, STEPS = 10, 60  # of every training
PAIR = "pair"  # `tiny`, trained by two processes
METRICS = "results/metrics.csv"
STEP = "        share = rows[rank::size]\n"


def furnished(folder: Path, *grids: dict) -> Checkout:
    """A checkout with these grids over the nano models, `words`, `other_words`, and the recipes `tiny` and `pair`."""
    checkout = Checkout(folder)
    nano.furnish(checkout)
    checkout.suite(*grids)
    checkout.write("config/recipes/tiny.yaml", {**RECIPE, "optimiser": {**RECIPE["optimiser"], "epochs": EPOCHS}})
    checkout.write(f"config/recipes/{PAIR}.yaml", {"extends": "tiny", "gpus": 2})
    checkout.write("config/config.yaml", {**CONFIG, "sources": ["local"], "local_root": str(folder / "material")})
    return checkout


def slow(checkout: Checkout, seconds: float) -> None:
    """Let every training step of this copy take its time, and none end while `stall(checkout, seed)` exists."""
    loop = checkout.folder / "src/peftuq/training/loop.py"
    text = loop.read_text()
    assert text.count(STEP) == 1
    stalled = repr(str(stall(checkout, "{self.job.seed}")))
    waits = f"        time.sleep({seconds})\n        while Path(f{stalled}).exists():\n            time.sleep(0.1)\n"
    loop.write_text(text.replace(STEP, waits + STEP))


def stall(checkout: Checkout, seed: object) -> Path:
    """The file that lets the trainings of a seed stand still, deaf to every warning."""
    return checkout.folder / f"stall{seed}"
