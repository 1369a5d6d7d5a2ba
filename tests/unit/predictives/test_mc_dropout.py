"""Dropout that really drops, in the adapter alone, and a model that is left as it was."""

import numpy as np
import pytest
import torch
from asked import Adapted, examples, read_out

from peftuq.errors import UserError
from peftuq.predictives import mc_dropout


def probs(adapted: Adapted, size: int = 4, seed: int = 0) -> np.ndarray:
    samples, _ = mc_dropout.predict(adapted, {"test": examples()}, ["test"], {}, seed, size)
    return samples["test"].probs


def test_samples_differ_and_repeat_with_the_seed():
    adapted = Adapted(read_out())
    first = probs(adapted)
    assert first.shape == (4, 12, 3)
    for one in range(4):
        for other in range(one):
            assert (np.abs(first[one] - first[other]).max(axis=1) > 1e-4).all()
    assert np.array_equal(first, probs(adapted))
    assert np.abs(first - probs(adapted, seed=1)).max() > 1e-3
    assert np.array_equal(first[:2], probs(adapted, size=2))  # the first two of four


def test_samples_depend_on_neither_batches_nor_padding():
    model = read_out()
    expected = probs(Adapted(model))
    np.testing.assert_allclose(probs(Adapted(model, max_tokens=1)), expected, atol=1e-5)
    np.testing.assert_allclose(probs(Adapted(model, max_tokens=10_000, pad=7)), expected, atol=1e-5)


def test_nothing_but_the_adapters_dropout_is_sampled():
    """With B = 0 the adapter is silent, and the backbone's dropout (p = 0.5) must be, too."""
    model = read_out()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.zero_()
    found = probs(Adapted(model))
    assert np.array_equal(found[0], found[1])


def test_the_mean_over_many_masks_approaches_the_layer_without_dropout():
    keys = mc_dropout.example_keys(torch.arange(5, 9)[None], torch.tensor([4]))
    masks = torch.stack([mc_dropout.kept(keys ^ mc_dropout.mixed(torch.tensor(i)), 2, 200, 0.3) for i in range(200)])
    assert masks.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert float(masks.mean()) == pytest.approx(1.0, abs=0.01)
    for axis in ((0, 1, 2), (0, 1, 3), (1, 2, 3)):
        assert float(masks.mean(dim=axis).std()) < 0.06  # no pass, position or channel is favoured
    flat = (masks - 1).flatten(1)
    assert float((flat[:-1] * flat[1:]).mean().abs()) < 0.01  # passes do not repeat each other
    assert float((masks[..., :-1] - 1).mul(masks[..., 1:] - 1).mean().abs()) < 0.01


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was_even_by_an_exception(training):
    model = read_out().train(training)
    before = [module.training for module in model.modules()]
    probs(Adapted(model))
    with pytest.raises(KeyError), mc_dropout.dropping(model, 0, 0):
        raise KeyError
    assert [module.training for module in model.modules()] == before
    hooks = [h for m in model.modules() for h in (*m._forward_hooks.values(), *m._forward_pre_hooks.values())]
    assert not [hook for hook in hooks if "mc_dropout" in getattr(hook, "__module__", "")]


def test_without_dropout_there_is_nothing_to_sample():
    with pytest.raises(UserError, match=r"adapter\.dropout above 0 in its recipe"):
        probs(Adapted(read_out(dropout=0.0)))
