"""Tensors that stay float32 in bf16 runs, to the byte: heads, adapters, routers, and their optimiser state."""

import numpy as np
import pytest
import torch
from grid import MODELS, PRECISIONS, TRAINED, VARIATIONAL, Model
from peft import get_peft_model_state_dict
from programs import Run
from safetensors.torch import load_file

from peftuq.adapters.peft_lora import trainable
from peftuq.artifacts import RecordFile
from peftuq.errors import UserError
from peftuq.models import backbone
from peftuq.models.readout import ReadOut, head_modules

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
CLASSIFIERS = [model for model in MODELS if model.task == "classification"]


def cases(models: list[Model]) -> pytest.MarkDecorator:
    found = [pytest.param(model, p, id=f"{model}-{p}") for model in models for p in PRECISIONS]
    return pytest.mark.parametrize("model, precision", found)


def saved_by(model: ReadOut) -> dict[str, torch.Tensor]:
    """Tensors that PEFT would save of a model, under the names of its file."""
    return {name: tensor.cpu() for name, tensor in get_peft_model_state_dict(model.model).items()}


def assert_the_same(found: dict[str, torch.Tensor], file: dict[str, torch.Tensor]) -> None:
    assert found.keys() == file.keys()
    for name, tensor in file.items():
        assert found[name].dtype == tensor.dtype == torch.float32, name
        assert torch.equal(found[name], tensor), name


def check(run: Run, model: Model) -> None:
    """The trained tensors, those in their file and those loaded from there are the same bytes."""
    path = run.make("train", model)
    file, loaded = load_file(path), run.load(model)
    assert_the_same(saved_by(run.trained[model].model), file)
    assert_the_same(saved_by(loaded.read_out), file)
    kinds = {"mixlora": ("mixlora_router", "mixlora_A", "mixlora_B")}.get(model.adapter, ("lora_A", "lora_B"))
    heads = head_modules(loaded.read_out.hf) if model.task == "classification" else []
    assert all(any(kind in name for name in file) for kind in (*kinds, *heads))


@cases(TRAINED)
def test_what_was_trained_is_saved_and_loaded_to_the_byte(runs, model, precision):
    check(runs[precision], model)


@cases(TRAINED)
def test_all_that_is_trained_is_float32_and_saved(runs, model, precision):
    path = runs[precision].make("train", model)
    trained = runs[precision].trained[model]
    parameters = trainable(trained.model).values()
    assert {p.dtype for p in parameters} == {torch.float32}
    numbers = sum(p.numel() for p in parameters), sum(t.numel() for t in load_file(path).values())
    assert numbers[0] <= numbers[1] if model.adapter in VARIATIONAL else numbers[0] == numbers[1]
    kept = [value for state in trained.step.optimiser.state.values() for value in state.values()]
    assert kept and {value.dtype for value in kept} == {torch.float32}


@cases(MODELS)
def test_the_backbone_is_in_the_precision_asked_for(runs, device, model, precision):
    runs[precision].make("extract", model)
    loaded = runs[precision].load(model)
    own = ("score", "classifier", "pooler", "lora_")
    frozen = {name: p for name, p in loaded.read_out.named_parameters() if not any(word in name for word in own)}
    assert len(frozen) > 10
    assert {p.dtype for p in frozen.values()} == {DTYPES[precision]}
    assert {p.device.type for p in loaded.read_out.parameters()} == {device}


@cases([model for model in TRAINED if model.task == "classification"])
def test_records_have_the_head_as_it_was_saved(runs, model, precision):
    file = load_file(runs[precision].make("train", model))
    head = RecordFile(runs[precision].make("extract", model)).head
    saved = [tensor.numpy() for name, tensor in file.items() if "lora_" not in name]
    found = [
        array for array in (head.out_weight, head.out_bias, head.dense_weight, head.dense_bias) if array is not None
    ]
    assert len(found) == len(saved)
    for array in found:
        assert any(array.shape == other.shape and np.array_equal(array, other) for other in saved)


@pytest.mark.parametrize("model", [m for m in CLASSIFIERS if m.adapter == "lora"], ids=str)
def test_a_fresh_head_is_drawn_alike_in_both(runs, model):
    heads = []
    for precision in PRECISIONS:
        torch.manual_seed(0)
        folder = runs[precision].folder / "material" / model.architecture
        heads.append(ReadOut(None, backbone.load(folder, "classification", 3, DTYPES[precision])).head())
    for name in ("out_weight", "dense_weight"):
        one, other = (getattr(head, name) for head in heads)
        assert (one is None and other is None) or np.array_equal(one, other)


# -- what must not come back -----------------------------------------------------------------------------


HEADS = [model for model in TRAINED if model.task == "classification" and model.architecture in ("bert", "llama")]


@pytest.mark.parametrize("model", HEADS, ids=str)
def test_a_head_in_the_backbones_type_is_noticed(runs, model, monkeypatch, tmp_path):
    run = runs["bf16"]
    run.make("train", model)
    monkeypatch.setattr(backbone, "_with_float32_head", lambda cls: cls)
    with pytest.raises(AssertionError, match=r"score|classifier|pooler"):
        check(run, model)
    again = Run(run.folder, "bf16", run, tmp_path / "again")
    with pytest.raises(AssertionError, match=r"extract\.py"):
        again.make("extract", model)


@pytest.mark.parametrize("model", HEADS, ids=str)
def test_a_head_that_was_rounded_is_noticed(runs, model, monkeypatch):
    """Cast up after loading, as a crash would be mended first."""
    run = runs["bf16"]
    run.make("train", model)
    loaded = run.load

    def rounded(model):
        found = loaded(model)
        for name, p in found.read_out.named_parameters():
            if "modules_to_save" in name:
                p.data = p.data.bfloat16().float()
        return found

    monkeypatch.setattr(run, "load", rounded)
    with pytest.raises(AssertionError, match=r"score|classifier|pooler"):
        check(run, model)


# -- a node that cannot ----------------------------------------------------------------------------------


def test_a_gpu_without_bf16_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    with pytest.raises(UserError, match=r"^Tesla T4 does not compute in bf16: .*precision: fp32"):
        backbone.dtype("bf16")
    assert backbone.dtype("fp32") == torch.float32


def test_a_processor_computes_in_both(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert {name: backbone.dtype(name) for name in DTYPES} == DTYPES
