"""Inputs that lose tokens to `max_length` are counted: those that just fit are not."""

import numpy as np
import pytest
import recipes
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from peftuq import files
from peftuq.errors import UserError
from peftuq.models import encode

WORDS = ["[UNK]", "[PAD]", "[CLS]", "w", "which", "?", "A", "B", ".", "Answer", ":", "a", "b"]
UNLABELLED = -1


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    built = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    built.pre_tokenizer = pre_tokenizers.Whitespace()
    built.post_processor = processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 2)])
    return PreTrainedTokenizerFast(tokenizer_object=built, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]")


def counted(tokenizer, path, columns: dict, task) -> tuple[dict[str, int], list[str]]:
    n, lines = len(columns.get("text", columns.get("question"))), []
    files.write_columns(path, {"id": np.arange(n), **columns, "label": np.full(n, UNLABELLED)})
    data = {"test": encode.encode(tokenizer, path, task)}
    assert data["test"].lengths.max() <= task.max_length
    return encode.count_cut(tokenizer, data, [path], task, lines.append), lines


def test_texts(tokenizer, tmp_path):
    texts = ["w " * words for words in (0, 14, 15, 16, 40)]  # one more token is special
    found = counted(tokenizer, tmp_path / "p.parquet", {"text": texts}, recipes.task("classification"))
    assert found == ({"test": 2}, ["test: 2 of 5 inputs cut at 16 tokens"])


def test_passages(tokenizer, tmp_path):
    prompt = {**recipes.PROMPT, "prompt": "{passage}{question}\n{options}\nAnswer:", "passage": "{passage}\n"}
    passages = ["", *("w " * words for words in (3, 4, 5, 30))]
    rest = {"question": ["which?"] * 5, "options": [["a", "b"]] * 5}
    task = recipes.task("choice", prompt, max_length=11)
    own = len(tokenizer("which?\na\nb\nAnswer:")["input_ids"])
    found = counted(tokenizer, tmp_path / "p.parquet", {"context": passages, **rest}, task)
    assert own == 7 and found[0] == {"test": 2}


def test_every_split_that_a_model_reads_is_of_its_language(tokenizer, tmp_path):
    with pytest.raises(UserError, match=r"p\.parquet: 50% of its tokens are unknown"):
        counted(tokenizer, tmp_path / "p.parquet", {"text": ["mots"]}, recipes.task("classification"))
