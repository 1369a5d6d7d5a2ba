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

import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from tiny import DECODERS, ENCODERS, build  # noqa: E402
from trainings import DATA, RECIPE, job, weights  # noqa: E402

from peftuq import launch  # noqa: E402
from peftuq.adapters import lora  # noqa: E402
from peftuq.adapters.mixlora import method as mixlora  # noqa: E402
from peftuq.jobs import program  # noqa: E402
from peftuq.models.readout import ReadOut  # noqa: E402
from peftuq.progress import Log  # noqa: E402
from peftuq.training import loop  # noqa: E402
from peftuq.training.distributed import Group  # noqa: E402
from peftuq.training.epochs import Recorder  # noqa: E402

EPOCH = 5  # steps of each of the three
ENCODER = {"q": "query", "v": "value", "up": r"intermediate\.dense", "down": r"output\.dense"}
DECODER = {"q": "q_proj", "v": "v_proj", "gate": "gate_proj", "up": "up_proj", "down": "down_proj"}
BALANCE = {"weight": 1.0, "coefficient": 1.0, "count": "argmax", "over": "mean"}
CALIBRATION = {"weight": 1.0, "schedule": "constant", "steps": 50, "flu_tokens": "mean"}
# Kind of adapter, of task, and what its recipe has beside the common one.
KINDS = {
    "lora": (lora, "classification", {}),
    "lora_choice": (lora, "choice", {"gradient_checkpointing": True}),
    "spectral": (lora, "classification", {"spectral_norm": "train"}),
    "spectral_parts": (lora, "classification", {"spectral_norm": "train", "micro_batch_tokens": 8}),
    "mixture": (mixlora, "classification", {}),
    "mixture_choice": (mixlora, "choice", {"micro_batch_tokens": 16}),
    "balanced": (mixlora, "choice", {"balance": BALANCE}),
}


def recipe(kind: str, gpus: int) -> dict:
    adapters, task, more = KINDS[kind]
    loss = {**RECIPE["loss"], "balance": more.get("balance"), "calibration": None}
    adapter = {**RECIPE["adapter"], "dropout": 0.0}
    if adapters is mixlora:
        loss["calibration"] = CALIBRATION
        targets = ["q", "up", "down"] if task == "classification" else ["q", "gate", "up", "down"]
        adapter |= {"targets": targets, "mixture": {"experts": 4, "top_k": 2, "experts_at": ["ffn"]}}
    optimiser = {**RECIPE["optimiser"], "lr": 0.001}
    return {**RECIPE, "adapter": adapter, "loss": loss, "optimiser": optimiser, "gpus": gpus, **more}


def read_out(kind: str) -> ReadOut:
    adapters, task, _ = KINDS[kind]
    how, encoder = recipe(kind, 1), task == "classification"
    config = copy.deepcopy(ENCODERS["bert"] if encoder else DECODERS["llama"])
    if encoder:
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    hf = build(config, task)
    torch.manual_seed(0)
    peft = adapters.attach(hf, ENCODER if encoder else DECODER, how["adapter"], task)
    if how.get("gradient_checkpointing"):
        hf.gradient_checkpointing_enable({"use_reentrant": False})
    model = adapters.read_out(peft, hf, None if encoder else [50, 51, 52], how["loss"])
    if how.get("spectral_norm"):
        model.normalise_head()
    return model


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
