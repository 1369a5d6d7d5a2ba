"""Products in bf16 on a processor without them: torch's fallback against float32 copies (`models/kernels.py`).

Shapes of layers of SmolLM2 and MiniLM, both sides alternating in one run; medians. Prints milliseconds and their ratio.
"""

import statistics
import time
from collections.abc import Callable

import torch

from peftuq.models.kernels import use_job_kernels

SHAPES = {"SmolLM2, gate": (512, 576, 1536), "MiniLM, intermediate": (2048, 384, 1536), "vocabulary": (128, 576, 49152)}
ROUNDS = 5


def seconds(product: Callable[[], torch.Tensor]) -> float:
    start = time.perf_counter()
    product()
    return time.perf_counter() - start


def main() -> None:
    own = torch.library.get_kernel("aten::mm", "CPU")
    use_job_kernels()
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
    for name, (rows, inner, columns) in SHAPES.items():
        x, w = torch.randn(rows, inner).bfloat16(), torch.randn(columns, inner).bfloat16().T
        sides = {"torch": lambda: own.call_boxed(keys, x, w), "ours": lambda: torch.mm(x, w)}  # noqa: B023
        times: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(ROUNDS):
            for side, product in sides.items():
                times[side].append(1e3 * seconds(product))
        torch_ms, ours_ms = (statistics.median(times[side]) for side in ("torch", "ours"))
        print(f"{name}: torch {torch_ms:.1f} ms, ours {ours_ms:.1f} ms, {torch_ms / ours_ms:.1f} times")


if __name__ == "__main__":
    main()
