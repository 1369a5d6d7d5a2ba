"""One step of training: forward, loss, backward and update, on whatever device the model is.

Nothing here waits for the device: losses are added up on it, and read when the loop calls `read`.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from peftuq.adapters.peft_lora import trainable
from peftuq.adapters.protocol import NOTHING, Terms
from peftuq.config.recipe import Loss, Recipe
from peftuq.errors import UserError
from peftuq.models.batching import Batch
from peftuq.models.readout import Output
from peftuq.training import losses

ExtraLoss = Callable[[Output, Tensor, Loss, int], Tensor | None]


class Step:
    """Updates the trainable parameters of `model`, a `ReadOut`, from batches.

    `extra_loss(output, label, loss, step)`: what the adapter's kind adds to the
    cross-entropy; `prior()`: what the recipe's prior, or the adapter's posterior, adds, or None. In bf16 the forward
    pass runs under autocast. `add_gradients(parameters)` adds to the gradients those of other processes.
    `terms`: the part that the adapter's kind has in it, but for the penalty, which is in `prior`.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        extra_loss: ExtraLoss,
        prior: Callable[[], Tensor] | None,
        dtype: torch.dtype,
        add_gradients: Callable[[Sequence[nn.Parameter]], None] = lambda parameters: None,
        terms: Terms = NOTHING,
    ):
        self.model, self.recipe, self.extra_loss, self.prior, self.dtype = model, recipe, extra_loss, prior, dtype
        self.parameters, self.add_gradients, self.terms = list(trainable(model).values()), add_gradients, terms
        assert recipe.optimiser is not None
        self.optim = recipe.optimiser
        self.optimiser = terms.optimiser or self._adamw()
        self._rates = [group["lr"] for group in self.optimiser.param_groups]
        self._sums = torch.zeros(2, dtype=torch.float64, device=self.parameters[0].device)
        self._examples = 0

    def _adamw(self) -> torch.optim.Optimizer:
        groups: dict[float, list[nn.Parameter]] = {}
        for name, parameter in trainable(self.model).items():
            groups.setdefault(self.terms.rates.get(name, self.optim.lr), []).append(parameter)
        given = [{"params": group, "lr": lr} for lr, group in groups.items()]
        return torch.optim.AdamW(given, weight_decay=self.optim.weight_decay, fused=True)

    @property
    def device(self) -> torch.device:
        return self.parameters[0].device

    def __call__(self, parts: Sequence[Batch], number: int, factor: float, weight: float) -> None:
        """Step `number`, of all examples in `parts`, which are on the model's device.

        `factor` scales the learning rate; `weight` is that of an example in the loss.
        """
        for group, lr in zip(self.optimiser.param_groups, self._rates, strict=True):
            group["lr"] = lr * factor
        self.model.train()
        with self.terms.around(number):
            for part in parts:
                self._backward(part, number, weight)
        self.add_gradients(self.parameters)
        if self.optim.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.optim.clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        if self.terms.after is not None:
            self.terms.after(number, factor)

    def _backward(self, part: Batch, number: int, weight: float) -> None:
        size = len(part.label)
        output = self._forward(part)
        loss = self._loss(output, part.label, number)
        (loss * (weight * size)).backward()
        right = (output.logits.argmax(dim=1) == part.label).sum()
        self._sums += torch.stack([loss.detach().double() * size, right.double()])
        self._examples += size

    def _forward(self, batch: Batch) -> Output:
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            output: Output = self.model(batch.input_ids, batch.lengths, batch.n_options)
        return output

    def _loss(self, output: Output, label: Tensor, number: int) -> Tensor:
        if self.terms.loss is not None:
            loss = self.terms.loss(output, label)
        else:
            loss = losses.answer_loss(output, label, self.recipe.loss)
        extra = self.extra_loss(output, label, self.recipe.loss, number)
        if extra is not None:
            if extra.shape != ():
                raise UserError(f"{self.extra_loss.__module__}: extra_loss(…) must return a scalar or None, not a "
                                f"tensor of shape {tuple(extra.shape)}")  # fmt: skip
            loss = loss + extra
        return loss if self.prior is None else loss + self.prior()

    def read(self) -> dict[str, float]:
        """Sums since the last `restart`: `loss` and `correct` over examples, `examples`. Waits for the device."""
        loss, correct = self._sums.tolist()
        return {"loss": loss, "correct": correct, "examples": float(self._examples)}

    def restart(self, sums: dict[str, float]) -> None:
        """Go on from `sums` that were read, or from nothing if empty."""
        self._sums = self._sums.new_tensor([sums.get("loss", 0.0), sums.get("correct", 0.0)])
        self._examples = int(sums.get("examples", 0))
