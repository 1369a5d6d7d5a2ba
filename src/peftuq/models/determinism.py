"""The same bits from the same inputs, on one machine with one version of everything."""

import torch


def use_deterministic_kernels() -> None:
    """Let CUDA compute with kernels that repeat, for the rest of the process; processors do so anyway.

    An operation that has none raises `RuntimeError`, as does a product of matrices unless CUBLAS_WORKSPACE_CONFIG is
    set (`jobs.environment`). See docs/gpu.md.
    """
    if torch.cuda.is_available():
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # finds reads of it in tests, and costs a pass
