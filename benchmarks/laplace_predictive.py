"""f_Sigma of a LoRA posterior: from slabs of layers, against materialised Jacobians.

    python benchmarks/laplace_predictive.py [--examples 32 --classes 2 5 --batches 1 8 --threads 1]

`ours`: one forward and C - 1 backward passes a batch, a layer's slabs meeting its Kronecker factors. `laplace-torch`
(if it is installed): its Jacobian of a batch (`torch.func.jacrev`), then its Kronecker-decomposed matrix. `loop`: the
plain way, one backward pass for each example and class into the weights' gradients, then the same matrix products as
ours. All have the same model (all-MiniLM-L6-v2's shape, random weights, LoRA of rank 8 on q, k, v), factors and
precision, and full factors, so that there is nothing to disagree on: `difference` is the largest error against the
loop, relative to the largest value, of the covariances without the shift that all classes share. Seconds are the
process's CPU time, which other jobs on the machine do not stretch.
"""

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, BertConfig

from peftuq.adapters import peft_lora
from peftuq.config.recipe import Adapter
from peftuq.models.batching import Encoded, collate
from peftuq.models.readout import ReadOut
from peftuq.predictives.laplace import kfac, predictive
from peftuq.predictives.laplace.layers import layers_of

SHAPE = {"vocab_size": 3000, "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12}
ADAPTER = Adapter(targets=["q", "k", "v"], rank=8, alpha=16, dropout=0.0)
ROLES = {"q": "query", "k": "key", "v": "value"}
PRECISION, SEED = 5.0, 0
warnings.filterwarnings("ignore")  # laplace-torch's imports and torch.func's missing batching rules


def build(classes: int) -> ReadOut:
    torch.manual_seed(SEED)
    config = BertConfig(**SHAPE, intermediate_size=1536, num_labels=classes)
    hf = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
    peft = peft_lora.attach(hf, ROLES, ADAPTER, "classification")
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    return ReadOut(peft, hf).eval().requires_grad_(False)


def examples(n: int, classes: int) -> Encoded:
    rng = np.random.default_rng(SEED)
    tokens = [rng.integers(5, 3000, length).tolist() for length in rng.integers(20, 60, n)]
    return Encoded(np.arange(n), rng.integers(0, classes, n), tokens, np.full(n, classes))


def loop(model: ReadOut, layers: dict, data: Encoded, curvature: kfac.Curvature) -> np.ndarray:
    """One backward pass an example and class; the weights' gradients are the Jacobian."""
    weights = {name: layer.weight.requires_grad_() for name, layer in layers.items()}
    wanted, sigma = torch.tensor([PRECISION], dtype=torch.float64), []
    for row in range(len(data)):
        batch = collate(data, np.array([row]), 0)
        logits = model(batch.input_ids, batch.lengths).logits[0]
        slabs = [torch.autograd.grad(f, list(weights.values()), retain_graph=True) for f in logits]
        jacobians = {name: torch.stack(grads)[None] for name, *grads in zip(weights, *slabs, strict=True)}
        sigma.append(sum(predictive.quadratic_forms(jacobians[n], curvature.factors[n], wanted)[0] for n in weights))
    for weight in weights.values():
        weight.requires_grad_(False)
    return torch.cat(sigma).numpy()


def peer(model: ReadOut, layers: dict, data: Encoded, curvature: kfac.Curvature, size: int) -> np.ndarray:
    """laplace-torch's Jacobians and Kronecker algebra, with our factors, `size` examples a batch."""
    from laplace.curvature import CurvatureInterface
    from laplace.utils import Kron

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, batch):
            return self.model(batch.input_ids, batch.lengths).logits

    for layer in layers.values():
        layer.weight.requires_grad_()
    wrapped = Logits()
    interface = CurvatureInterface(wrapped, "classification")
    names = {id(layer.weight): name for name, layer in layers.items()}
    order = [names[id(parameter)] for parameter in wrapped.parameters() if parameter.requires_grad]
    kfacs = [
        [((e.vectors * e.values) @ e.vectors.T).float() for e in (factors.outputs, factors.inputs)]
        for factors in (curvature.factors[name] for name in order)
    ]
    posterior = Kron(kfacs).decompose() + torch.tensor(PRECISION)
    sigma = torch.empty(len(data), *[int(data.n_options[0])] * 2)
    for rows in np.array_split(np.argsort(data.lengths, kind="stable"), range(size, len(data), size)):
        jacobian, _ = interface.jacobians(collate(data, rows, 0))
        sigma[rows] = posterior.inv_square_form(jacobian)
    for layer in layers.values():
        layer.weight.requires_grad_(False)
    return sigma.numpy()


def timed(run: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    started = time.process_time()
    return run(), time.process_time() - started


def compare(classes: int, n: int, batches: list[int]) -> dict[str, tuple[np.ndarray, float]]:
    """f_Sigma and seconds of every way that can be run here."""
    model, data = build(classes), examples(n, classes)
    layers, execution = layers_of(model, "excluded"), kfac.Execution(0, 1024, torch.float32)
    curvature = kfac.fit(model, layers, data, execution, "all", 10, 512)
    ways: dict[str, Callable[[], np.ndarray]] = {
        "ours": lambda: predictive.distribution(model, layers, data, execution, curvature, [PRECISION])[1][0],
        "loop": lambda: loop(model, layers, data, curvature),
    }
    for size in batches:
        ways[f"laplace-torch, batch {size}"] = lambda size=size: peer(model, layers, data, curvature, size)
    ways["ours"]()  # once for the allocator
    results = {}
    for name, run in ways.items():
        try:
            results[name] = timed(run)
        except ImportError as error:
            print(f"{classes:>7}  {name:<22} not run: {error}")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=32)
    parser.add_argument("--classes", type=int, nargs="+", default=[2, 5])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"{'classes':>7}  {'how':<22}{'seconds':>9}{'ratio':>8}{'difference':>12}")
    for classes in args.classes:
        results = compare(classes, args.examples, args.batches)
        exact, (_, own) = results["loop"][0], results["ours"]
        centring = np.eye(classes) - 1 / classes
        exact = centring @ exact @ centring
        for name, (sigma, seconds) in results.items():
            difference = np.abs(centring @ sigma @ centring - exact).max() / np.abs(exact).max()
            print(f"{classes:>7}  {name:<22}{seconds:>9.2f}{seconds / own:>7.1f}x{difference:>12.1e}")


if __name__ == "__main__":
    main()
