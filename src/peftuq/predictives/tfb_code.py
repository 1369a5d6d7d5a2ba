"""TFB as its authors' code reads it: `tfb` with `reference: code`, so that one run has both readings."""

from peftuq.plugins import Predictive
from peftuq.predictives.tfb import predict

__all__ = ["PREDICTIVE", "predict"]

PREDICTIVE = Predictive(
    version=1,
    reads="adapter",
    needs=["lora", "train"],
    sized=True,
    samples=True,
    params={
        "reference": "code",
        "tolerance": 0.003,
        "anchors": 500,
        "sigma": (0.001, 0.015),
        "steps": 5,
    },
    bounds={"tolerance": (0, None), "anchors": (1, None), "sigma": (0, None), "steps": (1, 50)},
    choices={"reference": ["paper", "code"]},
)
