"""`peftuq fit` and `peftuq score` as a new user meets them: an adapter of plain PEFT and transformers' Trainer.

    python benchmarks/own_adapter.py --model results/models/minilm/files --rows train.jsonl.gz --out trial

Trains LoRA on `--labelled` rows, fits on as many others, scores `--new` rows kept apart, and prints wall times, what
was picked, and on the new rows the error rate, AUROC, calibration error of P(wrong), and whether the risk was kept.
Then the rows are dealt anew `--repetitions` times, methods are fitted and one is picked on each deal, and the same is
printed.
"""

import argparse
import gzip
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from peftuq.metrics.calibration import ece
from peftuq.metrics.detection import auroc
from peftuq.metrics.risk_control import answered, answered_error
from peftuq.progress import Log
from peftuq.tool import adapter as adapters
from peftuq.tool import bundle, labelled
from peftuq.tool import fit as fitting
from peftuq.tool.columns import stacked

COMMAND = [sys.executable, "-c", "from peftuq.cli import main; main()"]


def main() -> None:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    sizes = {"train": args.labelled, "labelled": args.labelled, "new": args.new}
    rows = read(args.rows, sum(sizes.values()))
    parts = dict(zip(sizes, np.split(rows, np.cumsum(list(sizes.values()))[:-1]), strict=True))
    for name, part in parts.items():
        pd.DataFrame(list(part)).to_csv(args.out / f"{name}.csv", index=False)
    adapter, uq = args.out / "adapter", args.out / "uq"
    timed("training", lambda: train(args.model, parts["train"], adapter, args.epochs))
    base = ["--model", str(args.model), "--adapter", str(adapter), "--text", args.text]
    run("fit", *base, "--data", str(args.out / "labelled.csv"), "--classes", "negative,positive", "--out", str(uq))
    scored = args.out / "scored.parquet"
    run("score", "--uq", str(uq), "--data", str(args.out / "new.csv"), "--out", str(scored), "--risk", str(args.risk))
    report_file(scored, parts["new"])
    repeat(args, adapter, [*parts["labelled"], *parts["new"]])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True, help="JSON lines, gzipped, with a text and a 0/1 label")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--text", default="sentence")
    parser.add_argument("--labelled", type=int, default=300)
    parser.add_argument("--new", type=int, default=2000)
    parser.add_argument("--risk", type=float, default=0.05)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--repetitions", type=int, default=20)
    return parser.parse_args()


def read(file: Path, count: int) -> np.ndarray:
    with gzip.open(file, "rt") as lines:
        every = [json.loads(line) for line in itertools.islice(lines, 20_000)]
    return np.array(every, dtype=object)[np.random.default_rng(0).permutation(len(every))[:count]]


def train(model: Path, rows: np.ndarray, adapter: Path, epochs: int) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    tokenizer = AutoTokenizer.from_pretrained(model)
    hf = AutoModelForSequenceClassification.from_pretrained(model, num_labels=2)
    lora = LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=16, lora_dropout=0.1, target_modules=["query", "value"])
    peft = get_peft_model(hf, lora)
    settings = TrainingArguments(
        str(adapter.with_name("trainer")), num_train_epochs=epochs, per_device_train_batch_size=16, learning_rate=1e-3,
        report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True, seed=0,
    )  # fmt: skip
    texts = tokenizer([row["sentence"] for row in rows], truncation=True, max_length=128)["input_ids"]
    data = [{"input_ids": ids, "labels": int(row["label"])} for ids, row in zip(texts, rows, strict=True)]
    Trainer(peft, settings, train_dataset=data, data_collator=DataCollatorWithPadding(tokenizer)).train()
    peft.save_pretrained(adapter)


def timed(what: str, work: Any) -> None:
    started = time.monotonic()
    work()
    print(f"{what}: {time.monotonic() - started:.1f} s", flush=True)


def run(command: str, *given: str) -> None:
    timed(f"peftuq {command}", lambda: subprocess.run([*COMMAND, command, *given], check=True))


def report_file(scored: Path, rows: np.ndarray) -> None:
    found = pd.read_parquet(scored)
    labels = np.array(["negative", "positive"])[[row["label"] for row in rows]]
    error = found["answer"].to_numpy() != labels
    kept = found["answered"].to_numpy()
    print(describe(error, found["score"].to_numpy(), found["p_wrong"].to_numpy(), kept.mean(), error[kept].mean()))


def describe(error: np.ndarray, score: np.ndarray, p_wrong: np.ndarray, share: float, risk: float) -> str:
    return (
        f"error rate {error.mean():.3f}, AUROC {auroc(score, error):.3f}, "
        f"ECE of P(wrong) {ece(1 - p_wrong, ~error):.3f}, answered {share:.1%}, wrong among them {risk:.3f}"
    )


def repeat(args: argparse.Namespace, adapter: Path, rows: list[dict[str, Any]]) -> None:
    task = bundle.read(args.out / "uq").content.task
    adapted = adapters.load(args.model, adapter, task, Log(None, "records"))
    data = stacked([{"text": row[args.text]} for row in rows], [row["label"] for row in rows])
    record, head = adapted.run(adapted.encode(data)), adapted.read_out.head()
    broken = 0
    for seed in range(args.repetitions):
        started, order = time.monotonic(), np.random.default_rng(seed).permutation(len(rows))
        dealt = labelled.split(labelled.take(record, order[: args.labelled]), seed)
        new = labelled.take(record, order[args.labelled :])
        chosen = fitting.select(dealt, head, "error-detection", seed, lambda line: None)  # type: ignore[arg-type]
        picked = chosen.choice.picked
        names = SimpleNamespace(predictive=picked.source.name, score=picked.score, variant=picked.variant)
        found = bundle.Bundle(names, chosen.arrays)  # type: ignore[arg-type]
        assert new.h is not None
        probs, score, p_wrong = found(new.logits, new.h)
        error, limit = probs.argmax(axis=1) != new.label, found.threshold(args.risk, 0.9)
        risk = answered_error(score, error, limit)
        broken += risk > args.risk
        said = describe(error, score, p_wrong, answered(score, limit), risk)
        print(f"{seed}: {picked.name}, {chosen.curve_name}: {said}, {time.monotonic() - started:.0f} s", flush=True)
    print(f"risk {args.risk} exceeded in {broken} of {args.repetitions} deals; at most a tenth is promised")


if __name__ == "__main__":
    main()
