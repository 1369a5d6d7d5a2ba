"""One MixLoRA FFN, forward and backward, against loops over its experts and against plain LoRA.

    python benchmarks/mixlora_ffn.py [--hidden 4096 --inner 11008 --tokens 512 --repeats 7 --dtypes bfloat16]

`own`: each expert runs the frozen matrices on the tokens routed to it. `shared`: the products with the two input
matrices are made once and handed to the experts; each runs its LoRA parts and the output matrix on its tokens.
`lora`: PEFT's LoRA on the three layers with the experts' total rank, the price without any routing. All contestants
have the same weights and work on the same tokens, without dropout. Frozen weights have the dtype under test, adapters
are float32 under autocast, as in training. Times are medians over rounds in which each contestant runs once, `ratio`
is the median over rounds of its time to mixlora's, `work` the same ratio of multiplications: what a machine reaches
that does nothing but multiply, at one speed. `kept` is what the forward pass keeps for the backward pass beside the
weights; `difference` is the largest error against `own`, relative to the largest value, of outputs and of the gradients
of input and router. The default shape is LLaMA-2-7B's.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
import torch.nn.functional as F
from peft import LoraConfig
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaMLP

from peftuq.adapters.mixlora import register  # noqa: F401
from peftuq.adapters.mixlora.config import MixLoraConfig
from peftuq.adapters.mixlora.experts import ROLES
from peftuq.adapters.mixlora.layers import ExpertFFN

THREADS, SEED = 2, 0
CONFIG = MixLoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, num_experts=8, top_k=2)


class Loop(nn.Module):
    """The experts of `mixture` one after another, each with factors of its own."""

    def __init__(self, mixture: ExpertFFN):
        super().__init__()
        self.ffn, self.router = mixture.base_layer, nn.Parameter(mixture.mixlora_router["default"].detach().clone())
        a, b = mixture.factors("A", "default"), mixture.factors("B", "default")
        split = {
            f"{role}_{e}": [
                nn.Parameter(a[role].detach().unflatten(0, (CONFIG.num_experts, -1))[e].clone()),
                nn.Parameter(b[role].detach().unflatten(1, (CONFIG.num_experts, -1))[:, e].clone()),
            ]
            for role in ROLES
            for e in range(CONFIG.num_experts)
        }
        self.factors = nn.ModuleDict({name: nn.ParameterList(pair) for name, pair in split.items()})

    def lora(self, x: Tensor, role: str, expert: int) -> Tensor:
        a, b = self.factors[f"{role}_{expert}"]
        return F.linear(F.linear(x, a), b) * CONFIG.scale

    def forward(self, x: Tensor) -> Tensor:
        h = x.flatten(0, -2)
        with torch.autocast("cpu", enabled=False):
            probabilities = F.linear(h.float(), self.router).softmax(dim=-1)
        weights, experts = probabilities.topk(CONFIG.top_k, dim=-1)
        weights = weights / weights.sum(dim=-1, keepdim=True)
        return self.run(h, weights, F.one_hot(experts, CONFIG.num_experts).permute(2, 1, 0)).view_as(x)

    def run(self, h: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        raise NotImplementedError


class Own(Loop):
    def run(self, h: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        y = torch.zeros_like(h)
        for e, mask in enumerate(chosen):
            slot, token = torch.where(mask)
            x = h.index_select(0, token)
            u = F.silu(self.ffn.gate_proj(x) + self.lora(x, "gate", e))
            u = u * (self.ffn.up_proj(x) + self.lora(x, "up", e))
            out = self.ffn.down_proj(u) + self.lora(u, "down", e)
            y = y.index_add(0, token, out * weights[token, slot, None].to(out.dtype))
        return y


class Shared(Loop):
    def run(self, h: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        y, gate, up = torch.zeros_like(h), self.ffn.gate_proj(h), self.ffn.up_proj(h)
        for e, mask in enumerate(chosen):
            slot, token = torch.where(mask)
            x = h.index_select(0, token)
            u = F.silu(gate.index_select(0, token) + self.lora(x, "gate", e))
            u = u * (up.index_select(0, token) + self.lora(x, "up", e))
            out = self.ffn.down_proj(u) + self.lora(u, "down", e)
            y = y.index_add(0, token, out * weights[token, slot, None].to(out.dtype))
        return y


class Plain(nn.Module):
    def __init__(self, ffn: LlamaMLP):
        super().__init__()
        lora = LoraConfig(r=CONFIG.r * CONFIG.num_experts, lora_alpha=32, lora_dropout=0.0)
        self.ffn = LlamaMLP(ffn.config)
        for role in ROLES:
            layer = LoraLinear(getattr(ffn, f"{role}_proj"), "default", lora, r=lora.r, lora_alpha=32)
            setattr(self.ffn, f"{role}_proj", layer)
            layer.lora_A.float(), layer.lora_B.float()

    def forward(self, x: Tensor) -> Tensor:
        return self.ffn(x)


def step(model: nn.Module, x: Tensor, seed: Tensor) -> tuple[float, Tensor, Tensor]:
    """(seconds, output, gradient of the input) of one forward and backward pass."""
    x = x.detach().requires_grad_()
    model.zero_grad(set_to_none=True)
    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=x.dtype == torch.bfloat16):
        y = model(x)
    y.backward(seed)
    return time.perf_counter() - start, y.detach(), x.grad


def kept(model: nn.Module, x: Tensor) -> float:
    """MiB that a forward pass keeps for the backward pass, without the model's own tensors."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    held: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    x = x.detach().requires_grad_()
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=x.dtype == torch.bfloat16)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), autocast:
        model(x)
    return sum(held.values()) / 2**20


def work(d: int, m: int) -> dict[str, int]:
    """Multiplications a token, forward and backward; the backward pass of frozen weights has no weight gradient."""
    k, r, frozen = CONFIG.top_k, CONFIG.r, 2 * d * m
    stacked, experts = CONFIG.num_experts * r, 3 * 3 * k * r * (d + m)
    return {
        "mixlora": 3 * frozen + 3 * 3 * d * stacked + 11 * k * r * m,  # 3 forward, 2 recomputed, 6 backward
        "own": 3 * k * frozen + experts,
        "shared": (2 + k) * frozen + experts,
        "lora": 3 * frozen + 3 * 3 * stacked * (d + m),
    }


def contest(dtype: torch.dtype, args: argparse.Namespace) -> None:
    torch.manual_seed(SEED)
    ffn = LlamaMLP(LlamaConfig(hidden_size=args.hidden, intermediate_size=args.inner)).requires_grad_(False).to(dtype)
    mixture = ExpertFFN(ffn, "default", CONFIG)
    for name, parameter in mixture.named_parameters():
        if "mixlora_B" in name:
            nn.init.normal_(parameter, std=0.02)
    models: dict[str, nn.Module] = {"mixlora": mixture, "own": Own(mixture), "shared": Shared(mixture)}
    models["lora"] = Plain(ffn)
    x, seed = torch.randn(2, 1, args.tokens, args.hidden).to(dtype)
    first: dict[str, tuple] = {name: step(model, x, seed)[1:] for name, model in models.items()}
    router: dict[str, Callable[[], Tensor]] = {
        "mixlora": lambda: mixture.mixlora_router["default"].grad,
        "shared": lambda: models["shared"].router.grad,
    }
    reference = (*first["own"], models["own"].router.grad)
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(args.repeats):
        for name, model in models.items():
            seconds[name].append(step(model, x, seed)[0])
    todo = work(args.hidden, args.inner)
    print(f"\n{dtype}, hidden {args.hidden}, inner {args.inner}, {args.tokens} tokens; E 8, K 2, r 16")
    print(f"{'':8} {'median s':>9} {'fastest s':>9} {'ratio':>6} {'work':>6} {'kept MiB':>9} difference")
    for name, times in seconds.items():
        difference = ""
        if name in router:
            pairs = zip((*first[name], router[name]()), reference, strict=True)
            difference = " ".join(f"{float((a - b).abs().max() / b.abs().max()):.1e}" for a, b in pairs)
        ratio = median(a / b for a, b in zip(times, seconds["mixlora"], strict=True))
        row = f"{median(times):9.3f} {min(times):9.3f} {ratio:6.2f} {todo[name] / todo['mixlora']:6.2f}"
        print(f"{name:8} {row} {kept(models[name], x):9.1f} {difference}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, default in (("hidden", 4096), ("inner", 11008), ("tokens", 512), ("repeats", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--dtypes", nargs="+", default=["bfloat16"])
    args = parser.parse_args()
    torch.set_num_threads(THREADS)
    print(f"torch {torch.__version__}, {THREADS} threads, native bf16: {torch.cpu.get_capabilities()['avx512_bf16']}")
    for dtype in args.dtypes:
        contest(getattr(torch, dtype), args)


if __name__ == "__main__":
    main()
