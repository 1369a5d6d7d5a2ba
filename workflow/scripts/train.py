"""Train one adapter and save it in PEFT's format."""

import importlib
import shutil
from pathlib import Path

from peftuq import launch, program

args = program.arguments(__doc__, ["spec", "model", "train", "valid", "checkpoint"], ["evals"])
launch.launch(args.spec["recipe"]["gpus"])

import numpy as np  # noqa: E402  after the number of threads is set
import torch  # noqa: E402

from peftuq import artifacts, fetched, files  # noqa: E402
from peftuq.models import backbone, encode  # noqa: E402
from peftuq.models.lora import count_parameters  # noqa: E402
from peftuq.progress import Log  # noqa: E402
from peftuq.training import epochs, loop  # noqa: E402
from peftuq.training.assemble import assemble  # noqa: E402


def main(log: Log) -> None:
    torch.set_num_threads(args.threads)
    adapters = importlib.import_module(f"peftuq.adapters.{args.spec['adapter']}")
    task, recipe, seed = args.spec["task"], args.spec["recipe"], args.spec["seed"]
    folder = fetched.files(args.model)
    weights, _, facts_file, history_file, *epoch_files = map(Path, args.output)
    torch.manual_seed(loop.step_seed(seed, 0, 0))
    dtype = backbone.dtype(task["precision"])
    tokenizer = backbone.tokenizer(folder)
    data = {part: encode.encode(tokenizer, getattr(args, part), task) for part in ("train", "valid")}
    hf = backbone.load(folder, task["kind"], len(task["classes"]), dtype)
    model = assemble(hf, adapters, args.spec, encode.answer_tokens(tokenizer, task))
    counts = count_parameters(model)
    log(f"{counts['trainable']:,} trainable of {counts['all']:,} parameters, {dtype}, {len(data['train'])} examples")
    job = loop.Job(
        recipe=recipe,
        extra_loss=adapters.extra_loss,
        seed=seed,
        pad=tokenizer.pad_token_id,
        dtype=dtype,
        max_tokens=task["batch_tokens"],
        checkpoint=Path(args.checkpoint),
        identity=f"{files.canonical(args.spec)} {args.code}",
        log=log,
    )
    at_epoch = None
    if recipe["epoch_records"]:
        # Drawn with a seed of its own: the same examples for every member, whatever order the file has.
        shuffled = np.random.default_rng(0).permutation(len(data["train"]))
        parts = {"train": data["train"].take(shuffled[: recipe["epoch_records"]])}
        for part, file in zip(args.spec["evals"], args.evals, strict=True):
            parts[part] = encode.encode(tokenizer, file, task)
        at_epoch = epochs.Recorder(parts, job.checkpoint, writes=launch.is_main())
    history, seconds = loop.train(model, data, job, at_epoch)
    if not launch.is_main():
        return
    model.bake_head()
    with files.atomic_folder(weights.parent) as temporary:
        model.model.save_pretrained(temporary, safe_serialization=True, save_embedding_layers=False)
        (temporary / "README.md").unlink()  # a form to be filled in
        files.write_lines(temporary / history_file.name, history)
        facts = {**counts, "seconds": seconds, "dtype": str(dtype), "device": str(backbone.device())}
        files.write_json(temporary / facts_file.name, {**facts, "examples": len(data["train"])})
    for file in epoch_files:
        artifacts.write_epochs(file, at_epoch.all(recipe["optimiser"]["epochs"]))
    shutil.rmtree(args.checkpoint, ignore_errors=True)


program.run(main, Log(args.log, f"train {Path(args.output[0]).parent}", launch.rank() or 0))
