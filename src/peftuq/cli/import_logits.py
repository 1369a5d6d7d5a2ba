"""Predictions of another program, as records: every metric, and every score that needs no more than logits.

Reads logs of multiple-choice tasks: of lm-evaluation-harness (--log_samples; a .jsonl file), the log-likelihoods of the
options' texts, summed as its acc has them; of Inspect (a .json or .eval file), the log-probabilities of the options'
letters. --valid adds what is fitted on other questions: temperature and its kin, conformal sets. The folder is like a
run's results: `peftuq show`, `compare` and `export` read it.

examples:
  peftuq import-logits samples_arc_easy_2026-01-31.jsonl --out arc
  peftuq import-logits test.jsonl --valid valid.jsonl --model llama --dataset arc_easy --out arc
  peftuq import-logits logs/2026-01-31_arc.eval --out arc && peftuq show --results arc
"""

import argparse
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from peftuq.cli import _shared
from peftuq.errors import UserError

if TYPE_CHECKING:
    from peftuq.external.answers import Answer
    from peftuq.external.run import Plugins

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="the log of the test questions")
    parser.add_argument("--valid", type=Path, help="a log of other questions, to fit and calibrate on")
    parser.add_argument("--model", default="model", help="what tables call the model")
    parser.add_argument("--dataset", help="what tables call the task (default: the file's name)")
    parser.add_argument("--out", type=Path, required=True, help="a new folder, of results")
    _shared.add_json(parser)


def run(args: argparse.Namespace) -> Iterable[str]:
    from peftuq.external import answers
    from peftuq.external.run import write
    from peftuq.files import atomic_folder

    dataset = args.dataset or re.sub(r"[^A-Za-z0-9._-]", "_", args.file.stem)
    for option, name in (("--model", args.model), ("--dataset", dataset)):
        if not _NAME.fullmatch(name):
            raise UserError(f"{option} {name}: use letters, digits, '.', '_' and '-', a letter or digit first")
    if args.out.exists() or not args.out.absolute().parent.is_dir():
        raise UserError(f"--out {args.out}: is there already, or its folder is not: name a new folder")
    given = {"test": args.file, **({"valid": args.valid} if args.valid else {})}
    records = answers.records({part: (file, _read(file)) for part, file in given.items()})
    with atomic_folder(args.out) as folder:
        write(str(folder), args.model, dataset, records, _plugins())
    counts = {part: len(record.id) for part, record in records.items()}
    if args.json:
        return _shared.as_json({"results": str(args.out), "model": args.model, "dataset": dataset, "examples": counts})
    told = ", ".join(f"{count} {part} questions" for part, count in counts.items())
    return [f"{args.out}: {told} of {dataset}; peftuq show --results {args.out}"]


def _read(file: Path) -> "list[Answer]":
    from peftuq.external import inspect_log, lm_eval
    from peftuq.files import unreadable

    readers = {".jsonl": lm_eval.read, ".json": inspect_log.read, ".eval": inspect_log.read}
    if file.suffix not in readers:
        raise UserError(f"{file}: name a .jsonl of lm-evaluation-harness, or a .json or .eval of Inspect")
    try:
        return readers[file.suffix](file)
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 text: is it a log?") from error
    except OSError as error:
        raise UserError(f"{file}: {unreadable(error)}") from error


def _plugins() -> "Plugins":
    """All scores and predictives with their defaults."""
    from peftuq.config.methods import Methods
    from peftuq.config.study import PACKAGE
    from peftuq.external.run import Plugins
    from peftuq.jobs.identity import module

    known = Methods(PACKAGE, {}, "")
    modules = {name: module(file) for name, file in known.files.items()}
    scores = {name: known.score(name) for name in known.scores}
    return Plugins(scores, {name: known.predictive(name) for name in known.predictives}, modules)
