"""Examples that a reader of the results should know of: empty, repeated, contradictory, seen in training."""

from collections.abc import Mapping
from typing import Any

from peftuq.data.splits import Columns
from peftuq.errors import UserError

LEAK = 0.5  # more of a split than this among the training examples is no test


def counts(parts: Mapping[str, Columns]) -> dict[str, dict[str, int]]:
    """By split: `examples`; `empty` ones; `repeated`, whose content an earlier one of the split has; `contradictory`,
    whose content another of the split has with another label; `in_train` (valid, test): whose content train has.
    """
    contents = {part: _contents(columns) for part, columns in parts.items()}
    trained = set(contents["train"])
    found = {}
    for part, content in contents.items():
        found[part] = {"examples": len(content), **_within(content, parts[part]["label"])}
        if part != "train":
            found[part]["in_train"] = sum(one in trained for one in content)
    return found


def _contents(columns: Columns) -> list[tuple]:
    """Each example without its label: a text, or context, question and options."""
    if "text" in columns:
        return [(text,) for text in columns["text"]]
    rows = zip(columns["context"], columns["question"], columns["options"], strict=True)
    return [(context, question, *options) for context, question, options in rows]


def _within(contents: list[tuple], labels: Any) -> dict[str, int]:
    answers: dict[tuple, set[int]] = {}
    for content, label in zip(contents, labels, strict=True):
        answers.setdefault(content, set()).add(int(label))
    return {
        "empty": sum(not content[0] and (len(content) == 1 or not content[1]) for content in contents),
        "repeated": len(contents) - len(answers),
        "contradictory": sum(len(answers[content]) > 1 for content in contents),
    }


def check(counted: Mapping[str, Mapping[str, int]], where: str) -> None:
    """Raises `UserError` where most of valid or test is in train, or most of a split is empty."""
    for part, found in counted.items():
        for key, meaning in (("in_train", "are training examples, too"), ("empty", "are empty")):
            if found.get(key, 0) > LEAK * found["examples"]:
                remedy = "correct 'splits' or 'sources.files'" if key == "in_train" else "correct the key 'row'"
                raise UserError(f"{where}: {found[key]} of {found['examples']} {part} examples {meaning}: {remedy}")


def said(found: Mapping[str, int]) -> str:
    """The counts that are not zero, in words, for a log."""
    words = {"empty": "empty", "repeated": "repeated", "contradictory": "with two labels", "in_train": "also in train"}
    return "".join(f", {found[key]} {word}" for key, word in words.items() if found.get(key))
