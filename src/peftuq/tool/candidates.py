"""Every method that applies, fitted: sources of probabilities, and the scores of each.

A method is known by its declaration alone. What needs an ensemble, other adapters or the model again is left out, and
said to be.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from peftuq import artifacts, plugins
from peftuq.artifacts import RecordFile, SampleFile, Samples, softmax
from peftuq.config.methods import Methods
from peftuq.config.study import PACKAGE
from peftuq.jobs.identity import module
from peftuq.plugins import Predictive, Score
from peftuq.predictives.protocol import ExportedPredictive, FilePredictive
from peftuq.progress import Log
from peftuq.scores.protocol import ExportedScore, ScoreModule, states
from peftuq.tool import rerun
from peftuq.tool.rerun import Model

POINT = "point"  # the adapter's own probabilities
State = dict[str, np.ndarray]
Values = dict[str, np.ndarray]  # by part


class Source(NamedTuple):
    """Probabilities [M, N, C] by part; `state`: None where they cannot be had without this library."""

    name: str
    samples: dict[str, Samples]
    state: State | None

    def error(self, part: str) -> np.ndarray:
        sample = self.samples[part]
        return np.asarray(sample.mean.argmax(axis=1) != sample.label)


class Candidate(NamedTuple):
    """A score of a source; `state`: as of `Source`. `name`: "<source>/<variant>"."""

    source: Source
    score: str
    variant: str
    values: Values
    state: State | None

    @property
    def name(self) -> str:
        return f"{self.source.name}/{self.variant}"

    @property
    def exported(self) -> bool:
        return self.state is not None and self.source.state is not None

    @property
    def numbers(self) -> int:
        """How many numbers production has to keep and to work through for an example: its cost."""
        return sum(array.size for state in (self.state, self.source.state) if state for array in state.values())


@cache
def methods() -> Methods:
    return Methods(PACKAGE, {}, "peftuq")


def missing(declared: Score | Predictive, provided: Collection[str]) -> str | None:
    """Why a method does not apply; None where it does. `provided`: of what declarations may need, and "model"."""
    given = {*provided, "members"} if isinstance(declared, Score) else set(provided)  # a source may have several
    absent = [need for need in declared.needs if need not in given]
    if absent:
        return f"needs {', '.join(absent)}"
    if isinstance(declared, Predictive) and declared.reads == "epochs":
        return "needs records of every epoch"
    if isinstance(declared, Predictive) and declared.reads == "samples":
        return "needs samples of another predictive"
    if isinstance(declared, Predictive) and declared.reads != "records" and "model" not in provided:
        return "runs the model again: see --samples"
    return None


def fit(
    file: Path, evals: Sequence[str], seed: int, folder: Path, log: Log, model: Model | None, kind: Collection[str]
) -> tuple[list[Candidate], dict[str, str]]:
    """All candidates with their values on `evals`, and why each other method was left out.

    `file`: records with the parts train and valid. `folder`: for what is only needed meanwhile. `model`: for methods
    that run it again, None to leave them out; `kind`: what the adapter provides, of lora and dropout.
    """
    known, records = methods(), RecordFile(file)
    provided = {"train", "valid", "head", *kind, *(["model"] if model else [])}
    declared: dict[str, Score | Predictive] = {
        **{n: known.predictive(n) for n in known.predictives},
        **{n: known.score(n) for n in known.scores},
    }
    left_out = {name: why for name, one in declared.items() if (why := missing(one, provided)) is not None}
    point = {part: Samples(r.id, r.label, softmax(r.logits)[None]) for part in evals for r in (records[part],)}
    sources = [Source(POINT, point, {})]
    again = []
    for name in known.predictives:
        if name not in left_out and known.predictive(name).reads != "records":
            again.append(name)
        elif name not in left_out:
            log(f"fits {name}")
            sources.append(_source(known, name, records, evals, seed))
    if model is not None:
        found_again = rerun.samples(known, again, model, evals, seed, folder)
        sources += [Source(name, dict(samples), None) for name, samples in found_again]
    found: list[Candidate] = []
    for name in known.scores:
        if name not in left_out:
            log(f"fits {name}")
            found += _scored(known, name, sources, file, evals, seed, folder)
    return found, left_out


def _source(known: Methods, name: str, records: RecordFile, evals: Sequence[str], seed: int) -> Source:
    declared = known.predictive(name)
    path = module(known.predictives[name])
    method: Any = plugins.load(path, FilePredictive)
    if isinstance(method, ExportedPredictive):
        state = method.fit_state(records, declared.params, seed)
        parts = {part: records[part] for part in evals}
        samples = {p: Samples(r.id, r.label, method.apply(state, r.logits)[None]) for p, r in parts.items()}
        return Source(name, samples, state)
    return Source(name, dict(method.predict([records], evals, declared.params, seed, None)[0]), None)


def _scored(
    known: Methods, name: str, sources: Sequence[Source], file: Path, evals: Sequence[str], seed: int, folder: Path
) -> list[Candidate]:
    declared, path = known.score(name), module(known.scores[name])
    method: Any = plugins.load(path, ScoreModule)
    records = RecordFile(file)
    if declared.reads == "records":
        return _candidates(method, declared, name, sources[0], records, records, evals, seed)
    found: list[Candidate] = []
    for source in sources:
        if "members" in declared.needs and len(next(iter(source.samples.values())).probs) < 2:
            continue
        written = folder / f"{source.name}.safetensors"
        artifacts.write_samples(written, source.samples)
        found += _candidates(method, declared, name, source, SampleFile(written), records, evals, seed)
    return found


def _candidates(
    method: Any,
    declared: Score,
    name: str,
    source: Source,
    inputs: RecordFile | SampleFile,
    records: RecordFile,
    evals: Sequence[str],
    seed: int,
) -> list[Candidate]:
    if not isinstance(method, ExportedScore):
        scored: Mapping[str, Values] = method.score(inputs, evals, declared.params, seed)[0]
        return [Candidate(source, name, variant, dict(values), None) for variant, values in scored.items()]
    state = states(method, declared, inputs, declared.params, seed)
    found = []
    for variant in declared.variants:
        values = {}
        for part in evals:
            record = records[part]
            assert record.h is not None
            probs = source.samples[part].mean
            values[part] = method.apply(variant, state[variant], probs, record.logits, record.h)
        found.append(Candidate(source, name, variant, values, state[variant]))
    return found
