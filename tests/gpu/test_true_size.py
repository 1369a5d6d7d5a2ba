"""Every job at its true size with random weights, through the function that is rehearsed: memory, time, waits."""

import concurrent.futures
import dataclasses
import multiprocessing
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hardware import Cuda, gib
from true_size import large, one_of_each, tiny

from peftuq.planning.cards import CARDS
from peftuq.planning.rehearsal import programs, trace
from peftuq.planning.requests import Request


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    found = large()
    if metafunc.config.getoption("device") == "cpu":
        found = [tiny(request) for request in one_of_each(found)]
    metafunc.parametrize("request_", [pytest.param(request, id=name(request)) for request in found])


@pytest.fixture(scope="module")
def rehearse() -> Iterator[Callable[..., dict[str, Any]]]:
    """`trace.rehearse` in a process of its own: its device has to be registered before any backward pass."""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        yield lambda *arguments: pool.submit(trace.rehearse, *arguments).result()


def name(request: Request) -> str:
    """A request's name, with what is sampled."""
    return " ".join(filter(None, (request.name, request.spec.get("method"))))


def measure(request: Request, hardware) -> tuple[float, int, int]:
    """Seconds, host waits and peak bytes. It runs twice: kernels are chosen and waits counted the first time."""
    waits = 0
    for counting in (True, False):
        hardware.counting = counting
        hardware.free()
        torch.manual_seed(0)
        with programs.routed_evenly():
            work = getattr(programs, request.program)(request.spec, request.config, hardware)
        waits = work.waits if counting else waits
    return work.seconds, waits, hardware.peak()


def test_memory_is_as_rehearsed(hardware, measured, rehearse, request_):
    card = hardware.card()
    like = dataclasses.replace(card or CARDS["a100-80"], memory=hardware.free())
    kernels = "cuda" if isinstance(hardware, Cuda) else "cpu"
    rehearsed = rehearse(request_.program, request_.spec, request_.config, like, kernels)
    expected, size = sum(rehearsed["peak"].values()), f"{rehearsed['rows']} of {rehearsed['tokens']}"
    if expected > like.usable:
        measured.job(name(request_), size, "not run", f"{gib(expected):.2f}", *[""] * 5)
        pytest.skip(f"needs {gib(expected):.1f} GiB, and {gib(like.usable):.1f} may be used")
    seconds, waits, peak = measure(request_, hardware)
    apart = expected / peak - 1
    roofline = None if card is None else rehearsed["work"][f"seconds on {card.name}"]
    time = ["", ""] if roofline is None else [f"{1000 * roofline:.1f}", f"{seconds / roofline:.1f}"]
    told = f"{waits}, rehearsed {rehearsed['work']['reads']:.0f}"
    peaks = [f"{gib(peak):.2f}", f"{gib(expected):.2f}", f"{apart:+.1%}"]
    measured.job(name(request_), size, *peaks, f"{1000 * seconds:.1f}", *time, told)
    assert abs(apart) <= hardware.apart
