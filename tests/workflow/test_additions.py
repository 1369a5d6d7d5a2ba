"""A score, a predictive, a kind of adapter, a dataset and a model, each added by one new file."""

import csv
import shutil
import subprocess

import nano
import pytest
from checkout import CONFIG, Checkout

pytestmark = pytest.mark.workflow

FILES = {
    "src/peftuq/scores/farthest.py": '''"""Distance to the nearest training representation, by torch."""

import torch

from peftuq.plugins import Score

SCORE = Score(
    version=1,
    reads="records",
    needs=["train"],
    variants=["farthest"],
    environment="torch",
    params={"neighbours": 1},
    bounds={"neighbours": (1, None)},
)


def score(inputs, evals, params, seed):
    train = torch.from_numpy(inputs["train"].h)
    far = {part: torch.cdist(torch.from_numpy(inputs[part].h), train) for part in evals}
    nearest = {part: d.topk(params["neighbours"], largest=False).values[:, -1] for part, d in far.items()}
    return {"farthest": {part: d.numpy() for part, d in nearest.items()}}, {}
''',
    "src/peftuq/predictives/noisy_logits.py": '''"""Samples of logits with Gaussian noise."""

import numpy as np

from peftuq.artifacts import Samples, softmax
from peftuq.plugins import Predictive

PREDICTIVE = Predictive(version=1, reads="records", sized=True, samples=True, params={"std": 0.5})


def predict(inputs, evals, params, seed, size):
    (records,) = inputs
    rng = np.random.default_rng(seed)
    samples = {}
    for part in evals:
        here = records[part]
        noise = params["std"] * rng.normal(size=(size, *here.logits.shape))
        samples[part] = Samples(here.id, here.label, softmax(here.logits + noise))
    return samples, {}
''',
    "src/peftuq/adapters/lora_fa.py": '''"""LoRA with frozen A (Zhang et al. 2023)."""

from peftuq.adapters import lora
from peftuq.adapters.lora import extra_loss, load, read_out
from peftuq.plugins import AdapterKind

__all__ = ["attach", "extra_loss", "load", "read_out"]

KIND = AdapterKind(section="lora_fa", provides=["lora"], params={"frozen": "A"}, choices={"frozen": ["A", "B"]})


def attach(*arguments):
    model = lora.attach(*arguments)
    for name, parameter in model.named_parameters():
        if "lora_A" in name:
            parameter.requires_grad_(False)
    return model
''',
}
GRID = {
    "models": ["nano_other"],
    "datasets": ["words_again"],
    "recipes": ["frozen"],
    "seeds": 1,
    "predictives": ["point", "noisy_logits-4"],
    "scores": ["softmax", "information", "farthest"],
}
RECIPE = {**nano.SMALL, "adapter": {**nano.SMALL["adapter"], "lora_fa": {}}}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Checkout:
    checkout = Checkout(tmp_path_factory.mktemp("additions"))
    nano.furnish(checkout)
    for file, text in FILES.items():
        assert not (checkout.folder / file).exists()
        (checkout.folder / file).write_text(text)
    for kind, old, new in (("models", "nano_encoder", "nano_other"), ("datasets", "words", "words_again")):
        shutil.copyfile(checkout.folder / f"config/{kind}/{old}.yaml", checkout.folder / f"config/{kind}/{new}.yaml")
    checkout.suite(GRID)
    checkout.write("config/recipes/frozen.yaml", RECIPE)
    local = {"sources": ["local"], "local_root": str(checkout.folder / "material")}
    checkout.write("config/config.yaml", {**CONFIG, **local, "methods": {"farthest": {"neighbours": 3}}})
    done = checkout.run()
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout


def rows(checkout: Checkout) -> list[dict[str, str]]:
    with (checkout.folder / "results/metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_each_is_measured(checkout):
    found = {(row["model"], row["dataset"], row["recipe"], row["predictive"], row["method"]) for row in rows(checkout)}
    cell = ("nano_other", "words_again", "frozen")
    assert {(*cell, "point", "farthest"), (*cell, "noisy_logits-4", "mutual_information")} <= found
    assert all(row["value"] for row in rows(checkout) if row["metric"] == "auroc")


def test_a_score_that_computes_with_torch_runs_in_its_environment(checkout):
    log = checkout.folder / "results/logs/fit_adue/nano_other/words_again/frozen/seed0/point/farthest.log"
    assert log.is_file()


def test_the_kind_of_adapter_trains_what_it_says(checkout):
    from safetensors.numpy import load_file

    folder = checkout.folder / "results/adapters/nano_other/words_again/frozen/seed0"
    weights = load_file(folder / "adapter_model.safetensors")
    trained = [name for name in weights if "lora_B" in name]
    assert trained and all(abs(weights[name]).max() > 0 for name in trained)


@pytest.mark.parametrize("file, old, new, line", [
    ("src/peftuq/scores/farthest.py", "variants=", "variant=", "farthest.py: Score: unknown key 'variant' (did you"),
    ("src/peftuq/adapters/lora_fa.py", '"frozen": "A"', '"frozen": 1', "adapter.lora_fa.frozen: 1 is no value"),
    ("config/recipes/frozen.yaml", "lora_fa", "lora_fo", "frozen.yaml: unknown key below adapter 'lora_fo' (did you"),
])  # fmt: skip
def test_a_misspelt_declaration_is_one_line(checkout, file, old, new, line):
    path = checkout.folder / file
    text = path.read_text()
    path.write_text(text.replace(old, new, 1))
    try:
        done = subprocess.run(checkout.command("-n"), cwd=checkout.folder, capture_output=True, text=True)
    finally:
        path.write_text(text)
    output = done.stdout + done.stderr
    assert done.returncode != 0 and line in output
    assert "Traceback" not in output
