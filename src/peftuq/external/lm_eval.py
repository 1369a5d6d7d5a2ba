"""Logs of lm-evaluation-harness: `samples_<task>_<date>.jsonl`, which `--log_samples` writes.

A line is a question: `resps` holds for each request, one an option, the log-likelihood of the option's text and whether
it is the greedy continuation; `target` is the right option's number, or its text. Multiple-choice tasks only: answers
that are generated have no probability. The format is that of `EvaluationTracker.save_results_samples` (0.4), which
writes numbers as texts.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peftuq.errors import UserError
from peftuq.external.answers import Answer, number

_NEEDED = ("doc_id", "target", "arguments", "resps")


def read(file: Path) -> list[Answer]:
    """The answers of a file, in its order. Raises `UserError` naming the line that does not fit."""
    answers: list[Answer] = []
    seen, filters = dict[str, int](), set[str]()
    for line, sample in _lines(file):
        where = f"{file}: line {line}"
        # A log that was appended to, or of several filters, has every question more than once.
        first = seen.setdefault(json.dumps(sample["doc_id"]), line)
        filters.add(json.dumps(sample.get("filter")))
        if first != line or len(filters) > 1:
            raise UserError(f"{where}: doc_id {sample['doc_id']} or its filter is another's than line {first}'s: "
                            "import one run with one filter")  # fmt: skip
        answers.append(_answer(sample, where))
    return answers


def _lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with open(file, encoding="utf-8-sig") as lines:
        for line, text in enumerate(lines, start=1):
            if not text.strip():
                continue
            try:
                sample = json.loads(text)
            except ValueError as error:
                raise UserError(f"{file}: line {line}: not JSON ({error}): is the file whole?") from error
            missing = [name for name in _NEEDED if not isinstance(sample, dict) or name not in sample]
            if missing:
                raise UserError(f"{file}: line {line}: has no {', '.join(missing)}: not a line of "
                                "lm-evaluation-harness --log_samples")  # fmt: skip
            yield line, sample


def _answer(sample: dict[str, Any], where: str) -> Answer:
    texts = _texts(sample["arguments"], where)
    responses = sample["resps"]
    if not isinstance(responses, list) or len(responses) != len(texts) or len(texts) < 2:
        raise UserError(f"{where}: resps must hold one answer for each of arguments, two options or more: only "
                        "multiple-choice tasks can be imported")  # fmt: skip
    logits = [_log_likelihood(response, f"{where}: resps.{n}") for n, response in enumerate(responses)]
    contexts = _contexts(sample["arguments"])
    if len(set(zip(contexts, texts, strict=True))) < len(texts) or 0 < contexts.count("") < len(contexts):
        raise UserError(f"{where}: options are asked more than once, or also without the question (mutual "
                        "information): import a task that asks each option once")  # fmt: skip
    answer = Answer(logits, _label(sample["target"], texts, where))
    _check_accuracy(sample, answer, where)
    return answer


def _requests(arguments: Any) -> list[Any]:
    """The requests, each [context, option]; a file has them as {"gen_args_0": {"arg_0": …}}, the library as lists."""
    if not isinstance(arguments, dict):
        return arguments if isinstance(arguments, list) else []
    named = [arguments.get(f"gen_args_{n}") for n in range(len(arguments))]
    return [[one.get("arg_0"), one.get("arg_1")] if isinstance(one, dict) else one for one in named]


def _texts(arguments: Any, where: str) -> list[str]:
    requests = _requests(arguments)
    for request in requests:
        if not (isinstance(request, list) and len(request) == 2 and isinstance(request[1], str)):
            raise UserError(f"{where}: arguments must be a context and an option's text each: only multiple-choice "
                            "tasks can be imported")  # fmt: skip
    return [request[1].strip() for request in requests]


def _contexts(arguments: Any) -> list[str]:
    return [str(request[0]).strip() for request in _requests(arguments)]


def _log_likelihood(response: Any, where: str) -> float:
    """[[log-likelihood, is greedy]]: the one answer to the request."""
    if not (isinstance(response, list) and len(response) == 1 and isinstance(response[0], list | tuple)):
        raise UserError(f"{where}: must be one pair [[log-likelihood, is greedy]]: only multiple-choice tasks, asked "
                        "once, can be imported")  # fmt: skip
    if len(response[0]) != 2:
        raise UserError(f"{where}: must be a pair of log-likelihood and is greedy, got {len(response[0])} values")
    return number(response[0][0], where)


def _label(target: Any, texts: list[str], where: str) -> int | None:
    """The right option: by its number, or else by its text, which only one option has."""
    text = str(target).strip()
    if text.isdecimal() and int(text) < len(texts) and text not in texts:
        return int(text)
    if texts.count(text) == 1:
        if text.isdecimal() and int(text) < len(texts) and texts.index(text) != int(text):
            raise UserError(f"{where}: target {text} is one option's number and another's text: name options otherwise")
        return texts.index(text)
    raise UserError(f"{where}: target {text!r} is neither the number nor the text of just one of {len(texts)} options")


def _check_accuracy(sample: dict[str, Any], answer: Answer, where: str) -> None:
    """The harness's own verdict, where it stands in the line, must be the one that this reading gives."""
    if "acc" not in sample:
        return
    best = max(answer.logits)
    right = answer.label is not None and answer.logits[answer.label] == best
    tie = answer.logits.count(best) > 1
    if not tie and bool(number(sample["acc"], f"{where}: acc")) != right:
        raise UserError(f"{where}: acc is {sample['acc']}, but the most likely option is {'' if right else 'not '}the "
                        "target: this task counts otherwise, and cannot be imported")  # fmt: skip
