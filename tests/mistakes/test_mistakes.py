"""Mistakes seen in published code of this field, each put into a copy of the library: some test must fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Mistake(NamedTuple):
    """`right` stands once in `src/peftuq/<file>`; with `wrong` in its place, `test` (below `tests/unit`) must fail."""

    file: str
    right: str
    wrong: str
    test: str


MISTAKES = {
    "dropout active at evaluation": Mistake(
        "models/inference.py", "    model.eval()\n", "    model.train()\n", "models/test_inference.py"
    ),
    "train mode not restored": Mistake(
        "models/inference.py", "model.train(was_training)", "model.eval()", "models/test_inference.py"
    ),
    "option text and letter swapped": Mistake(
        "data/prompts.py", "format(label=label, text=text)", "format(label=text, text=label)", "data/test_prompts.py"
    ),
    "label order inverted": Mistake(
        "data/tasks.py", '"options": [list(classes)] * n', '"options": [list(classes)[::-1]] * n', "data/test_tasks.py"
    ),
    "answers that are not single tokens": Mistake(
        "data/prompts.py", "if len(ids) != len(own) + 1:", "if len(ids) < len(own) + 1:", "data/test_prompts.py"
    ),
    "loss over padding": Mistake(
        "models/readout.py",
        "device=hidden.device), lengths - 1]",
        "device=hidden.device), -1]",
        "models/test_readout.py",
    ),
    "loss over the prompt": Mistake(
        "models/readout.py",
        "device=hidden.device), lengths - 1]",
        "device=hidden.device), lengths - 2]",
        "models/test_readout.py",
    ),
    "last partial batch dropped": Mistake(
        "models/batching.py",
        "return [batches[i] for i in rng",
        "batches = batches[:-1]\n    return [batches[i] for i in rng",
        "training/test_loop.py",
    ),
    "mean of batch means": Mistake(
        "training/step.py",
        "loss.detach().double() * size, right",
        "loss.detach().double() * 4, right",
        "training/test_loop.py",
    ),
    "NLL of the wrong mean": Mistake(
        "metrics/calibration.py",
        "1.0)).mean())",
        "1.0)).reshape(-1, 2).mean(1)[:-1].mean())",
        "metrics/test_calibration.py",
    ),
    "ensemble averages logits": Mistake(
        "artifacts.py",
        "return self.probs.mean(axis=0)",
        "return softmax(np.log(self.probs + 1e-300).mean(axis=0))",
        "predictives/test_pooling.py",
    ),
    "FLU from renormalised weights": Mistake(
        "adapters/mixlora/routing_statistics.py",
        "return probabilities.topk(self.top_k, dim=-1).values.sum(dim=-1)",
        "kept = probabilities.topk(self.top_k).values\n        return (kept / kept.sum(-1, keepdim=True)).sum(-1)",
        "adapters/test_mixlora_record.py",
    ),
    "background covariance not divided by N": Mistake(
        "scores/mahalanobis.py",
        "background = within + between.T @ between",
        "background = (within + between.T @ between) * len(z)",
        "scores/test_mahalanobis.py",
    ),
    "ECE wrong at confidence 1": Mistake(
        "metrics/calibration.py",
        'np.searchsorted(np.arange(1, bins) / bins, confidence, side="left")',
        "np.minimum((confidence * bins).astype(int), bins)",
        "metrics/test_calibration.py",
    ),
    "MC dropout that does not sample": Mistake(
        "predictives/mc_dropout.py", "return x * kept(", "return x + 0 * kept(", "predictives/test_mc_dropout.py"
    ),
    "head loaded in bf16": Mistake(
        "models/backbone.py", "        _cast_head(self)\n", "        pass\n", "precision/test_float32.py"
    ),
    "results depend on padding": Mistake(
        "models/readout.py", "attention_mask=mask.long()", "attention_mask=None", "models/test_inference.py"
    ),
}


def library(root: Path, mistake: Mistake) -> Path:
    return root / "src/peftuq" / mistake.file


@pytest.mark.parametrize("name", MISTAKES)
def test_the_line_that_a_mistake_is_put_into_is_there(name):
    assert library(ROOT, MISTAKES[name]).read_text().count(MISTAKES[name].right) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_noticed(tmp_path, name):
    mistake = MISTAKES[name]
    for part in ("src", "tests", "config"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    file = library(tmp_path, mistake)
    file.write_text(file.read_text().replace(mistake.right, mistake.wrong))
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", f"tests/unit/{mistake.test}"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src"), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ended.returncode == 1, ended.stdout[-3000:] + ended.stderr[-1000:]
    assert "ImportError" not in ended.stdout and "SyntaxError" not in ended.stdout, ended.stdout[-3000:]
