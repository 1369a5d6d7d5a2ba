"""PEFT-UQ: does a fine-tuned language model know when it is wrong?"""

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`fit` and `score` of `peftuq.tool.api`, imported once they are asked for: planning imports this package, too."""
    if name in ("fit", "score"):
        import importlib

        return getattr(importlib.import_module("peftuq.tool.api"), name)
    raise AttributeError(f"module 'peftuq' has no attribute '{name}'")
