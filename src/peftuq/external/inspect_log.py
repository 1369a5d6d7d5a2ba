"""Logs of Inspect: a JSON log, or a `.eval` archive of one.

A sample is a question: `choices` are the options, lettered A, B, …, `target` the right letter, and the output's
`logprobs` hold for every token that was generated the most probable ones at its place (`top_logprobs`). The answer is
read at the last token that is an option's letter; all options must be among the most probable there, or their
probabilities are not known. Format: version 2 of `EvalLog`, with `GenerateConfig(logprobs=True, top_logprobs=20)`.
"""

import json
import math
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from peftuq.errors import UserError
from peftuq.external.answers import Answer, number


def read(file: Path) -> list[Answer]:
    """The answers of a log's samples, by id and epoch as they stand there. `UserError` naming what does not fit."""
    answers, epochs = [], set()
    for sample in _samples(file):
        if not isinstance(sample, dict):
            raise UserError(f"{file}: a sample is no mapping: not a log of Inspect")
        where = f"{file}: sample {sample.get('id')}"
        epochs.add(sample.get("epoch", 1))
        if len(epochs) > 1:
            raise UserError(f"{where}: is asked in several epochs: import a log of one (--epochs 1)")
        if sample.get("error"):
            raise UserError(f"{where}: ended in an error: run `inspect eval-retry` on this log first")
        answers.append(_answer(sample, where))
    return answers


def _samples(file: Path) -> Iterator[dict[str, Any]]:
    if file.suffix == ".eval":
        yield from _archived(file)
        return
    try:
        log = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise UserError(f"{file}: not JSON ({error}): is the file whole?") from error
    _check_log(log, file)
    if not isinstance(log.get("samples"), list):
        raise UserError(f"{file}: has no samples: log them (--log-samples)")
    yield from log["samples"]


def _archived(file: Path) -> Iterator[dict[str, Any]]:
    try:
        with zipfile.ZipFile(file) as archive:
            _check_log(json.loads(archive.read("header.json")), file)
            for name in archive.namelist():
                if name.startswith("samples/"):
                    yield json.loads(archive.read(name))
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError) as error:
        raise UserError(f"{file}: not a whole .eval log ({error}): run the evaluation to its end") from error
    except NotImplementedError as error:
        raise UserError(f"{file}: is compressed as Python's zipfile cannot read it: `inspect log convert --to json` "
                        "it first") from error  # fmt: skip


def _check_log(log: Any, file: Path) -> None:
    if not isinstance(log, dict) or "eval" not in log or "version" not in log:
        raise UserError(f"{file}: has no version and eval: not a log of Inspect")
    if log["version"] != 2:
        raise UserError(f"{file}: version {log['version']} of Inspect's log; known is 2")
    if log.get("status") != "success":
        raise UserError(f"{file}: its status is {log.get('status')}: import an evaluation that has ended well")


def _answer(sample: dict[str, Any], where: str) -> Answer:
    options = sample.get("choices")
    if not isinstance(options, list) or not 2 <= len(options) <= len(ascii_uppercase):
        raise UserError(f"{where}: has no choices, 2 to {len(ascii_uppercase)} of them: only multiple-choice tasks can "
                        "be imported")  # fmt: skip
    letters = ascii_uppercase[: len(options)]
    logprobs = [_letter_logprobs(token, letters, where) for token in _tokens(sample, where)]
    answered = [found for token, found in logprobs if token in set(letters)]
    if not answered:
        raise UserError(f"{where}: no token of its answer is one of the letters {letters}: ask for the letter alone")
    missing = [letter for letter in letters if letter not in answered[-1]]
    if missing:
        raise UserError(f"{where}: option {missing[0]} is not among top_logprobs where it answers: ask for more of "
                        "them (--top-logprobs)")  # fmt: skip
    return Answer([answered[-1][letter] for letter in letters], _label(sample.get("target"), letters, where))


def _tokens(sample: dict[str, Any], where: str) -> list[dict[str, Any]]:
    try:
        (choice,) = sample["output"]["choices"]
        tokens = choice["logprobs"]["content"]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{where}: has no logprobs of one output: evaluate with --logprobs --top-logprobs 20"
        ) from error
    if not isinstance(tokens, list) or not all(isinstance(token, dict) and "token" in token for token in tokens):
        raise UserError(f"{where}: logprobs.content must be a list of tokens")
    return tokens


def _letter_logprobs(token: dict[str, Any], letters: str, where: str) -> tuple[str, dict[str, float]]:
    """A token's text, and the log-probability of every letter there; "A" and " A" are both the letter."""
    found: dict[str, float] = {}
    for candidate in token.get("top_logprobs") or []:
        text = str(candidate.get("token")).strip()
        if len(text) == 1 and text in letters:
            value = number(candidate.get("logprob"), f"{where}: logprob of {text}")
            found[text] = value if text not in found else _log_add(found[text], value)
    return str(token["token"]).strip(), found


def _log_add(a: float, b: float) -> float:
    """log(exp a + exp b)."""
    return max(a, b) + math.log1p(math.exp(-abs(a - b)))


def _label(target: Any, letters: str, where: str) -> int | None:
    target = target[0] if isinstance(target, list) and len(target) == 1 else target
    if target in ("", None):
        return None
    if not (isinstance(target, str) and len(target) == 1 and target in letters):
        raise UserError(f"{where}: target {target!r} is not one of the letters {letters}: tasks with one right answer "
                        "can be imported")  # fmt: skip
    return letters.index(target)
