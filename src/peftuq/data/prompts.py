"""Multiple-choice prompts: templates are data, over-long inputs lose passage and nothing else.

An answer is one token: the token that the tokenizer puts after the prompt's own tokens when it encodes prompt
and label together. Tokenizers are fast tokenizers of transformers (offsets into the text are needed).
"""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import Field, model_validator

from peftuq.data import templates
from peftuq.errors import UserError
from peftuq.strict import Once, PositiveInt, Strict


class Template(Strict):
    """A prompt file.

    `prompt` holds {question} once, {passage} and {options} at most once; `passage` is what {passage} becomes
    for questions that have one ("" for the others); `option` is one option, joined by `separator`. `labels`
    name the options in order; `answers` are the forms in which a label may follow the prompt, the first that
    works counts.
    """

    version: PositiveInt
    title: str
    prompt: str
    passage: str = "{passage}\n"
    option: str = ""
    separator: str = "\n"
    labels: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=2), Once]
    answers: Annotated[list[str], Field(min_length=1), Once]

    @model_validator(mode="after")
    def _fields(self) -> "Template":
        _check("prompt", self.prompt, {"question": 1, "passage": 0, "options": 0})
        _check("passage", self.passage, {"passage": 1})
        _check("option", self.option, {"label": 0, "text": 0})
        for place, answer in enumerate(self.answers):
            _check(f"answers.{place}", answer, {"label": 1})
        if ("options" in templates.fields(self.prompt)) != ("text" in templates.fields(self.option)):
            raise ValueError("option: must show {text} exactly where 'prompt' holds {options}")
        return self


def _check(key: str, text: str, least: dict[str, int]) -> None:
    """A template has no other fields than these, each at most once, and at least as often as is said."""
    try:
        found = templates.fields(text)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error
    for field in found:
        if field not in least:
            raise ValueError(
                f"{key}: '{text}' holds {{{field}}}; allowed: {', '.join(f'{{{name}}}' for name in least)}"
            )
    for field, count in least.items():
        if not count <= found.count(field) <= 1:
            raise ValueError(f"{key}: '{text}' must hold {{{field}}} {'once' if count else 'at most once'}")


class Prompt(NamedTuple):
    """A rendered prompt; only `passage` may be shortened."""

    before: str
    passage: str
    after: str

    @property
    def text(self) -> str:
        return "".join(self)


def render(template: Template, context: str, question: str, options: Sequence[str]) -> Prompt:
    """Fill a template in. `UserError` if it has fewer labels than the question has options."""
    if len(options) > len(template.labels):
        raise UserError(
            f"prompt '{template.title}': {len(options)} options, but the key 'labels' names {len(template.labels)}"
        )
    lines = [
        template.option.format(label=label, text=text) for label, text in zip(template.labels, options, strict=False)
    ]
    filling = {"question": question, "options": template.separator.join(lines)}
    if "{passage}" not in template.prompt:
        return Prompt("", "", template.prompt.format(**filling))
    before, _, after = template.prompt.partition("{passage}")
    opening, _, closing = template.passage.partition("{passage}") if context else ("", "", "")
    return Prompt(before.format(**filling) + opening, context, closing + after.format(**filling))


def encode(tokenizer: Any, template: Template, row: Sequence[Any], max_length: int) -> list[int]:
    """Token ids of the prompt for `row` = (id, context, question, options), at most `max_length` of them.

    Too long a prompt loses tokens from its passage's end; the others stay what they were. Special tokens that
    the tokenizer appends are left off: the answer follows the prompt directly. Raises `UserError` if the
    question, the options and the answer cue alone are longer than `max_length`.
    """
    example, context, question, options = row
    prompt = render(template, context, question, options)
    ids, offsets = _tokenise(tokenizer, prompt.text)
    excess = len(ids) - max_length
    if excess <= 0:
        return ids
    start = len(prompt.before)
    end = start + len(prompt.passage)
    inside = [i for i, (first, last) in enumerate(offsets) if start <= first < last <= end]
    if excess > len(inside):
        raise UserError(
            f"example {example}: its prompt has {len(ids) - len(inside)} tokens without the passage, more "
            f"than max_length {max_length}: raise max_length in the recipe"
        )
    dropped = set(inside[-excess:])
    return [token for i, token in enumerate(ids) if i not in dropped]


def answer_token_ids(tokenizer: Any, template: Template, n_options: int) -> list[int]:
    """The answer token of each of the first `n_options` labels, in order: single and pairwise distinct.

    Raises `UserError`, naming tokenizer and label, if no form of the labels gives such tokens.
    """
    prompt = render(template, "", "Which?", ["this"] * n_options).text
    problems = []
    for form in template.answers:
        tokens, problem = _answers(tokenizer, prompt, [form.format(label=x) for x in template.labels[:n_options]])
        if not problem:
            return tokens
        problems.append(problem)
    name = getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__
    raise UserError(f"tokenizer {name}: {'; '.join(problems)}: use another prompt than '{template.title}'")


def _answers(tokenizer: Any, prompt: str, answers: list[str]) -> tuple[list[int], str]:
    """The answers' tokens, and what is wrong with them ("" if nothing is)."""
    own, _ = _tokenise(tokenizer, prompt)
    found: dict[int, str] = {}
    for answer in answers:
        ids, _ = _tokenise(tokenizer, prompt + answer)
        if ids[: len(own)] != own:
            return [], f"the label '{answer}' changes the tokens of the prompt before it"
        if len(ids) != len(own) + 1:
            return [], f"the label '{answer}' is {len(ids) - len(own)} tokens, not one"
        if ids[-1] in found:
            return [], f"the labels '{found[ids[-1]]}' and '{answer}' are the same token"
        found[ids[-1]] = answer
    return list(found), ""


def _tokenise(tokenizer: Any, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """Token ids and their spans of characters in `text`, without the special tokens appended at its end."""
    encoded = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False)
    length = len(encoded["input_ids"])
    while length and encoded["special_tokens_mask"][length - 1]:
        length -= 1
    return encoded["input_ids"][:length], encoded["offset_mapping"][:length]
