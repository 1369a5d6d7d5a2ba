"""IB-EDL against distributions of other libraries, on tasks of both kinds."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from posterior_kinds import DECODER, ROLES
from recipes import recipe
from scipy.integrate import quad
from scipy.stats import norm
from tiny import DECODERS, ENCODERS, build
from torch.distributions import Dirichlet, Normal, kl_divergence

from peftuq.adapters import ib_edl, lora
from peftuq.adapters.peft_lora import trainable
from peftuq.adapters.protocol import terms
from peftuq.models.readout import Output
from peftuq.scores import vacuity
from peftuq.training.assemble import assemble

TOKENS, LENGTHS, OPTIONS = torch.tensor([[5, 11, 12], [6, 13, 14]]), torch.tensor([3, 3]), torch.tensor([3, 2])
TASKS = {"classification": (ENCODERS["bert"], ROLES, None), "choice": (DECODERS["llama"], DECODER, [50, 51, 52])}
RECIPE = recipe(adapter={"dropout": 0.0, "targets": ["q", "v"], "ib_edl": ib_edl.KIND.params})


def read_out(task: str, module=ib_edl):
    config, roles, answers = TASKS[task]
    hf = build(config, task)
    torch.manual_seed(0)
    return assemble(hf, module, RECIPE, roles, task, answers)


def test_the_risk_and_the_divergence_are_those_of_their_distributions():
    alpha = torch.tensor([[1.5, 2.0, 7.0], [1.0, 4.0, 0.0]]).double()
    found = ib_edl.bayes_risk(alpha, torch.tensor([1, 0]))
    for row, label, options in ((0, 1, 3), (1, 0, 2)):  # the second question has no third option
        p = Dirichlet(alpha[row, :options])
        wanted = (F.one_hot(torch.tensor(label), options) - p.mean).square() + p.variance
        torch.testing.assert_close(found[row], wanted.sum())
    mean, std = torch.randn(5), torch.rand(5) + 0.1
    torch.testing.assert_close(ib_edl.kl(mean, std), kl_divergence(Normal(mean, std), Normal(0, 1)))


def test_the_loss_is_the_expectation_over_the_evidence():
    mean, std = (
        torch.tensor([[0.5, -1.0, -torch.inf], [2.0, 0.3, 1.0]]),
        torch.tensor([[0.7, 1.2, 5.0], [0.1, 2.0, 0.4]]),
    )
    how = recipe(adapter={"ib_edl": {"samples": 1000, "beta": 0.1}})
    loss = terms(ib_edl, None, how, 0).loss
    label = torch.tensor([1, 0])
    torch.manual_seed(0)
    found = loss(Output(mean, mean, None, evidence=(mean, std)), label).item()
    rng, wanted = np.random.default_rng(1), 0.0
    for row, options in ((0, 2), (1, 3)):
        m, s = mean[row, :options].numpy(), std[row, :options].numpy()
        alpha = 1 + np.logaddexp(0, m + s * rng.normal(size=(100_000, options)))
        p = alpha / alpha.sum(axis=1, keepdims=True)
        squares = (np.eye(options)[label[row]] - p) ** 2 + p * (1 - p) / (alpha.sum(axis=1, keepdims=True) + 1)
        wanted += squares.sum(axis=1).mean() / 2 + 0.1 * (0.5 * (m**2 + s**2 - 2 * np.log(s) - 1)).sum() / 2
    assert found == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("task", TASKS)
def test_logits_are_those_of_the_expected_dirichlet_and_training_reaches_everything(task):
    model = read_out(task).train()
    output = model(TOKENS, LENGTHS, OPTIONS if task == "choice" else None)
    mean, std = (of.detach().double().numpy() for of in output.evidence)
    for (row, option), value in np.ndenumerate(mean):
        if np.isinf(value):
            assert task == "choice" and (row, option) == (1, 2) and output.logits[row, option] == -torch.inf
            continue
        density = norm(value, std[row, option]).pdf
        expected, _ = quad(lambda e, density=density: np.logaddexp(0, e) * density(e), value - 12 * std[row, option],
                           value + 12 * std[row, option])  # fmt: skip
        assert output.logits[row, option].exp().item() == pytest.approx(1 + expected, rel=1e-4)
    terms(ib_edl, model, RECIPE, 2).loss(output, torch.tensor([1, 0])).backward()
    without = [name for name, p in trainable(model).items() if p.grad is None or not p.grad.any()]
    assert all("lora_A" in name for name in without)  # B starts at 0
    assert any("spread" in name for name in trainable(model)) == (task == "classification")


@pytest.mark.parametrize("task", TASKS)
def test_a_saved_adapter_is_the_same_again(tmp_path, task):
    config, _, answers = TASKS[task]
    model = read_out(task)
    with torch.no_grad():
        for parameter in trainable(model).values():
            parameter.add_(0.1)
    model.model.save_pretrained(tmp_path, save_embedding_layers=False)
    hf = build(config, task)
    again = ib_edl.read_out(ib_edl.load(hf, tmp_path), hf, answers, None).eval()
    output, kept = again(TOKENS, LENGTHS), model.eval()(TOKENS, LENGTHS)
    torch.testing.assert_close(output.logits, kept.logits)
    if task == "choice":  # the answers' share of the vocabulary is that of plain logits
        hf = build(config, task)
        plain = lora.read_out(lora.load(hf, tmp_path), hf, answers, None).eval()(TOKENS, LENGTHS)
        share = (of.logits.logsumexp(1) - of.logsumexp for of in (output, plain))
        torch.testing.assert_close(*share)


def test_vacuity_is_the_options_share_of_all_evidence():
    class Part:
        logits = np.array([[1.5, 2.0, 7.0], [1.0, 4.0, 1.0]], dtype=np.float32)
        logits = np.where([[True, True, True], [True, True, False]], np.log(logits), -np.inf)

    found, _ = vacuity.score({"test": Part}, ["test"], {}, 0)
    np.testing.assert_allclose(found["vacuity"]["test"], [3 / 10.5, 2 / 5], rtol=1e-6)
