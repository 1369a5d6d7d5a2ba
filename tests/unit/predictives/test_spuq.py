"""Perturbed prompts: options are put back, answers stay what they were, every other word is only reworded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipes import HIDDEN, task

from peftuq.artifacts import Record
from peftuq.errors import UserError
from peftuq.models.batching import Encoded
from peftuq.predictives import spuq

PARAMS = spuq.PREDICTIVE.params
CHOICE = task("choice")


class Reader:
    """Answers by what an option says, wherever it stands; or by where it stands, whatever it says."""

    log = staticmethod(lambda line: None)

    def __init__(self, task, by="text"):
        self.task, self.by, self.seen = task, by, []

    def encode(self, columns, task):
        prompt = task.prompt.prompt if task.prompt else ""
        self.seen += [(prompt, row) for row in zip(*columns.values(), strict=True)]
        self.options = columns.get("options", [()] * len(columns["id"]))
        n_options = np.array([len(options) for options in self.options])
        return Encoded(columns["id"], columns["label"], [[1]] * len(columns["id"]), n_options)

    def run(self, data, progress=None):
        logits = np.full((len(data), 4), -np.inf)
        for row, options in enumerate(self.options):
            for place, text in enumerate(options):
                logits[row, place] = len(text) if self.by == "text" else place
        if not self.options[0]:
            logits[:] = 0.0
        return Record(data.id, data.label, logits, None)


def choice_rows() -> dict:
    return {
        "id": np.array([3, 4, 5]),
        "label": np.array([0, 1, 2]),
        "context": ["", "a passage", ""],
        "question": ["What?", "Which?", "Who?"],
        "options": [["a", "bbb", "cc", "dddd"], ["eee", "f"], ["g", "hhhh", "ii"]],
    }


def sample(reader, rows, size=8, seed=0, params=PARAMS):
    return spuq.predict(reader, {"test": rows}, ["test"], params, seed, size)[0]["test"]


def test_who_reads_the_options_says_the_same_in_any_order():
    reader = Reader(CHOICE)
    samples = sample(reader, choice_rows())
    assert samples.probs.shape == (8, 3, 4)
    np.testing.assert_allclose(samples.probs, np.broadcast_to(samples.probs[:1], (8, 3, 4)), rtol=1e-12)
    assert not samples.probs[:, 1, 2:].any() and not samples.probs[:, 2, 3].any()
    np.testing.assert_allclose(samples.probs.sum(axis=2), 1.0)


def test_who_goes_by_the_place_says_otherwise_and_is_averaged_out():
    samples = sample(Reader(CHOICE, by="place"), choice_rows())
    assert np.abs(samples.probs[0] - samples.probs[1]).max() > 0.1  # sample 0 reorders, sample 1 does not


def test_a_hidden_option_is_never_reordered():
    reader = Reader(task("choice", HIDDEN))
    rows = {**choice_rows(), "options": [["true", "false"]] * 3}
    sample(reader, rows)
    assert {tuple(row[4]) for _, row in reader.seen} == {("true", "false")}


@given(st.integers(0, 1000), st.integers(2, 6))
def test_put_back_undoes_any_order(seed, n):
    rng = np.random.default_rng(seed)
    row = {"options": [str(i) for i in range(n)]}
    perturbed = spuq.PERTURBATIONS["choice"]["options"](row, rng)
    assert perturbed.row["options"] != row["options"] and sorted(perturbed.row["options"]) == sorted(row["options"])
    probs = np.zeros((1, 7))
    probs[0, :n] = [float(text) for text in perturbed.row["options"]]  # each place says which option stands there
    assert spuq.put_back(probs, [perturbed.order])[0, :n].tolist() == list(range(n))


def test_prompts_keep_their_answer_cue_question_and_options():
    reader = Reader(CHOICE)
    sample(reader, choice_rows())
    assert len({prompt for prompt, _ in reader.seen}) > 2 and len({row[3] for _, row in reader.seen}) > 5
    for prompt, row in reader.seen:
        assert prompt.endswith(CHOICE.prompt.prompt) and row[2] in choice_rows()["context"]
        assert any(word in row[3] for word in choice_rows()["question"])


def test_texts_change_little_and_repeat_with_the_seed():
    rows = {"id": np.arange(4), "label": np.zeros(4, np.int64), "text": ["The plot is thin, the cast good"] * 4}
    seen = []
    for seed in (0, 0, 1):
        reader = Reader(task("classification"))
        sample(reader, rows, size=4, seed=seed)
        seen.append([row[2] for _, row in reader.seen])
    assert seen[0] == seen[1] != seen[2]
    assert len(set(seen[0])) > 4
    squeezed = [" ".join(text.lower().split()) for text in seen[0]]
    assert all("the plot is thin, the cast good" in text for text in squeezed)


@pytest.mark.parametrize("kinds", [["optoins"], []])
def test_unknown_perturbations_are_named(kinds):
    with pytest.raises(UserError, match=r"methods\.spuq\.choice: .*allowed: options, instruction"):
        sample(Reader(CHOICE), choice_rows(), params={**PARAMS, "choice": kinds})
