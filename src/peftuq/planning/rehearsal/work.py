"""The work of a computation, and how long a card takes for it."""

from dataclasses import dataclass, field

from peftuq.planning.cards import Card


@dataclass(frozen=True)
class Work:
    """Sums over operations: `flops`; `bytes` read and written; `kernels` launched; `reads`, for which the host waits.

    `by_type` are (FLOPs, bytes) of every operation, by the type it computes in: what a roofline is made of.
    """

    flops: float
    bytes: float
    kernels: int
    reads: int
    operations: list[tuple[str, float, float]] = field(repr=False)

    def seconds(self, card: Card) -> float:
        """The roofline: each operation at the card's peak or bandwidth, and no kernel faster than it is launched."""
        busy = sum(
            max(flops / card.flops.get(dtype, card.flops["float32"]), moved / card.bandwidth)
            for dtype, flops, moved in self.operations
        )
        return max(busy, self.kernels * card.launch)
