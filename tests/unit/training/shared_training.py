"""Small trainings that several processes share; as a script, some of them by two processes, with a fault if asked."""

import copy
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDERS = ("src", "tests/unit/models", "tests/unit/training")
sys.path[:0] = [str(Path(__file__).parents[3] / folder) for folder in FOLDERS]

import recipes  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from tiny import DECODERS, ENCODERS, build  # noqa: E402
from trainings import DATA, job, weights  # noqa: E402

from peftuq import launch  # noqa: E402
from peftuq.adapters import lora  # noqa: E402
from peftuq.adapters.mixlora import method as mixlora  # noqa: E402
from peftuq.config.load import merge  # noqa: E402
from peftuq.config.recipe import Recipe  # noqa: E402
from peftuq.jobs import program  # noqa: E402
from peftuq.models.readout import ReadOut  # noqa: E402
from peftuq.progress import Log  # noqa: E402
from peftuq.training import loop  # noqa: E402
from peftuq.training.assemble import assemble  # noqa: E402
from peftuq.training.distributed import Group  # noqa: E402
from peftuq.training.epochs import Recorder  # noqa: E402

EPOCH = 5  # steps of each of the three
ENCODER = {"q": "query", "v": "value", "up": r"intermediate\.dense", "down": r"output\.dense"}
DECODER = {"q": "q_proj", "v": "v_proj", "gate": "gate_proj", "up": "up_proj", "down": "down_proj"}
# Kind of adapter, of task, and what its recipe has beside the common one.
KINDS = {
    "lora": (lora, "classification", {}),
    "lora_choice": (lora, "choice", {"gradient_checkpointing": True}),
    "spectral": (lora, "classification", {"spectral_norm": "train"}),
    "spectral_parts": (lora, "classification", {"spectral_norm": "train", "micro_batch_tokens": 8}),
    "mixture": (mixlora, "classification", {}),
    "mixture_choice": (mixlora, "choice", {"micro_batch_tokens": 16}),
    "balanced": (mixlora, "choice", {"loss": {"balance": {"coefficient": 1.0}}}),
}


def recipe(kind: str, gpus: int) -> Recipe:
    adapters, task, more = KINDS[kind]
    common = {"adapter": {"dropout": 0.0}, "optimiser": {"lr": 0.001}, "gpus": gpus}
    if adapters is mixlora:
        targets = ["q", "up", "down"] if task == "classification" else ["q", "gate", "up", "down"]
        common = merge(common, {"adapter": {"targets": targets, "mixture": {}}, "loss": {"calibration": {}}})
    return recipes.recipe(**merge(common, more))


def read_out(kind: str) -> ReadOut:
    adapters, task, _ = KINDS[kind]
    how, encoder = recipe(kind, 1), task == "classification"
    config = copy.deepcopy(ENCODERS["bert"] if encoder else DECODERS["llama"])
    if encoder:
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    hf = build(config, task)
    torch.manual_seed(0)
    return assemble(hf, adapters, how, ENCODER if encoder else DECODER, task, None if encoder else [50, 51, 52])


def train(folder: Path, kind: str, gpus: int) -> tuple[ReadOut, list[dict]]:
    model, how = read_out(kind), recipe(kind, gpus)
    named = job(folder / kind, how, identity=kind, extra_loss=KINDS[kind][0].extra_loss)
    log = Log(folder / "log", "training", launch.rank() or 0)
    named = loop.Job(**{**vars(named), "log": log})
    recorder = Recorder({"shift": DATA["valid"]}, named.checkpoint, writes=launch.is_main())
    history, _ = loop.train(model, DATA, named, recorder)
    return model, history


# -- as a script --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    folder: program.Output  # of weights, logs and a list of what was written
    kinds: list[str]
    fault: str | None = None  # which `process` meets before a `step`
    process: int = 0
    step: int = 0


def fail(fault: str, process: int, step: int) -> None:
    whole = loop.Run.update

    def failing(self: loop.Run, rows, number: int) -> None:
        if self.group.rank == process and number == step:
            if fault == "diverged":
                self.step._sums += torch.nan
            else:
                os.kill(os.getpid(), getattr(signal, fault))
        whole(self, rows, number)

    loop.Run.update = failing


def note_what_is_written(folder: Path) -> None:
    for name in ("replace", "rename"):
        move = getattr(os, name)

        def noted(source, target, move=move) -> None:
            with open(folder / "written", "a") as file:
                file.write(f"{launch.rank()} {Path(target).name}\n")
            move(source, target)

        setattr(os, name, noted)


def main(args: Arguments, log: Log) -> None:
    torch.set_num_threads(args.threads)
    folder = Path(args.folder)
    note_what_is_written(folder)
    if args.fault is not None:
        fail(args.fault, args.process, args.step)
    Group.leave = Group.wait  # the next training of this process goes on with it
    for kind in args.kinds:
        model, history = train(folder, kind, 2)
        if launch.is_main():
            save_file(weights(model), folder / f"{kind}.safetensors")
            (folder / f"{kind}.json").write_text(json.dumps(history))


if __name__ == "__main__":
    program.run(__doc__, Arguments, main, processes=lambda args: 2)
