"""`peftuq fit` and `peftuq score` as a new user meets them: an adapter of plain PEFT and transformers' Trainer.

    python benchmarks/own_adapter.py --model results/models/minilm/files --rows train.jsonl.gz --out trial

Trains LoRA on `--trained` rows, fits on `--labelled` others, scores `--new` rows kept apart, and prints wall times,
what was picked, and on the new rows the error rate, AUROC, calibration error of P(wrong), and whether the risk was
kept. What `--out` holds already is not made again. Then, `--repetitions` times for each of the sizes `--deals`, rows
are dealt anew: so many labelled ones and `--new` others; methods are fitted, one is picked, and the same is printed.
There AdUE's grid is one point: its search takes most of a fit's time.
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

from peftuq.artifacts import Head, Record, RecordFile, write_records
from peftuq.config.methods import Methods
from peftuq.config.study import PACKAGE
from peftuq.metrics.calibration import ece
from peftuq.metrics.detection import auroc
from peftuq.metrics.risk_control import answered, answered_error
from peftuq.progress import Log
from peftuq.tool import adapter as adapters
from peftuq.tool import bundle, candidates, labelled
from peftuq.tool import fit as fitting
from peftuq.tool.columns import stacked

COMMAND = [sys.executable, "-c", "from peftuq.cli import main; main()"]


ONE_FIT = {"adue": {"lr": [1e-4], "epochs": [5], "alpha": [0.1], "beta": [0.1]}}


def main() -> None:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    sizes = {"train": args.trained, "labelled": args.labelled, "new": args.new}
    rows = read(args.rows, args.trained + max(args.labelled, *args.deals) + args.new)
    parts = dict(zip(sizes, np.split(rows, np.cumsum(list(sizes.values()))), strict=False))
    for name, part in parts.items():
        pd.DataFrame(list(part)).to_csv(args.out / f"{name}.csv", index=False)
    adapter, uq, scored = args.out / "adapter", args.out / "uq", args.out / "scored.parquet"
    if not adapter.is_dir():
        timed("training", lambda: train(args.model, parts["train"], adapter, args.epochs))
    data = ["--data", str(args.out / "labelled.csv"), "--text", args.text, "--classes", "negative,positive"]
    if not uq.is_dir():
        run("fit", "--model", str(args.model), "--adapter", str(adapter), *data, "--out", str(uq))
    if not scored.is_file():
        new = str(args.out / "new.csv")
        run("score", "--uq", str(uq), "--data", new, "--out", str(scored), "--risk", str(args.risk))
    report_file(scored, parts["new"])
    dealt_with = Methods(PACKAGE, ONE_FIT, "deals")
    candidates.methods = lambda: dealt_with  # type: ignore[assignment]
    record, head = records(args, adapter, rows[args.trained :])
    for labelled_rows in args.deals:
        repeat(args, record, head, labelled_rows)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True, help="JSON lines, gzipped, with a text and a 0/1 label")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--text", default="sentence")
    parser.add_argument("--trained", type=int, default=300)
    parser.add_argument("--labelled", type=int, default=300)
    parser.add_argument("--deals", type=int, nargs="+", default=[300, 3000])
    parser.add_argument("--new", type=int, default=2000)
    parser.add_argument("--risk", type=float, default=0.05)
    parser.add_argument("--epochs", type=int, default=3)
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
    lora = LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=16, lora_dropout=0.1, target_modules="all-linear")
    peft = get_peft_model(hf, lora)
    settings = TrainingArguments(
        str(adapter.with_name("trainer")), num_train_epochs=epochs, per_device_train_batch_size=8, learning_rate=2e-3,
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
    risk = error[kept].mean() if kept.any() else 0.0
    print(describe(error, found["score"].to_numpy(), found["p_wrong"].to_numpy(), kept.mean(), risk), flush=True)


def describe(error: np.ndarray, score: np.ndarray, p_wrong: np.ndarray, share: float, risk: float) -> str:
    return (
        f"error rate {error.mean():.3f}, AUROC {auroc(score, error):.3f}, "
        f"ECE of P(wrong) {ece(1 - p_wrong, ~error):.3f}, answered {share:.1%}, wrong among them {risk:.3f}"
    )


def records(args: argparse.Namespace, adapter: Path, rows: np.ndarray) -> tuple[Record, Head]:
    file = args.out / "records.safetensors"
    if not file.is_file():
        task = bundle.read(args.out / "uq").content.task
        adapted = adapters.load(args.model, adapter, task, Log(None, "records"))
        data = stacked([{"text": row[args.text]} for row in rows], [row["label"] for row in rows])
        write_records(file, {"rows": adapted.run(adapted.encode(data))}, adapted.read_out.head())
    found = RecordFile(file)
    return found["rows"], found.head


def repeat(args: argparse.Namespace, record: Record, head: Head, labelled_rows: int) -> None:
    broken = 0
    for seed in range(args.repetitions):
        started, order = time.monotonic(), np.random.default_rng(seed).permutation(len(record.id))
        dealt = labelled.split(labelled.take(record, order[:labelled_rows]), seed)
        new = labelled.take(record, order[labelled_rows : labelled_rows + args.new])
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
        took = time.monotonic() - started
        print(f"{labelled_rows} {seed}: {picked.name}, {chosen.curve_name}: {said}, {took:.0f} s", flush=True)
    print(
        f"{labelled_rows} labelled rows: risk {args.risk} exceeded in {broken} of {args.repetitions} deals; "
        "at most a tenth is promised",
        flush=True,
    )


if __name__ == "__main__":
    main()
