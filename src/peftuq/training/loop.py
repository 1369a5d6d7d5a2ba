"""The training loop: one for every recipe, on one CPU or many GPUs, interrupted or not.

Everything random is a function of (seed, step, process): an interrupted run that resumes from its checkpoint
ends in the same bits as one that never stopped.
"""

import math
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from peftuq.artifacts import Record
from peftuq.errors import UserError
from peftuq.models import inference
from peftuq.models.batching import Encoded, collate, epoch_batches, token_batches
from peftuq.models.lora import trainable
from peftuq.models.readout import ReadOut
from peftuq.progress import Log, Progress
from peftuq.training import checkpoints, losses
from peftuq.training.checkpoints import Position
from peftuq.training.step import ExtraLoss, Step

REQUEUE = 75  # exit status of a training that was asked to stop and has left a checkpoint (EX_TEMPFAIL)


AtEpoch = Callable[[int, Callable[[Encoded], Record], Record], None]


@dataclass(frozen=True)
class Job:
    """What a training needs beside the model.

    `extra_loss(output, label, loss, step)` is what the adapter's kind adds to the cross-entropy. `identity` names the
    job: only its own checkpoint is resumed.
    """

    recipe: dict
    extra_loss: ExtraLoss
    seed: int
    pad: int
    dtype: torch.dtype
    max_tokens: int
    checkpoint: Path
    identity: str
    log: Log


def schedule(step: int, steps: int, optimiser: dict) -> float:
    """Factor of the learning rate at a step in [0, steps): linear warm-up, then linear decay to 0 or constant."""
    warmup = math.ceil(optimiser["warmup"] * steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 1.0 if optimiser["schedule"] == "constant" else (steps - step) / max(1, steps - warmup)


def step_seed(seed: int, step: int, process: int) -> int:
    return int(np.random.SeedSequence([seed, step, process]).generate_state(1, np.uint64)[0] >> 1)


class Interrupt:
    """Notices SIGTERM and SIGUSR1, so that the loop can leave a checkpoint before it goes."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True


def train(
    model: ReadOut, data: dict[str, Encoded], job: Job, at_epoch: AtEpoch | None = None
) -> tuple[list[dict], float]:
    """Train in place on `data["train"]`; return a row per epoch (loss and accuracy on train and valid) and seconds.

    `at_epoch(epoch, record, valid)` is called after each epoch, before its checkpoint; `record` runs the model over
    examples, `valid` is what it said of the validation split.
    Raises `UserError` if the loss stops being a number, `SystemExit(REQUEUE)` after a signal.
    """
    return Run(model, data, job, Accelerator(cpu=not torch.cuda.is_available())).to_the_end(at_epoch)


class Run:
    """A training as `train` goes through it, on the device of `accelerator` and with its processes."""

    def __init__(self, model: ReadOut, data: dict[str, Encoded], job: Job, accelerator: Accelerator):
        self.job, self.data, self.accelerator = job, data, accelerator
        self.optim = job.recipe["optimiser"]
        self.rank, self.world = self.accelerator.process_index, self.accelerator.num_processes
        self.plain = model.to(self.accelerator.device)
        prior, examples = job.recipe["prior"], len(data["train"])
        self.step = Step(
            self.accelerator.prepare(self.plain),
            job.recipe,
            job.extra_loss,
            losses.Prior(prior, trainable(self.plain), examples, step_seed(job.seed, 0, 1)) if prior else None,
            job.dtype,
        )
        self.per_epoch = math.ceil(len(data["train"]) / self.optim["batch_size"])
        self.steps = self.per_epoch * self.optim["epochs"]
        self.started = time.monotonic()

    def state(self) -> dict[str, torch.Tensor]:
        """All tensors that training changes, buffers of normalisations among them."""
        buffers = {n: b for n, b in self.plain.named_buffers() if "parametrizations" in n}
        return {**trainable(self.plain), **buffers}

    def to_the_end(self, at_epoch: AtEpoch | None) -> tuple[list[dict], float]:
        self.interrupt = Interrupt()
        position = checkpoints.restore(self.job.checkpoint, self.job.identity, self.state(), self.step.optimiser)
        if position is None:
            position = Position(0, [], {}, 0.0)
        else:
            self.job.log(f"resumed at step {position.step} of {self.steps}")
        self.step.restart(position.running)
        progress = Progress(self.job.log, "step", self.steps, "steps", position.step)
        while position.step < self.steps:
            epoch, index = divmod(position.step, self.per_epoch)
            batches = epoch_batches(self.data["train"].lengths, self.optim["batch_size"], self.job.seed, epoch)
            for rows in batches[index:]:
                self.update(rows, position.step)
                position.step += 1
                progress(1, lambda: f"loss {self._loss(position):.4f}")
                self._save_if_due(position)
            self._end_epoch(epoch + 1, position, at_epoch)
        return position.log, position.seconds + time.monotonic() - self.started

    def update(self, rows: np.ndarray, number: int) -> None:
        """Step `number`, on rows of the training set: this process's share of them, in micro-batches."""
        torch.manual_seed(step_seed(self.job.seed, number, self.rank))
        share = rows[self.rank :: self.world]
        # A process without a share of the last, small batch still takes part in the gradient's sum, with weight 0.
        weight = self.world / len(rows) if len(share) else 0.0
        share = share if len(share) else rows[:1]
        train = self.data["train"]
        parts = [share[part] for part in token_batches(train.lengths[share], self.job.recipe["micro_batch_tokens"])]
        batches = [collate(train, part, self.job.pad).to(self.accelerator.device) for part in parts]
        self.step(batches, number, schedule(number, self.steps, self.optim), weight)

    def _loss(self, position: Position) -> float:
        """The running mean loss, once `position.running` has what the device has added up so far.

        Raises `UserError` where it is no number: this is called before a checkpoint is written, and at every epoch.
        """
        position.running = self.step.read()
        loss = position.running["loss"]
        if not math.isfinite(loss):
            raise UserError(
                f"training diverged: after step {position.step} the loss is {loss}; "
                f"lower optimiser.lr (now {self.optim['lr']:g}) or set optimiser.clip in the recipe"
            )
        return loss / max(position.running["examples"], 1)

    def _save_if_due(self, position: Position) -> None:
        due = position.step % self.job.recipe["checkpoint_steps"] == 0 and position.step < self.steps
        if due or self.interrupt.asked:
            self._save(position)
        if self.interrupt.asked:
            self.job.log(f"asked to stop: checkpoint at step {position.step} of {self.steps} written")
            raise SystemExit(REQUEUE)

    def _save(self, position: Position) -> None:
        self._loss(position)
        now = time.monotonic()
        position.seconds, self.started = position.seconds + now - self.started, now
        if self.accelerator.is_main_process:
            checkpoints.save(self.job.checkpoint, self.job.identity, position, self.state(), self.step.optimiser)

    def _end_epoch(self, epoch: int, position: Position, at_epoch: AtEpoch | None) -> None:
        self._loss(position)
        totals = gather_object([position.running])
        examples = sum(t["examples"] for t in totals)
        valid = self.record(self.data["valid"])
        row = {
            "epoch": epoch,
            "train_loss": sum(t["loss"] for t in totals) / examples,
            "train_accuracy": sum(t["correct"] for t in totals) / examples,
            **_validation(valid),
        }
        position.log.append(row)
        position.running = {}
        self.step.restart({})
        self.job.log(" ".join(f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
        if at_epoch is not None:
            at_epoch(epoch, self.record, valid)
        if epoch < self.optim["epochs"]:
            self._save(position)

    def record(self, data: Encoded) -> Record:
        """What the model says of every example; the processes share the rows and each gets all of it."""
        rows = [np.arange(rank, len(data), self.world) for rank in range(self.world)]
        mine = rows[self.rank] if len(rows[self.rank]) else np.arange(1)
        part = inference.run(self.plain, data.take(mine), self.job.pad, self.job.max_tokens, self.job.dtype)
        parts = gather_object([part])
        if self.world == 1:
            return part
        order = np.argsort(np.concatenate([r for r in rows if len(r)]))
        kept = [p for p, r in zip(parts, rows, strict=True) if len(r)]
        fields = {name: [getattr(p, name) for p in kept] for name in vars(part)}
        return Record(**{n: None if v[0] is None else np.concatenate(v)[order] for n, v in fields.items()})


def _validation(record: Record) -> dict[str, float]:
    """Loss (over the options) and accuracy on the validation split."""
    logits, label = torch.from_numpy(record.logits).double(), torch.from_numpy(record.label)
    loss = torch.nn.functional.cross_entropy(logits, label)
    return {"valid_loss": float(loss), "valid_accuracy": float((logits.argmax(dim=1) == label).double().mean())}
