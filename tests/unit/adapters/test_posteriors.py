"""Every kind of adapter with a posterior: trained, interrupted, saved, loaded by us and by PEFT, drawn from."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from asked import Adapted
from peft import PeftModel
from posterior_kinds import KINDS, job_terms, posterior_recipe, read_out
from safetensors.torch import load_file
from tiny import ENCODERS, build
from trainings import DATA, job, train, weights

from peftuq.adapters import drawn
from peftuq.models import inference
from peftuq.models.readout import ReadOut
from peftuq.predictives import posterior_samples

EVERY = pytest.mark.parametrize("name", KINDS)
NOISY = pytest.mark.parametrize("name", [name for name in KINDS if name not in ("swag", "ivon")])  # whose layers draw


def trained(name: str, folder, epochs: int = 1, stop: int | None = None, **changes) -> ReadOut:
    """A model after its training; `stop`: the step before which it is interrupted."""
    how = posterior_recipe(name, optimiser={"epochs": epochs}, checkpoint_steps=1, **changes)
    model = read_out(name, how)
    found = replace(job(folder, how), terms=job_terms(name, model, how, len(DATA["train"])))
    train(model, found, stop)
    return model


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> dict[str, ReadOut]:
    return {name: trained(name, tmp_path_factory.mktemp(name)) for name in KINDS}


def logits(model: ReadOut) -> np.ndarray:
    return inference.run(model, DATA["valid"], 0, 64, torch.float32).logits


@EVERY
def test_a_resumed_training_is_bit_identical_and_moves_every_parameter(name, tmp_path, finished):
    trained(name, tmp_path, stop=3)
    resumed = trained(name, tmp_path)
    fresh = weights(read_out(name, posterior_recipe(name)))
    for parameter, value in weights(finished[name]).items():
        assert torch.equal(value, weights(resumed)[parameter]), parameter
        assert not torch.equal(value, fresh[parameter]), parameter


@EVERY
def test_what_is_saved_is_the_mean_to_any_loader_of_lora(name, tmp_path, finished):
    model = finished[name]
    model.model.save_pretrained(tmp_path, save_embedding_layers=False)
    own = logits(model)
    assert any(
        key.endswith(
            ("lora_A.G", "lora_A.log_std", "lora_A.phi", "lora_B.collected_deviations", "lora_B.collected_weight_std")
        )
        for key in load_file(tmp_path / "adapter_model.safetensors")
    )
    for load in (KINDS[name].load, PeftModel.from_pretrained):
        hf = build(ENCODERS["bert"], "classification")
        peft = load(hf, tmp_path)
        np.testing.assert_allclose(logits(ReadOut(peft, hf)), own, atol=1e-5)


@EVERY
def test_draws_repeat_and_are_those_of_the_saved_adapter(name, tmp_path, finished):
    model = finished[name]
    model.model.save_pretrained(tmp_path, save_embedding_layers=False)
    hf = build(ENCODERS["bert"], "classification")
    loaded = ReadOut(KINDS[name].load(hf, tmp_path), hf).eval()
    adapted = Adapted(loaded)
    adapted.adapters = KINDS[name]
    before = {key: value.clone() for key, value in loaded.named_parameters()}
    first, again, other = (
        posterior_samples.predict(adapted, {"test": DATA["valid"]}, ["test"], {}, seed, 3)[0]["test"].probs
        for seed in (5, 5, 6)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.shape == (3, 7, 3) and not np.array_equal(first[0], first[1])
    assert all(torch.equal(value, before[key]) for key, value in loaded.named_parameters())
    with drawn.weights(model, KINDS[name].draw(model, drawn.generator(5, 0))):
        mine = torch.from_numpy(logits(model)).double().softmax(dim=1).numpy()
    np.testing.assert_allclose(mine, first[0], atol=1e-5)


@NOISY
def test_training_samples_and_evaluation_does_not(name, finished):
    model = finished[name]
    tokens, lengths = torch.tensor([[5, 11, 12], [6, 13, 14]]), torch.tensor([3, 3])
    with torch.no_grad():
        model.train()
        torch.manual_seed(1)
        first, second = (model(tokens, lengths).logits for _ in range(2))
        torch.manual_seed(1)
        again = model(tokens, lengths).logits
        model.eval()
        quiet = [model(tokens, lengths).logits for _ in range(2)]
    assert torch.equal(first, again) and not torch.equal(first, second)
    assert torch.equal(*quiet)


@NOISY
def test_a_gated_ffn_samples_and_checkpointing_finds_the_same_noise(name):
    """Noise on all of a decoder's linear layers; recomputed, it is the same."""
    tokens, lengths = torch.tensor([[5, 11, 12], [6, 13, 14]]), torch.tensor([3, 3])
    found = []
    for checkpointing in (False, True):
        adapter = {"targets": ["q", "gate", "up", "down"]}
        model = read_out(name, posterior_recipe(name, adapter=adapter, gradient_checkpointing=checkpointing), "choice")
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if "lora_B" in key:
                    parameter.fill_(0.1)
        model.train()
        torch.manual_seed(1)
        model(tokens, lengths).logits[:, 0].sum().backward()
        found.append({key: p.grad for key, p in model.named_parameters() if p.requires_grad})
    assert found[0] and all(p is not None for p in found[0].values())
    for key, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][key])
    down = [key for key in found[0] if "down_proj" in key and key.endswith((".G", ".phi", ".log_std"))]
    assert down and all(found[0][key].abs().sum() > 0 for key in down)
