"""Train one adapter and save it in PEFT's format."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peftuq import launch
from peftuq.jobs import program
from peftuq.progress import Log
from peftuq.specs.train import Train


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    spec: Train
    model: program.Input
    train: program.Input
    valid: program.Input
    evals: list[program.Input]  # a file for each of the spec's evaluation sets
    checkpoint: str  # a folder
    weights: program.Output  # in a folder that appears whole, with the three below
    config: program.Output
    facts: program.Output
    history: program.Output
    epochs: program.Output | None = None  # for recipes that record them


def main(args: Arguments, log: Log) -> None:
    import torch

    from peftuq import artifacts, fetched, files, plugins, usage
    from peftuq.adapters.peft_lora import count_parameters
    from peftuq.adapters.protocol import AdapterModule, terms
    from peftuq.models import backbone, encode
    from peftuq.models.kernels import use_job_kernels
    from peftuq.training import loop
    from peftuq.training.assemble import assemble

    torch.set_num_threads(args.threads)
    adapters = plugins.load(args.spec.adapter, AdapterModule)
    task, recipe, seed = args.spec.task, args.spec.recipe, args.spec.seed
    folder = fetched.files(args.model)
    use_job_kernels()
    torch.manual_seed(loop.step_seed(seed, 0, 0))
    dtype = backbone.dtype(task.precision)
    tokenizer = backbone.tokenizer(folder)
    data, cut = _encoded(args, tokenizer, log)
    hf = backbone.load(folder, task.kind, len(task.classes), dtype)
    limits = backbone.Limits.of(hf)
    for part, encoded in data.items():
        limits.check(encoded.tokens, getattr(args, part))
    answers = encode.answer_tokens(tokenizer, task)
    model = assemble(hf, adapters, recipe, args.spec.modules, task.kind, answers)
    counts = count_parameters(model)
    log(f"{counts['trainable']:,} trainable of {counts['all']:,} parameters, {dtype}, {len(data['train'])} examples")
    job = loop.Job(
        recipe=recipe,
        extra_loss=adapters.extra_loss,
        seed=seed,
        pad=tokenizer.pad_token_id,
        dtype=dtype,
        max_tokens=task.batch_tokens,
        checkpoint=Path(args.checkpoint),
        identity=f"{files.canonical(program.plain(args.spec))} {args.code}",
        log=log,
        terms=terms(adapters, model, recipe, len(data["train"])),
    )
    at_epoch = _recorder(args, tokenizer, data["train"], limits)
    history, seconds = loop.train(model, data, job, at_epoch)
    if not launch.is_main():
        return
    facts = {**counts, "seconds": seconds, "dtype": str(dtype), "device": usage.device(), "peak_mib": usage.peak_mib()}
    _save(args, model, history, {**facts, "examples": len(data["train"]), "cut": cut})
    if args.epochs is not None:
        artifacts.write_epochs(args.epochs, at_epoch.all(len(history)))
    shutil.rmtree(args.checkpoint, ignore_errors=True)


def _encoded(args: Arguments, tokenizer: Any, log: Log) -> tuple[dict[str, Any], dict[str, int]]:
    """Train and valid as tokens, and how many inputs of each were cut; those of train may be cut shorter."""
    from peftuq.models import encode

    task, data, cut = args.spec.task, {}, dict[str, int]()
    shorter = task.model_copy(update={"max_length": args.spec.recipe.cutoff(task.max_length)})
    for part, file, its_task in (("train", args.train, shorter), ("valid", args.valid, task)):
        data[part] = encode.encode(tokenizer, file, its_task)
        cut |= encode.count_cut(tokenizer, {part: data[part]}, [file], its_task, log)
    return data, cut


def _recorder(args: Arguments, tokenizer: Any, train: Any, limits: Any) -> Any:
    """A recorder of the model after every epoch, on a part of `train` and on the evaluation sets; None without one."""
    import numpy as np

    from peftuq.models import encode
    from peftuq.training.epochs import Recorder

    if args.epochs is None:
        return None
    # Drawn with a seed of its own: the same examples for every member, whatever order the file has.
    shuffled = np.random.default_rng(0).permutation(len(train))
    parts = {"train": train.take(shuffled[: args.spec.recipe.epoch_records])}
    for part, file in zip(args.spec.evals, args.evals, strict=True):
        parts[part] = encode.encode(tokenizer, file, args.spec.task)
        limits.check(parts[part].tokens, file)
    return Recorder(parts, Path(args.checkpoint), writes=launch.is_main())


def _save(args: Arguments, model: Any, history: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    """The adapter's folder, whole: weights and their configuration as PEFT has them, the log of its epochs, facts."""
    from peftuq import files

    model.bake_head()
    with files.atomic_folder(Path(args.weights).parent) as temporary:
        model.model.save_pretrained(temporary, safe_serialization=True, save_embedding_layers=False)
        (temporary / "README.md").unlink()  # a form to be filled in
        files.write_lines(temporary / Path(args.history).name, history)
        files.write_json(temporary / Path(args.facts).name, facts)


program.run(__doc__, Arguments, main, processes=lambda args: args.spec.recipe.gpus)
