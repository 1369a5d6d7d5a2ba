"""The Gaussian prior against its definition, and what the loss of an answer is taken over."""

import math

import pytest
import torch
from recipes import adapter
from tiny import DECODERS, build
from torch import nn

from peftuq.adapters.peft_lora import attach, trainable
from peftuq.config.recipe import Loss, Prior
from peftuq.models.readout import Output
from peftuq.training import losses

PRIOR = Prior(over="factors", half_lambda=0.7, scale="reference")


@pytest.fixture(scope="module")
def parameters() -> dict[str, nn.Parameter]:
    modules = {"q": "q_proj", "v": "v_proj"}
    peft = attach(build(DECODERS["llama"], "choice"), modules, adapter(dropout=0.0), "choice")
    for parameter in trainable(peft).values():
        nn.init.normal_(parameter)
    return trainable(peft)


def pairs(parameters):
    return [(p, parameters[n.replace("lora_A", "lora_B")]) for n, p in parameters.items() if "lora_A" in n]


def test_factors_penalise_every_number(parameters):
    expected = 0.7 * sum(float((p.double() ** 2).sum()) for p in parameters.values())
    assert losses.Prior(PRIOR, parameters, 10, 0)().item() == pytest.approx(expected, rel=1e-5)


def test_product_penalises_the_update_itself(parameters):
    expected = 0.7 * sum(float(((b @ a).double() ** 2).sum()) for a, b in pairs(parameters))
    prior = losses.Prior(PRIOR.model_copy(update={"over": "product"}), parameters, 10, 0)
    assert prior().item() == pytest.approx(expected, rel=1e-5)


def test_posterior_scale_is_per_example(parameters):
    one, ten = (losses.Prior(PRIOR.model_copy(update={"scale": "posterior"}), parameters, n, 0)() for n in (1, 10))
    assert one.item() == pytest.approx(10 * ten.item(), rel=1e-6)


def test_map_of_a_quadratic_is_the_closed_form():
    """Minimise ½(θ − 3)² + (λ/2)(A² + B²) per number: θ* = 3 / (1 + 2·(λ/2))."""
    a, b = nn.Parameter(torch.zeros(1, 1)), nn.Parameter(torch.zeros(1, 1))
    prior = losses.Prior(PRIOR, {"x.lora_A.w": a, "x.lora_B.w": b}, 1, 0)
    optimiser = torch.optim.LBFGS([a, b], lr=0.5, max_iter=100)

    def closure():
        optimiser.zero_grad()
        loss = 0.5 * ((a - 3).square() + (b - 3).square()).sum() + prior()
        loss.backward()
        return loss

    optimiser.step(closure)
    assert a.item() == pytest.approx(3 / 2.4, rel=1e-4) and b.item() == pytest.approx(3 / 2.4, rel=1e-4)


def test_anchors_are_draws_from_the_prior_and_differ_by_member(parameters):
    how = PRIOR.model_copy(update={"diversity": "anchored"})
    one, two = losses.Prior(how, parameters, 1, 1), losses.Prior(how, parameters, 1, 2)
    flat = torch.cat([c.flatten() for centres in one._centres for c in centres])
    assert flat.std().item() == pytest.approx(1 / math.sqrt(2 * 0.7), rel=0.15)
    assert one().item() != two().item()
    with torch.no_grad():
        for (a, b), (ca, cb) in zip(one._pairs, one._centres, strict=True):
            a.copy_(ca), b.copy_(cb)
    assert one().item() == 0


def test_the_answer_is_scored_among_the_whole_vocabulary_or_the_options():
    vocabulary = torch.tensor([[1.0, 2.0, 3.0, 0.5]])
    output = Output(vocabulary[:, :2], torch.zeros(1, 1), vocabulary.logsumexp(dim=1))
    label = torch.tensor([1])
    whole = -vocabulary.log_softmax(dim=1)[0, 1]
    among = -vocabulary[:, :2].log_softmax(dim=1)[0, 1]
    assert losses.cross_entropy(output, label, "vocabulary").item() == pytest.approx(whole.item())
    assert losses.cross_entropy(output, label, "options").item() == pytest.approx(among.item())


def answered(over: str, missing: bool = False) -> tuple[Output, torch.Tensor, torch.Tensor]:
    """An output, its labels, and the log-probabilities of its four options; the last example may lack an option."""
    vocabulary = torch.randn(5, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    if missing:
        vocabulary[-1, 3] = -torch.inf
    logits, label = vocabulary[:, :4], torch.tensor([1, 0, 3, 2, 1])
    log_p = logits.log_softmax(1) if over == "options" else vocabulary.log_softmax(1)[:, :4]
    return Output(logits, torch.zeros(5, 1), vocabulary.logsumexp(1)), label, log_p


def test_smoothed_labels_equal_torchs_over_the_options():
    output, label, _ = answered("options")
    expected = nn.functional.cross_entropy(output.logits, label, label_smoothing=0.1)
    torch.testing.assert_close(losses.answer_loss(output, label, Loss(answer="options", label_smoothing=0.1)), expected)


@pytest.mark.parametrize("over", ["options", "vocabulary"])
def test_smoothed_labels_leave_out_options_that_a_question_lacks(over):
    output, label, log_p = answered(over, missing=True)
    expected = 0.0
    for row, target in enumerate(label):
        options = 3 if row == 4 else 4
        for option in range(options):
            expected -= ((0.9 if option == target else 0.0) + 0.1 / options) * log_p[row, option].item() / 5
    found = losses.answer_loss(output, label, Loss(answer=over, label_smoothing=0.1))
    assert found.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("over", ["options", "vocabulary"])
def test_the_focal_loss_is_its_formula(over):
    output, label, log_p = answered(over, missing=True)
    right = log_p.gather(1, label[:, None])[:, 0]
    expected = -((1 - right.exp()) ** 2 * right).mean()
    torch.testing.assert_close(losses.answer_loss(output, label, Loss(answer=over, focal=2.0)), expected)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_the_focal_loss_of_a_certain_answer_has_a_gradient(gamma):
    logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
    output = Output(logits, torch.zeros(1, 1), None)
    losses.answer_loss(output, torch.tensor([0]), Loss(answer="options", focal=gamma)).backward()
    assert logits.grad.abs().max() == 0


def test_without_either_the_loss_is_the_cross_entropy():
    output, label, _ = answered("vocabulary")
    assert torch.equal(losses.answer_loss(output, label, Loss()), losses.cross_entropy(output, label, "vocabulary"))
