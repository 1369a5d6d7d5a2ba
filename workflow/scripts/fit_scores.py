"""Score every example of every evaluation set with one method, fitted where the method needs it."""

import time
from dataclasses import dataclass

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
    from peftuq import artifacts, files, plugins, usage
    from peftuq.scores import returned
    from peftuq.scores.protocol import ScoreModule

    spec = args.spec
    method = plugins.load(spec.module, ScoreModule[artifacts.SampleFile | artifacts.RecordFile])
    samples = artifacts.SampleFile(args.samples)
    inputs = artifacts.RecordFile(args.samples) if spec.reads == "records" else samples
    evaluated = {part: samples[part] for part in spec.evals}
    examples = {part: len(sample.id) for part, sample in evaluated.items()}
    started = time.monotonic()
    found = method.score(inputs, spec.evals, spec.params, spec.seed)
    returned.check(method.SCORE, spec.module, found, examples)
    took = usage.measured(sum(examples.values()), started)
    scores, diagnostics = found
    artifacts.write_scores(args.scores, returned.columns(scores, evaluated), diagnostics)
    files.write_json(args.facts, took)


program.run(__doc__, Arguments, main)
