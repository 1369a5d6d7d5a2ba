"""Cards by name, from NVIDIA's data sheets: dense products, no sparsity, no TF32 (PyTorch's default)."""

from dataclasses import dataclass

GIB = 2**30


@dataclass(frozen=True)
class Card:
    """`memory` in bytes; `flops` by type and `bandwidth` a second; `launch`: seconds of the host for a kernel.

    A launch in PyTorch's eager mode takes some 5 µs of a server's processor, whatever the card: chosen, not measured.
    """

    name: str
    memory: float
    bandwidth: float
    flops: dict[str, float]
    launch: float = 5e-6

    @property
    def usable(self) -> float:
        """Bytes that a job may hold: a tenth is left for CUDA's context, libraries' workspaces and fragmentation."""
        return 0.9 * self.memory


def _card(name: str, memory: float, bandwidth: float, bf16: float, fp32: float, fp64: float) -> Card:
    tera = {"bfloat16": bf16, "float16": bf16, "float32": fp32, "float64": fp64}
    return Card(name, memory * GIB, bandwidth * 1e9, {dtype: value * 1e12 for dtype, value in tera.items()})


# Of the A100 and H100 the SXM boards. An L4 with ECC shows 22.5 of its 24 GB. Consumer boards and the L4 compute in
# float64 at 1/64 of float32.
CARDS = {
    card.name: card
    for card in (
        _card("a100-40", 40, 1555, 312, 19.5, 19.5),  # NVIDIA A100 Tensor Core GPU, data sheet, June 2021
        _card("a100-80", 80, 2039, 312, 19.5, 19.5),  # the same
        _card("h100", 80, 3350, 989.4, 67, 67),  # NVIDIA H100 Tensor Core GPU, data sheet, 2023
        _card("l4", 22.5, 300, 121, 30.3, 0.47),  # NVIDIA L4 Tensor Core GPU, data sheet, 2023
        _card("rtx4090", 24, 1008, 165.2, 82.6, 1.29),  # NVIDIA Ada GPU architecture, whitepaper, appendix A
    )
}
