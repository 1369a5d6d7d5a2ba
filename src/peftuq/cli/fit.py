"""Uncertainty for your own adapter: compare every method that applies, pick one, and write a bundle for it.

examples:
  peftuq fit --model MiniLM --adapter my_adapter --data labelled.csv --out uq
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

from peftuq.cli import _shared

PURPOSES = ("error-detection", "calibration", "selective-risk")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", type=Path, required=True, help="folder of the model that the adapter was trained on")
    add("--adapter", type=Path, required=True, help="folder of the adapter, in PEFT's format")
    add("--data", type=Path, required=True, help="labelled rows that were not trained on: .csv, .jsonl or .parquet")
    add(
        "--train",
        type=Path,
        help="the rows that the adapter was trained on, for methods that measure distances to them",
    )
    add("--out", type=Path, required=True, help="folder for the bundle and its card")
    add("--for", dest="purpose", choices=PURPOSES, default=PURPOSES[0], help="what the method is picked by")
    add("--text", default="text", help="column of the text, or of the question of a choice")
    add("--label", default="label", help="column of the label: a class's name, or its place from 0")
    add("--options", nargs="+", default=[], help="columns of a choice's options, or the one that holds their list")
    add("--context", help="column of a choice's passage")
    add(
        "--classes",
        type=lambda names: names.split(","),
        help="names of the head's outputs, in order: negative,positive",
    )
    add("--prompt", type=Path, help="prompt of a choice (default: config/prompts/letters.yaml)")
    add("--max-length", type=_count, help="tokens that an input is cut to (default: 1024, or the model's positions)")
    add("--precision", choices=("auto", "bf16", "fp32"), default="auto")
    add("--samples", type=_samples, default=0, help="also compare methods that run the model so many times, or Laplace")
    add("--seed", type=int, default=0, help="of the split of the rows, and of the methods that draw")
    _shared.add_json(parser)


def run(args: argparse.Namespace) -> Iterable[str]:
    from peftuq.progress import Log
    from peftuq.tool import card
    from peftuq.tool.columns import Columns
    from peftuq.tool.fit import Request, fit

    columns = Columns(text=args.text, options=args.options, context=args.context)
    request = Request(
        args.model, args.adapter, args.data, args.out, args.train, args.purpose, columns, args.label,
        args.classes, args.prompt, args.max_length, args.precision, args.samples, args.seed,
    )  # fmt: skip
    written = fit(request, Log(None, "fit"))
    if args.json:
        return _shared.as_json(written.content.model_dump(mode="json"))
    return [*card.summary(written), f"Bundle and card: {args.out / card.NAME}"]


def _samples(text: str) -> int:
    return 0 if text == "0" else _count(text)


def _count(text: str) -> int:
    count = int(text)
    if not 0 < count <= 1_000_000:
        raise argparse.ArgumentTypeError(f"must be from 1 to 1000000, got {text}")
    return count
