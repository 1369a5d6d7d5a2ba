"""Deterministic kernels: asked for where there is CUDA, and nowhere else."""

import pytest
import torch

from peftuq.models.determinism import use_deterministic_kernels


@pytest.fixture(autouse=True)
def as_it_was():
    yield
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = True


@pytest.mark.parametrize("available", [True, False])
def test_cuda_alone_gets_deterministic_kernels(monkeypatch, available):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    use_deterministic_kernels()
    assert torch.are_deterministic_algorithms_enabled() == available
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
