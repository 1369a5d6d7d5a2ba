"""The training loop: one for every recipe, in one process or several that share each batch, interrupted or not.

Everything random is a function of (seed, step, process): an interrupted run that resumes from its checkpoint
ends in the same bits as one that never stopped. Processes are in step: at each one they agree on whether to go on.
"""

import math
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from peftuq import launch
from peftuq.adapters.peft_lora import trainable
from peftuq.adapters.protocol import NOTHING, Terms
from peftuq.artifacts import Record
from peftuq.config.recipe import Optimiser, Recipe
from peftuq.errors import UserError
from peftuq.models import inference
from peftuq.models.batching import Encoded, collate, epoch_batches, token_batches
from peftuq.models.readout import ReadOut
from peftuq.progress import Log, Progress
from peftuq.training import checkpoints, losses
from peftuq.training.checkpoints import Position
from peftuq.training.distributed import Group
from peftuq.training.step import ExtraLoss, Step

REQUEUE = 75  # exit status of a training that a signal ended, and that left a checkpoint (EX_TEMPFAIL)


AtEpoch = Callable[[int, Callable[[Encoded], Record], Record], None]
Row = dict[str, Any]  # of the log: an epoch's number, loss and accuracy on train and valid


@dataclass(frozen=True)
class Job:
    """A training, beside its model.

    `extra_loss(output, label, loss, step)` is what the adapter's kind adds to the cross-entropy, `terms` the part that
    its posterior has. `identity` names the job: only its own checkpoint is resumed.
    """

    recipe: Recipe
    extra_loss: ExtraLoss
    seed: int
    pad: int
    dtype: torch.dtype
    max_tokens: int
    checkpoint: Path
    identity: str
    log: Log
    terms: Terms = NOTHING


def schedule(step: int, steps: int, optimiser: Optimiser) -> float:
    """Factor of the learning rate at a step in [0, steps): linear warm-up, then linear decay to 0 or constant."""
    warmup = math.ceil(optimiser.warmup * steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 1.0 if optimiser.schedule == "constant" else (steps - step) / max(1, steps - warmup)


def step_seed(seed: int, step: int, process: int) -> int:
    return int(np.random.SeedSequence([seed, step, process]).generate_state(1, np.uint64)[0] >> 1)


class Interrupt:
    """SIGTERM and SIGUSR1 as a request to stop, so that the loop can write a checkpoint before it ends."""

    def __init__(self) -> None:
        self._signalled = False
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._signal)

    def _signal(self, *_: object) -> None:
        self._signalled = True

    @property
    def requested(self) -> bool:
        return self._signalled or launch.abandoned()


def train(
    model: ReadOut, data: dict[str, Encoded], job: Job, at_epoch: AtEpoch | None = None
) -> tuple[list[Row], float]:
    """Train in place on `data["train"]`; return a row per epoch (loss and accuracy on train and valid) and seconds.

    `at_epoch(epoch, record, valid)` is called after each epoch, before its checkpoint; `record` runs the model over
    examples, `valid` is the record of the validation split.
    Raises `UserError` if the loss stops being a number, `SystemExit(REQUEUE)` after a signal; of several processes all
    do, at the same step, whichever of them noticed.
    """
    return Run(model, data, job, Group(job.recipe.gpus)).to_the_end(at_epoch)


class Run:
    """A training as `train` goes through it, on the device of `group` and with its processes."""

    def __init__(self, model: ReadOut, data: dict[str, Encoded], job: Job, group: Group):
        self.job, self.data, self.group = job, data, group
        assert job.recipe.optimiser is not None
        self.optim = job.recipe.optimiser
        self.model = model.to(group.device)
        prior, examples = job.recipe.prior, len(data["train"])
        self.step = Step(
            self.model,
            job.recipe,
            job.extra_loss,
            losses.Prior(prior, trainable(self.model), examples, step_seed(job.seed, 0, 1))
            if prior
            else job.terms.penalty,
            job.dtype,
            self.group.add_gradients,
            job.terms,
        )
        self.per_epoch, self.steps = self.optim.steps_an_epoch(examples), self.optim.steps(examples)
        self.epochs = self.optim.passes(examples)
        self.diverged = False
        self.started = time.monotonic()

    def buffers(self) -> dict[str, torch.Tensor]:
        """Buffers of normalised layers: tensors that training changes without a gradient."""
        return {n: b for n, b in self.model.named_buffers() if "parametrizations" in n}

    def collected(self) -> dict[str, torch.Tensor]:
        """Buffers in which the adapter's kind collects its posterior, alike in every process."""
        return {n: b for n, b in self.model.named_buffers() if ".collected_" in n}

    def state(self) -> dict[str, torch.Tensor]:
        """All tensors that training changes."""
        return {**trainable(self.model), **self.buffers(), **self.collected()}

    def to_the_end(self, at_epoch: AtEpoch | None) -> tuple[list[Row], float]:
        self.interrupt = Interrupt()
        position = checkpoints.restore(self.job.checkpoint, self.job.identity, self.state(), self.step.optimiser)
        if position is None:
            position = Position(0, [], [], 0.0)
        else:
            self.job.log(f"resumed at step {position.step} of {self.steps}")
        self.group.spread(self.state().values())
        self.step.restart(position.sums[self.group.rank] if position.sums else {})
        progress = Progress(self.job.log, "step", self.steps, "steps", position.step)
        # Epochs are counted by the log: a training may have been stopped after an epoch's last step, before its end.
        while (epoch := len(position.log)) < self.epochs:
            batches = epoch_batches(self.data["train"].lengths, self.optim.batch_size, self.job.seed, epoch)
            first = epoch * self.per_epoch
            for rows in batches[position.step - first : self.steps - first]:
                self.update(rows, position.step)
                position.step += 1
                progress(1, self._note)
                self._go_on_or_stop(position)
            self._end_epoch(epoch + 1, position, at_epoch)
        self.group.leave()
        return position.log, position.seconds + time.monotonic() - self.started

    def update(self, rows: np.ndarray, number: int) -> None:
        """Step `number`, on rows of the training set: this process's share of them, in micro-batches."""
        rank, size = self.group.rank, self.group.size
        torch.manual_seed(step_seed(self.job.seed, number, rank))
        share = rows[rank::size]
        train = self.data["train"]
        parts = [share[part] for part in token_batches(train.lengths[share], self.job.recipe.micro_batch_tokens)]
        batches = [collate(train, part, self.job.pad).to(self.group.device) for part in parts]
        self.step(batches, number, schedule(number, self.steps, self.optim), 1 / len(rows))
        # A head is normalised once a part, and processes have different numbers of parts.
        self.group.spread(self.buffers().values())

    def _note(self) -> str:
        """This process's mean loss, for the log; one that is no number ends the training at the end of the step."""
        sums = self.step.read()
        self.diverged = not math.isfinite(sums["loss"])
        return f"loss {sums['loss'] / max(sums['examples'], 1):.4f}"

    def _read(self, position: Position) -> None:
        """Bring `position.sums` up to date with the devices' sums.

        Raises `UserError` where the loss is no number. To be called before a checkpoint is written, and every epoch.
        """
        position.sums = self.group.gather(self.step.read())
        loss = sum(sums["loss"] for sums in position.sums)
        if not math.isfinite(loss):
            raise UserError(
                f"training diverged: after step {position.step} the loss is {loss}; "
                f"lower optimiser.lr (now {self.optim.lr:g}) or set optimiser.clip in the recipe"
            )

    def _go_on_or_stop(self, position: Position) -> None:
        stop = self.group.any(self.interrupt.requested or self.diverged)
        if stop or (position.step % self.job.recipe.checkpoint_steps == 0 and position.step < self.steps):
            self._save(position)
        if stop:
            self.job.log(f"signal received: checkpoint at step {position.step} of {self.steps} written")
            self.group.wait()  # the others would take the one that writes along
            raise SystemExit(REQUEUE)

    def _save(self, position: Position) -> None:
        self._read(position)
        now = time.monotonic()
        position.seconds, self.started = position.seconds + now - self.started, now
        if self.group.is_main:
            checkpoints.save(self.job.checkpoint, self.job.identity, position, self.state(), self.step.optimiser)

    def _end_epoch(self, epoch: int, position: Position, at_epoch: AtEpoch | None) -> None:
        self._read(position)
        totals = {name: sum(sums[name] for sums in position.sums) for name in position.sums[0]}
        valid = self.record(self.data["valid"])
        row = {
            "epoch": epoch,
            "train_loss": totals["loss"] / totals["examples"],
            "train_accuracy": totals["correct"] / totals["examples"],
            **_validation(valid),
        }
        position.log.append(row)
        self.step.restart({})
        self.job.log(" ".join(f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
        if at_epoch is not None:
            at_epoch(epoch, self.record, valid)
        if epoch < self.epochs:
            self._save(position)

    def record(self, data: Encoded) -> Record:
        """The record of every example; the processes share the rows and each gets all of it."""
        rank, size = self.group.rank, self.group.size
        rows = [np.arange(start, len(data), size) for start in range(size)]
        mine = rows[rank] if len(rows[rank]) else np.arange(1)
        part = inference.run(self.model, data.take(mine), self.job.pad, self.job.max_tokens, self.job.dtype)
        if size == 1:
            return part
        parts = self.group.gather(part)
        order = np.argsort(np.concatenate([r for r in rows if len(r)]))
        kept = [p for p, r in zip(parts, rows, strict=True) if len(r)]
        fields: dict[str, list[Any]] = {name: [getattr(p, name) for p in kept] for name in vars(part)}
        arrays: dict[str, Any] = {n: None if v[0] is None else np.concatenate(v)[order] for n, v in fields.items()}
        return Record(**arrays)


def _validation(record: Record) -> dict[str, float]:
    """Loss (over the options) and accuracy on the validation split."""
    logits, label = torch.from_numpy(record.logits).double(), torch.from_numpy(record.label)
    loss = torch.nn.functional.cross_entropy(logits, label)
    return {"valid_loss": float(loss), "valid_accuracy": float((logits.argmax(dim=1) == label).double().mean())}
