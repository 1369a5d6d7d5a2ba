"""Communication of the processes that share a training.

Gradients are summed parameter by parameter, on the devices. `DistributedDataParallel` sums them in buckets, which it
lays out anew after the first step: from three processes on, a resumed training would round differently. It would also
keep a second copy of them, wait for parameters that no token used, and copy the frozen weights about. All else is
sent over the CPU, so that no device is waited for.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor, distributed, nn

from peftuq.errors import UserError


class Group:
    """The `size` processes of a training, of which this is number `rank`; each has the device `device`.

    Every method is to be called by all of them in the same order. Raises `UserError` for a machine with
    fewer GPUs than processes, and where others run than the recipe's `gpus`.
    """

    def __init__(self, gpus: int):
        available = torch.cuda.device_count() if torch.cuda.is_available() else None
        if available is not None and available < gpus:
            raise UserError(
                f"the recipe's gpus: {gpus}, but this machine offers {available}; set it to {available} in the recipe, "
                "or ask the cluster for more (docs/cluster.md)"
            )
        state = PartialState(cpu=available is None)
        self.rank, self.size, self.device = state.process_index, state.num_processes, state.device
        if self.size != gpus:
            raise UserError(f"the recipe's gpus: {gpus}, but {self.size} processes run; start the training by its rule")
        self._cpu = distributed.new_group(backend="gloo") if self.size > 1 else None

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def add_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace each gradient by its sum over the processes; none counts as zero."""
        if self.size == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        sums = [distributed.all_reduce(parameter.grad, async_op=True) for parameter in parameters]
        for one in sums:
            one.wait()

    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Give every process the main one's values, on the device."""
        if self.size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), src=0)

    def gather(self, item: Any) -> list[Any]:
        """Every process's `item`, by its number."""
        if self._cpu is None:
            return [item]
        items = [None] * self.size
        distributed.all_gather_object(items, item, group=self._cpu)
        return items

    def any(self, flag: bool) -> bool:
        """Whether `flag` holds in one of the processes."""
        if self._cpu is None:
            return flag
        most = torch.tensor(int(flag))
        distributed.all_reduce(most, distributed.ReduceOp.MAX, group=self._cpu)
        return bool(most)

    def wait(self) -> None:
        """Return when all processes have called it."""
        if self._cpu is not None:
            distributed.barrier(group=self._cpu)

    def leave(self) -> None:
        """End the process group, so that each process may end by itself."""
        if self._cpu is not None:
            self.wait()
            distributed.destroy_process_group()
