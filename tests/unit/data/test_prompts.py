"""Prompts on the tokenizer families of the field, each built small: nothing but passage is ever lost."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from peftuq.config.schema import Prompt
from peftuq.data import prompts
from peftuq.errors import UserError

CONFIG = Path(__file__).parents[3] / "config" / "prompts"
TEMPLATES = {file.stem: Prompt(**yaml.safe_load(file.read_text())) for file in CONFIG.glob("*.yaml")}
LETTERS = TEMPLATES["letters"]

CORPUS = [
    "Which of these is a passage about the sun? A. the sun B. the moon C. a star D. none E. both Answer: A",
    *(f"Question: why? Answer: {letter}" for letter in "ABCDEFGH" for _ in range(9)),
    *(f"A: ({letter}) Answer Choices:" for letter in "abcdefgh" for _ in range(9)),
    *["Answer: true", "Answer: false", "Context: True", "Context: False", "1234 passages of 56 words"] * 9,
]
QWEN = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_level(pre_tokenizer, **special) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def sentence_piece(space) -> PreTrainedTokenizerFast:
    """Byte fallback, a leading space, and a start token, as converted from SentencePiece."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    space(tokenizer)
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=special, limit_alphabet=60)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def llama_space(tokenizer: Tokenizer) -> None:
    # Words are split for training only: the real merges never cross a space that follows a character.
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"▁?[^▁\n:(.]+|▁?[\n:(.]"), "isolated")


def mistral_space(tokenizer: Tokenizer) -> None:
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(prepend_scheme="first", split=True),
            pre_tokenizers.Split(Regex(r"[\n:(.]"), "isolated"),
        ]
    )


def gpt() -> PreTrainedTokenizerFast:
    return byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))


def qwen() -> PreTrainedTokenizerFast:
    split = pre_tokenizers.Split(Regex(QWEN), "isolated")
    return byte_level(
        pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    )


def smollm() -> PreTrainedTokenizerFast:
    digits = pre_tokenizers.Digits(individual_digits=True)
    return byte_level(pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]))


def ending() -> PreTrainedTokenizerFast:
    """Puts an end token after every text, as some do unless told otherwise."""
    tokenizer = gpt()
    tokenizer.add_special_tokens({"eos_token": "</s>"})
    end = tokenizer.convert_tokens_to_ids("</s>")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", end)]
    )
    return tokenizer


TOKENIZERS = {
    "gpt": gpt(),
    "qwen": qwen(),
    "smollm": smollm(),
    "llama": sentence_piece(llama_space),
    "mistral": sentence_piece(mistral_space),
    "ending": ending(),
}
each_tokenizer = pytest.mark.parametrize("name", TOKENIZERS)

OPTIONS = ["the sun", "the moon", "none: {x}"]
PASSAGE = "A passage, with ümlauts & 漢字. " * 30
ROW = (17, PASSAGE, "Which of these is it?", OPTIONS)


# -- rendering ----------------------------------------------------------------------------------------


def test_letters():
    text = prompts.render(LETTERS, "", "Which?", OPTIONS).text
    assert text == "Which?\nA. the sun\nB. the moon\nC. none: {x}\nAnswer:"
    assert prompts.render(LETTERS, "Once.", "Which?", OPTIONS).text == "Once.\n" + text


def test_mixlora():
    text = prompts.render(TEMPLATES["mixlora"], "", "Which?", OPTIONS).text
    cue = "Please choose the correct answer to the question: "
    assert text == cue + "Which? (A) the sun (B) the moon (C) none: {x}\nAnswer:"


def test_mixlora_boolq_shows_no_options():
    text = prompts.render(TEMPLATES["mixlora_boolq"], "", "is it?", ["yes", "no"]).text
    assert text == "Please answer the following question with true or false: is it?\nAnswer:"


def test_csqa_balabanov():
    text = prompts.render(TEMPLATES["csqa_balabanov"], "", "Which?", OPTIONS).text
    assert text == "Q: Which?\nAnswer Choices:\n(a) the sun\n(b) the moon\n(c) none: {x}\nA: ("


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_the_passage_is_found_again_in_the_prompt(template):
    before, passage, after = prompts.render(template, "Once {upon}.", "Which?", ["x", "y"])
    assert passage == "Once {upon}." and "Which?" in before + after and "Once" not in before + after


def test_more_options_than_labels_are_refused():
    with pytest.raises(UserError, match="'mixlora': 9 options, but the key 'labels' names 8"):
        prompts.render(TEMPLATES["mixlora"], "", "Which?", ["x"] * 9)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("prompt", "{passage} {options} Answer:"),
        ("prompt", "{question} {question} {options}"),
        ("prompt", "{passage}{passage}{question}{options}"),
        ("prompt", "{question} Answer:"),
        ("passage", "Passage:"),
        ("option", "{label}"),
        ("answers", ["A"]),
        ("answers", []),
        ("labels", ["A"]),
    ],
)
def test_templates_that_cannot_work_are_refused(key, value):
    with pytest.raises(ValidationError):
        prompts.Template(**{**LETTERS.model_dump(), key: value})


# -- encoding -----------------------------------------------------------------------------------------


def without_end(tokenizer, ids: list[int]) -> list[int]:
    return ids[:-1] if ids[-1] == tokenizer.eos_token_id else ids


@each_tokenizer
@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_short_prompts_are_what_the_tokenizer_makes_of_them(name, template):
    tokenizer = TOKENIZERS[name]
    text = prompts.render(template, "A passage.", "Which?", ["x", "y"]).text
    ids = prompts.encode(tokenizer, template, (0, "A passage.", "Which?", ["x", "y"]), 10_000)
    assert ids == without_end(tokenizer, tokenizer(text)["input_ids"])


@each_tokenizer
@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_long_prompts_lose_passage_only(name, template):
    tokenizer, row = TOKENIZERS[name], (17, PASSAGE, "Which of these is it?", OPTIONS[:2])
    full = prompts.encode(tokenizer, template, row, 100_000)
    bare = len(prompts.encode(tokenizer, template, (17, "", *row[2:]), 100_000))
    before, _, after = prompts.render(template, *row[1:])
    for length in (bare + 60, bare + 12, len(full) - 1, len(full)):
        ids = prompts.encode(tokenizer, template, row, length)
        # A beginning and an end of the full prompt: one stretch in its middle is gone.
        assert len(ids) == length
        assert any(ids == full[:k] + full[len(full) - length + k :] for k in range(length + 1))
        text = tokenizer.decode(ids).removeprefix("<s>").lstrip()
        assert text.startswith(before) and text.endswith(after)
        assert PASSAGE.startswith(text.removeprefix(before).removesuffix(after).strip(" \ufffd"))


@each_tokenizer
def test_an_instruction_before_the_passage_is_kept(name):
    template = LETTERS.model_copy(update={"prompt": "Read this. {passage}{question}\n{options}\nAnswer:"})
    tokenizer = TOKENIZERS[name]
    bare = len(prompts.encode(tokenizer, template, (17, "", *ROW[2:]), 100_000))
    for length in (bare + 8, bare + 40):
        text = tokenizer.decode(prompts.encode(tokenizer, template, ROW, length)).removeprefix("<s>").strip()
        assert text.startswith("Read this.") and text.endswith("Answer:") and "Which of these is it?" in text
    with pytest.raises(UserError, match="tokens without the passage"):
        prompts.encode(tokenizer, template, ROW, bare - 2)


@each_tokenizer
def test_a_question_that_is_too_long_by_itself_is_named(name):
    with pytest.raises(UserError, match=r"example 17: .* tokens without the passage.*max_length 12.*raise"):
        prompts.encode(TOKENIZERS[name], LETTERS, ROW, 12)
    with pytest.raises(UserError, match="example 3: "):
        prompts.encode(TOKENIZERS[name], LETTERS, (3, "", "why " * 500, OPTIONS), 100)


# -- answers ------------------------------------------------------------------------------------------


@each_tokenizer
@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_an_answer_is_the_token_that_follows_the_prompt(name, template):
    tokenizer, n = TOKENIZERS[name], min(5, len(template.labels))
    tokens = prompts.answer_token_ids(tokenizer, template, n)
    assert len(set(tokens)) == n
    for token, label in zip(tokens, template.labels, strict=False):
        assert tokenizer.decode([token]).strip() == label  # in the order of the options
        prompt = prompts.encode(tokenizer, template, (0, "So:", "Which?", ["x"] * n), 1000)
        assert tokenizer.decode([*prompt, token]).endswith((f": {label}", f":{label}", f"({label}"))


def by_hand(words: list[str], merges: list[tuple[str, str]] = []) -> PreTrainedTokenizerFast:
    """Characters and the given merges, without any pre-tokenizer: merges may cross every boundary."""
    alphabet = sorted(set("".join(CORPUS) + " \n.:{}?ABCDEtisWhc"))
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys([*alphabet, *words]))}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, name_or_path="lab/by-hand")


def test_a_label_of_two_tokens_gives_way_to_the_form_without_space():
    tokenizer = by_hand([])
    assert prompts.answer_token_ids(tokenizer, LETTERS, 3) == tokenizer.convert_tokens_to_ids(list("ABC"))


def test_labels_that_are_never_single_tokens_are_named():
    template = LETTERS.model_copy(update={"labels": ["A", "BC"]})
    with pytest.raises(UserError, match=r"tokenizer lab/by-hand: .*label 'BC' is 2 tokens.*use another prompt"):
        prompts.answer_token_ids(by_hand([]), template, 2)


def test_a_label_that_merges_with_the_prompt_is_named_or_avoided():
    merging = by_hand([": ", ": A"], [(":", " "), (": ", "A")])
    with pytest.raises(UserError, match=r"lab/by-hand: the label ' A' changes the tokens of the prompt"):
        prompts.answer_token_ids(merging, LETTERS.model_copy(update={"answers": [" {label}"]}), 2)
    assert prompts.answer_token_ids(merging, LETTERS, 2) == merging.convert_tokens_to_ids(["A", "B"])


def test_labels_that_are_one_token_to_the_tokenizer_are_named():
    vocabulary = {"[UNK]": 0, "Answer": 1, ":": 2}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, name_or_path="lab/words")
    with pytest.raises(UserError, match=r"lab/words: the labels ' A' and ' B' are the same token"):
        prompts.answer_token_ids(fast, LETTERS, 2)
