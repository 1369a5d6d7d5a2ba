"""Leaving autocast, on any device."""

import contextlib
from contextlib import AbstractContextManager

import torch


def no_autocast(device: torch.device) -> AbstractContextManager:
    """A block that computes in the types it names; devices without autocast (meta) compute so anyway."""
    available = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if available else contextlib.nullcontext()
