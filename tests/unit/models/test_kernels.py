"""Kernels of jobs: deterministic where there is CUDA, and products in bf16 on processors that have none."""

import pytest
import torch

from peftuq.models import kernels
from peftuq.models.kernels import use_job_kernels


@pytest.fixture(autouse=True)
def as_it_was():
    yield
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = True


@pytest.mark.parametrize("available", [True, False])
def test_cuda_alone_gets_deterministic_kernels(monkeypatch, available):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    use_job_kernels()
    assert torch.are_deterministic_algorithms_enabled() == available
    assert not torch.is_deterministic_algorithms_warn_only_enabled()


@pytest.fixture
def without_bf16(monkeypatch):
    """Kernels as on a processor without products in bf16, and torch's own again afterwards."""
    library = torch.library.Library("aten", "IMPL")
    monkeypatch.setattr(kernels, "_LIBRARY", library)
    kernels._multiply_bf16_in_float32.cache_clear()
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    use_job_kernels()
    yield
    library._destroy()
    kernels._multiply_bf16_in_float32.cache_clear()


def halves(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape))).bfloat16()


PRODUCTS = {
    "mm": (halves(5, 64), halves(64, 3)),
    "addmm": (halves(3), halves(5, 64), halves(64, 3)),
    "bmm": (halves(2, 5, 64), halves(2, 64, 3)),
    "baddbmm": (halves(2, 5, 3), halves(2, 5, 64), halves(2, 64, 3)),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_bf16_is_multiplied_in_float32_and_rounded_once(without_bf16, name):
    product, factors = getattr(torch, name), PRODUCTS[name]
    assert torch.equal(product(*factors), product(*(f.float() for f in factors)).bfloat16())
    doubles = [factor.double() for factor in factors]
    assert product(*doubles).dtype == torch.float64


def test_its_gradients_are_multiplied_so_too(without_bf16):
    x, w = halves(5, 64).requires_grad_(), halves(3, 64).requires_grad_()
    torch.nn.functional.linear(x, w).backward(up := halves(5, 3))
    assert torch.equal(x.grad, (up.float() @ w.detach().float()).bfloat16())
    assert torch.equal(w.grad, (up.float().T @ x.detach().float()).bfloat16())


def test_two_types_are_still_refused(without_bf16):
    x, w = PRODUCTS["mm"]
    with pytest.raises(RuntimeError, match="same dtype"):
        torch.mm(x.float(), w)
