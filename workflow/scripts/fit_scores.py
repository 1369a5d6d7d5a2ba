"""Score every example of every evaluation set with one method, fitted where the method needs it."""

import time
from dataclasses import dataclass
from typing import Any

from peftuq.jobs import program
from peftuq.progress import Log
from peftuq.specs.score import Score


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    spec: Score
    samples: program.Input  # an adapter's records are samples, too
    scores: program.Output
    facts: program.Output


def main(args: Arguments, log: Log) -> None:
    import numpy as np

    from peftuq import artifacts, files, plugins, usage
    from peftuq.scores import returned
    from peftuq.scores.protocol import ScoreModule

    spec = args.spec
    method = plugins.load(spec.module, ScoreModule[artifacts.SampleFile | artifacts.RecordFile])
    samples = artifacts.SampleFile(args.samples)
    inputs = artifacts.RecordFile(args.samples) if spec.reads == "records" else samples
    started = time.monotonic()
    found = method.score(inputs, spec.evals, spec.params, spec.seed)
    examples = {part: len(samples[part].id) for part in spec.evals}
    returned.check(method.SCORE, spec.module, found, examples)
    took = usage.measured(sum(examples.values()), started)
    scores, diagnostics = found
    columns: dict[str, list[Any]] = {"eval": [], "id": [], "error": [], **{variant: [] for variant in scores}}
    for part in spec.evals:
        sample = samples[part]
        columns["eval"] += [part] * len(sample.id)
        columns["id"].append(sample.id)
        columns["error"] += sample.errors
        for variant, by_part in scores.items():
            columns[variant].append(by_part[part])
    lists = ("eval", "error")
    arrays = {name: values if name in lists else np.concatenate(values) for name, values in columns.items()}
    artifacts.write_scores(args.scores, arrays, diagnostics)
    files.write_json(args.facts, took)


program.run(__doc__, Arguments, main)
