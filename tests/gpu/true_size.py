"""The GPU jobs of the papers' grids on models of billions of weights, and their like in a size for a processor."""

import dataclasses
from pathlib import Path

import yaml

from peftuq.config.study import Study
from peftuq.jobs.jobs import Jobs
from peftuq.planning.requests import Request, requests

ROOT = Path(__file__).parents[2]
LARGE = 4096 * 0.8  # width of a model of seven billion weights, or near
FEW = 2  # batches of examples that AdUE's heads are fitted on here: a step is like any other
TINY = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
TINY |= {"intermediate_size": 96, "vocab_size": 256}


def large() -> list[Request]:
    """Every training, and of each model the most demanding job of every other kind that runs on a GPU."""
    config = yaml.safe_load((ROOT / "config" / "paper.yaml").read_text())
    asked = [r for r in requests(Jobs(Study(config, ROOT / "config"))).values() if r.config["hidden_size"] > LARGE]
    found = {r.identity: r for r in asked if r.program == "train"}
    others: dict[tuple[str, ...], Request] = {}
    for request in sorted((r for r in asked if r.program != "train"), key=_demand):
        others[(request.program, request.spec.get("method", ""), request.model)] = _with_few_rows(request)
    return [*found.values(), *others.values()]


def _demand(request: Request) -> tuple[int, ...]:
    adapter = request.spec.get("recipe", {}).get("adapter") or {"targets": [], "rank": 0}
    return (*request.size, request.spec["task"]["max_length"], len(adapter["targets"]) * adapter["rank"])


def _with_few_rows(request: Request) -> Request:
    if request.program != "fit_score":
        return request
    rows = {**request.spec["rows"], "train": FEW * request.spec["params"]["batch_size"]}
    return dataclasses.replace(request, spec={**request.spec, "rows": rows})


def one_of_each(wanted: list[Request]) -> list[Request]:
    """The first request of every program, and of every kind of adapter that is trained."""
    found: dict[tuple[str, ...], Request] = {}
    for request in wanted:
        adapter = request.spec["adapter"] if request.program == "train" else request.spec.get("method", "")
        found.setdefault((request.program, adapter), request)
    return list(found.values())


def tiny(request: Request) -> Request:
    """The same job on a model of two blocks, with batches of a few tokens."""
    spec = {**request.spec, "task": {**request.spec["task"], "max_length": 16, "batch_tokens": 128}}
    if request.program == "train":
        spec["recipe"] = {**spec["recipe"], "micro_batch_tokens": 64}
    if request.program == "fit_laplace":
        spec["params"] = {**spec["params"], "batch_tokens": 64}
    if request.program == "fit_score":
        spec["rows"] = {"train": 16, "valid": 16}
    return dataclasses.replace(request, spec=spec, config={**request.config, **TINY})
