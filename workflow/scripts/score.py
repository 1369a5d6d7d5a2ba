"""Score every example of every evaluation set with one method, fitted where the method needs it."""

import importlib

import numpy as np

from peftuq import program

args = program.arguments(__doc__, ["spec", "input"])

from peftuq import artifacts  # noqa: E402  after the number of threads is set
from peftuq.progress import Log  # noqa: E402


def main(log: Log) -> None:
    spec = args.spec
    method = importlib.import_module(f"peftuq.scores.{spec['method']}")
    read = artifacts.RecordFile if spec["reads"] == "records" else artifacts.SampleFile
    inputs, samples = read(args.input), artifacts.SampleFile(args.input)
    scores, diagnostics = method.score(inputs, spec["evals"], spec["params"], spec["seed"])
    columns: dict[str, list] = {"eval": [], "id": [], "error": [], **{variant: [] for variant in scores}}
    for part in spec["evals"]:
        sample = samples[part]
        columns["eval"] += [part] * len(sample.id)
        columns["id"].append(sample.id)
        columns["error"].append(sample.mean.argmax(axis=1) != sample.label)
        for variant, by_part in scores.items():
            columns[variant].append(by_part[part])
    arrays = {name: values if name == "eval" else np.concatenate(values) for name, values in columns.items()}
    artifacts.write_scores(args.output[0], arrays, diagnostics)


program.run(main, Log(args.log, f"score {args.output[0]}"))
