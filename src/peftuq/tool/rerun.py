"""Sources of probabilities for which the model runs again: samplers, and the Laplace posterior of a fit of its own."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from peftuq import plugins
from peftuq.artifacts import Samples
from peftuq.config.methods import Methods
from peftuq.jobs.identity import module
from peftuq.predictives.protocol import FilePredictive, ModelPredictive
from peftuq.specs.adapted import LaplaceParameters


class Model(NamedTuple):
    """An adapter on its model (`adapters.adapted.Adapted`), its prepared examples by part, and how many samples."""

    adapted: Any
    data: Mapping[str, Mapping[str, Any]]
    size: int


def samples(
    known: Methods, names: Sequence[str], model: Model, evals: Sequence[str], seed: int, folder: Path
) -> Iterator[tuple[str, Mapping[str, Samples]]]:
    """Name and samples by part of each of the predictives `names` that read the adapter or its Laplace posterior."""
    posterior: Any = None
    for name in names:
        declared, path = known.predictive(name), module(known.predictives[name])
        size = model.size if declared.sized else None
        if declared.reads == "adapter":
            sampler = plugins.load(path, ModelPredictive)
            found, _ = sampler.predict(model.adapted, model.data, evals, declared.params, seed, size)
        else:
            posterior = posterior or _laplace(known, model, evals, seed, folder / "laplace.safetensors")
            method: Any = plugins.load(path, FilePredictive)
            found, _ = method.predict([posterior], evals, declared.params, seed, size)
        yield name if size is None else f"{name}-{size}", found


def _laplace(known: Methods, model: Model, evals: Sequence[str], seed: int, file: Path) -> Any:
    from peftuq.predictives.laplace import fit, kfac
    from peftuq.predictives.laplace.file import LaplaceFile, write

    adapted = model.adapted
    (declared,) = [found for name in known.predictives if (found := known.predictive(name)).fit]
    params = LaplaceParameters(**{key: declared.params[key] for key in declared.fit})
    encoded = {part: adapted.encode(model.data[part]) for part in ("train", "valid", *evals)}
    tokens = min(adapted.task.batch_tokens, params.batch_tokens)
    execution = kfac.Execution(adapted.tokenizer.pad_token_id, tokens, adapted.dtype)
    train = encoded.pop("train")
    write(file, *fit.fit(adapted.read_out, train, encoded, execution, params, seed, adapted.log))
    return LaplaceFile(file)
