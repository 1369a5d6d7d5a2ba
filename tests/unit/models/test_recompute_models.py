"""Whole models that recompute, against PEFT's own layers: the same gradients, with less kept."""

import pytest
import recipes
import tiny
import torch
import torch.nn.functional as F
from test_mixlora_experts import loop_ffn
from torch import nn
from transformers import LlamaConfig

from peftuq.adapters import lora
from peftuq.adapters.mixlora import method as mixlora
from peftuq.adapters.mixlora.layers import ExpertFFN
from peftuq.config.recipe import Loss

DECODER_ROLES = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": "o_proj"}
DECODER_ROLES |= {"gate": "gate_proj", "up": "up_proj", "down": "down_proj"}
BERT_ROLES = {"q": "query", "k": "key", "v": "value", "o": r"attention\.output\.dense", "up": r"intermediate\.dense"}
BERT_ROLES |= {"down": r"\d+\.output\.dense"}
LENGTHS, OPTIONS = torch.tensor([11, 6, 9]), torch.tensor([3, 3, 2])


def read_out(config, kind, adapter=lora, dropout=0.0, answer="vocabulary", seed=0):
    """A model in training mode whose corrections are not 0."""
    hf = tiny.build(config, kind)
    roles = BERT_ROLES if config.model_type == "bert" else DECODER_ROLES
    mixture = {} if adapter is mixlora else None
    settings = recipes.adapter(targets=list(roles), rank=3, alpha=6, dropout=dropout, mixture=mixture)
    torch.manual_seed(seed)
    peft = adapter.attach(hf, roles, settings, kind)
    for name, parameter in peft.named_parameters():
        if parameter.requires_grad and "router" not in name:
            nn.init.normal_(parameter, std=0.3)
    for module in peft.modules():  # encoders and heads drop by themselves; what they drop is not the adapter's
        if isinstance(module, nn.Dropout):
            module.p = min(module.p, dropout)
    return adapter.read_out(peft, hf, [50, 51, 52] if kind == "choice" else None, Loss(answer=answer)).train()


def plain_norm(module):
    """RMSNorm in the type of its input: transformers' own rounds double precision to float32."""
    gemma = hasattr(module, "eps")

    def forward(x):
        x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + (module.eps if gemma else module.variance_epsilon))
        return x * (1 + module.weight if gemma else module.weight)

    return forward


def loop_over_experts(module):
    def mix(x, routed, adapter, config):
        A, B, of = module.factors("A", adapter), module.factors("B", adapter), module.base_layer
        of = type("FFN", (), {name: getattr(of, name) for name in ("gate_proj", "up_proj", "down_proj", "act_fn")})
        return loop_ffn(x, of, A, B, routed.weights, routed.experts, config.num_experts)

    return mix


def as_plain(model):
    """The same model with PEFT's and transformers' forward passes at every position, and a loop over experts."""
    model._positions = None
    for module in model.modules():
        module.__dict__.pop("forward", None)
        if "RMSNorm" in type(module).__name__:
            module.forward = plain_norm(module)
        elif isinstance(module, ExpertFFN):
            module.mix = loop_over_experts(module)
    return model


def gradients(model):
    """By all that is trained, of a function of everything an output has; and the output."""
    torch.manual_seed(7)
    output = model(torch.randint(3, 60, (3, 11), generator=torch.Generator().manual_seed(1)), LENGTHS, OPTIONS)
    loss = F.cross_entropy(output.logits, torch.tensor([0, 2, 1]))
    loss = loss + sum(of.square().sum() for of in (output.logsumexp, output.flu) if of is not None)
    loss.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.requires_grad}, output


def distance(ours, theirs):
    """The largest difference of a gradient, in units of its own largest element."""
    return max(float((ours[name] - of).abs().max() / of.abs().max().clamp(min=1e-9)) for name, of in theirs.items())


CASES = [(name, kind) for name in tiny.DECODERS for kind in ("classification", "choice")] + [("bert", "classification")]


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("architecture, kind", CASES)
@pytest.mark.parametrize("adapter", [lora, mixlora])
def test_gradients_are_those_of_the_plain_model(architecture, kind, adapter, checkpointing):
    config = (tiny.ENCODERS | tiny.DECODERS)[architecture]
    if adapter is mixlora and architecture == "bert":
        pytest.skip("experts of encoders are linear layers: test_mixlora_experts.py")
    ours = read_out(config, kind, adapter).double()
    plain = as_plain(read_out(config, kind, adapter).double())
    if checkpointing:
        ours.hf.gradient_checkpointing_enable({"use_reentrant": False})
    (by_ours, output), (by_plain, expected) = gradients(ours), gradients(plain)
    torch.testing.assert_close(output.logits, expected.logits, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(output.h, expected.h, rtol=1e-12, atol=1e-12)
    assert len(by_plain) > 8 and all(gradient.abs().max() > 0 for gradient in by_plain.values())
    assert distance(by_ours, by_plain) < 1e-10


@pytest.mark.parametrize("architecture, kind", CASES)
def test_the_last_blocks_ffn_is_trained_at_the_positions_that_are_read(architecture, kind):
    model, seen = read_out((tiny.ENCODERS | tiny.DECODERS)[architecture], kind), []
    for name, module in model.named_modules():
        if name.endswith("intermediate" if architecture == "bert" else "gate_proj"):
            module.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape[:-1].numel()))
    gradients(model)
    gradients(model.eval())
    assert seen == [33, 3, 33, 33]


def in_bf16(model):
    for parameter in model.parameters():
        if not parameter.requires_grad:
            parameter.data = parameter.data.bfloat16()
    return model


@pytest.mark.parametrize("adapter", [lora, mixlora])
def test_bf16_is_as_near_float32_as_the_plain_model(adapter):
    """Over six models, whose distances (of all gradients, relative) scatter around 0.05 by a factor of two."""
    ratios = []
    for seed in range(6):
        ours, plain, exact = (read_out(tiny.DECODERS["llama"], "choice", adapter, seed=seed) for _ in range(3))
        for module in as_plain(plain).modules():
            if "RMSNorm" in type(module).__name__:
                module.__dict__.pop("forward")
        expected = gradients(exact)[0]
        with torch.autocast("cpu", torch.bfloat16):
            found = [gradients(in_bf16(model))[0] for model in (ours, plain)]
        ratios.append([sum(float((by[n] - of).square().sum()) for n, of in expected.items()) for by in found])
        assert seed or ratios[0][0] < 0.05**2 * sum(float(of.square().sum()) for of in expected.values())
    log = torch.tensor(ratios).log()
    assert (log[:, 0] - log[:, 1]).mean().mul(0.5).exp() < 1.2


@pytest.mark.parametrize("adapter", [lora, mixlora])
def test_checkpointing_finds_the_same_masks(adapter):
    models = [read_out(tiny.DECODERS["llama"], "choice", adapter, dropout=0.3) for _ in range(2)]
    models[1].hf.gradient_checkpointing_enable({"use_reentrant": False})
    (one, output), (other, again) = map(gradients, models)
    assert torch.equal(output.logits, again.logits)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_inputs_have_masks_of_their_own_and_layers_of_one_input_share_one():
    model = read_out(tiny.DECODERS["llama"], "choice", dropout=0.5)
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("peftuq.models.recompute.lora.draw_seed", lambda: seen.append(1) or len(seen))
        gradients(model)
    assert len(seen) == 2 * len(("q k v", "o", "gate up", "down"))


def kept_bytes(model, ids, lengths):
    """Bytes of all storages that a forward pass keeps for the backward pass, without the model's own."""
    kept, own = {}, {p.untyped_storage().data_ptr() for p in [*model.parameters(), *model.buffers()]}

    def pack(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage  # held, so that no other takes its place
        return tensor

    keeping = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with keeping, torch.autocast("cpu", torch.bfloat16):
        output = model(ids, lengths)
    assert output.logits.requires_grad
    return sum(storage.nbytes() for pointer, storage in kept.items() if pointer not in own)


def test_keeps_less_than_half_of_the_plain_model():
    config = LlamaConfig(
        vocab_size=60, hidden_size=64, intermediate_size=172, num_hidden_layers=3, num_attention_heads=4, pad_token_id=0
    )
    ids, lengths = torch.randint(60, (8, 64)), torch.full((8,), 64)
    ours = kept_bytes(in_bf16(read_out(config, "choice", dropout=0.05)), ids, lengths)
    plain = in_bf16(read_out(config, "choice", dropout=0.05))
    for module in plain.modules():
        module.__dict__.pop("forward", None)
    assert ours < 0.5 * kept_bytes(plain, ids, lengths)


def test_training_over_the_options_leaves_the_vocabulary_alone():
    model = read_out(tiny.DECODERS["llama"], "choice", answer="options")
    assert gradients(model)[1].logsumexp is None
    assert gradients(read_out(tiny.DECODERS["llama"], "choice"))[1].logsumexp is not None
    ids = torch.randint(3, 60, (3, 11))
    assert model.eval()(ids, LENGTHS, OPTIONS).logsumexp is not None


@pytest.mark.parametrize("architecture", tiny.DECODERS)
def test_right_padded_causal_input_needs_no_mask(architecture, monkeypatch):
    asked = []

    def attention(*args, attn_mask=None, is_causal=False, **settings):
        asked.append((attn_mask is None, is_causal))
        return theirs(*args, attn_mask=attn_mask, is_causal=is_causal, **settings)

    theirs = F.scaled_dot_product_attention
    model = read_out(tiny.DECODERS[architecture], "choice")
    monkeypatch.setattr(F, "scaled_dot_product_attention", attention)
    gradients(model)
    assert asked == [(True, True)] * 2
