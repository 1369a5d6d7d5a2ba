"""Rehearsals of a study's GPU jobs, each made once for all that decides it: kept in files by identity.

A file is named by a digest of the request, the card's memory where it matters, and the code that was traced.
"""

import concurrent.futures
import hashlib
import multiprocessing
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from peftuq.files import read_json, write_json
from peftuq.jobs import identity
from peftuq.planning.cards import Card
from peftuq.planning.requests import Request

PLANNING = Path(__file__).parent
Result = dict[str, Any]


class Rehearsals:
    """Results by request, on one card; what is missing in `folder` is rehearsed by `processes` at a time."""

    def __init__(self, folder: Path, card: Card, processes: int = 1):
        self._folder, self.card, self._processes = folder / ".rehearsal", card, processes

    def _code(self, request: Request) -> str:
        """The code of everything that a rehearsal runs."""
        return identity.code(PLANNING / "rehearsal" / "trace.py", *request.plugins)

    def _path(self, request: Request, fitted: bool) -> Path:
        memory = self.card.memory if request.program == "fit_score" or fitted else None
        facts = identity.spec(request=request.identity, code=self._code(request), memory=memory)
        name = hashlib.sha256(facts.encode()).hexdigest()[:16]
        return self._folder / f"{name}{'-largest' if fitted else ''}.json"

    def of(self, wanted: Iterable[Request]) -> list[Result]:
        """`peak`, `work`, `rows`, `tokens` of each request, or `fault`."""
        return self._all(wanted, False)

    def largest(self, wanted: Iterable[Request]) -> list[int | None]:
        """The largest number of tokens in a batch with which each request fits the card; None where none does."""
        return [result["largest"] for result in self._all(wanted, True)]

    def _all(self, wanted: Iterable[Request], fitted: bool) -> list[Result]:
        wanted = list(wanted)
        paths = {request.identity: self._path(request, fitted) for request in wanted}
        missing = {paths[r.identity]: r for r in wanted if not paths[r.identity].is_file()}
        self._rehearse(missing, fitted)
        return [read_json(paths[request.identity]) for request in wanted]

    def _rehearse(self, missing: dict[Path, Request], fitted: bool) -> None:
        run = _largest if fitted else _rehearsed
        for number, (path, result) in enumerate(self._made(run, missing), start=1):
            print(f"rehearsed {number}/{len(missing)}: {missing[path].name}", file=sys.stderr, flush=True)
            write_json(path, result)

    def _made(self, run: Callable, missing: dict[Path, Request]) -> Iterable[tuple[Path, Result]]:
        if self._processes == 1 or len(missing) < 2:
            yield from ((path, run(request, self.card)) for path, request in missing.items())
            return
        spawned = multiprocessing.get_context("spawn")  # a device is registered once a process, after threads began
        with concurrent.futures.ProcessPoolExecutor(self._processes, spawned) as pool:
            futures = {pool.submit(run, request, self.card): path for path, request in missing.items()}
            for future in concurrent.futures.as_completed(futures):
                yield futures[future], future.result()


def _rehearsed(request: Request, card: Card) -> Result:
    from peftuq.planning.rehearsal import trace  # torch and transformers take their time to import

    try:
        return trace.rehearse(request.program, request.spec, request.config, card)
    except trace.Fault as fault:
        return {"fault": f"{request.name}: {fault}"}


def _largest(request: Request, card: Card) -> Result:
    from peftuq.planning.rehearsal import trace

    def peak(spec: dict[str, Any]) -> float:
        return sum(trace.rehearse(request.program, spec, request.config, card)["peak"].values())

    return {"largest": trace.largest(request.program, request.spec, card.usable, peak)}
