"""PEFT-UQ: does a fine-tuned language model know when it is wrong?"""

__version__ = "0.1.0"
