"""The comparison itself: a small posterior from an adapter's records, its exact predictives, and the approximations'.

The adapter was trained on `train`, so its features fit those labels too well. They therefore make the frozen layers
(the model before adaptation), and the posterior is given `valid`, which is like the test set.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from peftuq import labels
from peftuq.artifacts import Record, RecordFile
from peftuq.metrics.calibration import accuracy, nll
from peftuq.progress import Log
from peftuq.reference_posterior import approximations, last_layers, nuts, variational
from peftuq.reference_posterior.agreement import agreement
from peftuq.reference_posterior.features import principal_components
from peftuq.reference_posterior.file import EXACT, Predictions
from peftuq.reference_posterior.model import Network, Posterior, fit_layers, forward, probabilities
from peftuq.scores.information import mutual_information

MEMBERS, FEW = 20, 5  # sizes of the ensembles: the paper's
REPETITIONS = MEMBERS // FEW  # disjoint small ensembles; as often is repeated what needs one training
SAMPLES = 1000  # of Laplace and of dropout: enough that their number does not show
EVALUATED = 1000  # examples at most of an evaluation set: every draw answers all of them


class Part(NamedTuple):
    """Inputs (N, k) and labels (N,)."""

    x: np.ndarray
    y: np.ndarray


class Fitted(NamedTuple):
    """Parameters: `exact` (K, S, D) draws; MAP and anchored members (M, D); the Laplace covariances (R, D, D) of every
    fifth MAP; trained with dropout (R, D). `gaussians`, `last_layers`: by method, those of its repetitions."""

    exact: np.ndarray
    maps: np.ndarray
    anchored: np.ndarray
    covariances: np.ndarray
    dropout: np.ndarray
    gaussians: Mapping[str, Sequence[variational.Gaussian]]
    last_layers: Mapping[str, Sequence[last_layers.LastLayer]]


def compare(
    records: RecordFile, evals: Sequence[str], spec: Mapping[str, Any], log: Log
) -> tuple[dict[str, dict[str, Predictions]], dict[str, Any]]:
    """Every method's predictions for each evaluation set, and the facts for `file.write`.

    `spec`: the values of `grid.schema.Gold` that are not names.
    """
    parts = _parts(records, evals, spec)
    posterior = _posterior(parts, spec)
    log(f"{posterior.network.size} parameters, {len(posterior.y)} examples")
    draws = _draw(posterior, spec)
    log(f"{spec['chains']} chains of {spec['draws']} draws, {draws.leapfrogs:.0f} leapfrog steps each")
    fitted = _fit(posterior, draws.values, spec)
    log(f"{MEMBERS} MAP and {MEMBERS} anchored members, {REPETITIONS} Laplace and dropout fits")
    samples = _samples(posterior.network, fitted, np.concatenate([parts[part].x for part in evals]), spec)
    predictions = _by_part({method: _predictions(repetitions) for method, repetitions in samples.items()}, parts, evals)
    facts = {
        "spec": dict(spec),
        "parameters": posterior.network.size,
        "examples": len(posterior.y),
        "sampler": _diagnose(draws, samples[EXACT][0]),
        "map_potentials": [float(posterior.potential(theta)) for theta in fitted.maps],
        "unadapted": {part: _accuracy(posterior.network, *p) for part, p in parts.items() if labels.are_known(p.y)},
        "agreement": {part: _agreements(methods, parts[part].y) for part, methods in predictions.items()},
    }
    return predictions, facts


# -- the posterior ------------------------------------------------------------------------------------------


def _parts(records: RecordFile, evals: Sequence[str], spec: Mapping[str, Any]) -> dict[str, Part]:
    train = records["train"]
    components = principal_components(train.h, spec["inputs"])
    kept = {
        "train": train,
        "valid": _at_most(records["valid"], spec["examples"], spec["seed"]),
        **{part: _at_most(records[part], EVALUATED, spec["seed"]) for part in evals},
    }
    return {part: Part(components(record.h), record.label) for part, record in kept.items()}


def _at_most(record: Record, n: int, seed: int) -> Record:
    """n of the examples, drawn with `seed`, in their order."""
    if len(record.id) <= n:
        return record
    rows = np.sort(np.random.default_rng(seed).choice(len(record.id), n, replace=False))
    return Record(record.id[rows], record.label[rows], record.logits[rows], record.h[rows])


def _posterior(parts: Mapping[str, Part], spec: Mapping[str, Any]) -> Posterior:
    train, valid = parts["train"], parts["valid"]
    layers = fit_layers(*train, spec["hidden"], int(train.y.max()) + 1, spec["half_lambda"], spec["seed"])
    network = Network(layers, spec["rank"], spec["alpha"] / spec["rank"])
    return Posterior(network, valid.x, valid.y, spec["half_lambda"])


def _draw(posterior: Posterior, spec: Mapping[str, Any]) -> nuts.Draws:
    """Chains from draws of the prior: starts far from each other, so that modes a chain cannot leave would show."""
    rng = np.random.default_rng(spec["seed"])
    starts = posterior.prior_std * rng.normal(size=(spec["chains"], posterior.network.size))
    return nuts.sample(posterior.potential, starts, spec["warmup"], spec["draws"], spec["seed"])


def _diagnose(draws: nuts.Draws, probs: np.ndarray) -> dict[str, Any]:
    """Mixing of the parameters, and of what they are for: the predictive probabilities (K·S, N, C) of every example.

    Rotations within the rank leave every prediction unchanged, so that chains may differ in θ and still agree.
    """
    chains, kept, _ = draws.values.shape
    return {
        "parameters": nuts.mixing(draws.values)._asdict(),
        "predictives": nuts.mixing(probs[:, :, :-1].reshape(chains, kept, -1))._asdict(),
        "divergences": draws.divergences,
        "leapfrogs": draws.leapfrogs,
    }


def _accuracy(network: Network, x: np.ndarray, y: np.ndarray) -> float:
    """Accuracy of the frozen layers alone."""
    return accuracy(np.asarray(forward(network.layers, x)), y)


# -- the methods --------------------------------------------------------------------------------------------


def _fit(posterior: Posterior, exact: np.ndarray, spec: Mapping[str, Any]) -> Fitted:
    seeds = range(spec["seed"], spec["seed"] + MEMBERS)
    maps = approximations.map_members(posterior, seeds)
    return Fitted(
        exact,
        maps,
        approximations.anchored_members(posterior, seeds),
        approximations.laplace_covariances(posterior, maps[::FEW]),
        approximations.train_with_dropout(posterior, spec["dropout"], seeds[::FEW]),
        {"swag": variational.swag(posterior, seeds[::FEW]), "ivon": variational.ivon(posterior, seeds[::FEW])},
        {
            "vbll": [last_layers.fit_vbll(posterior)],
            "sngp": [last_layers.fit_sngp(posterior, seed) for seed in seeds[::FEW]],
        },
    )


def _samples(
    network: Network, fitted: Fitted, x: np.ndarray, spec: Mapping[str, Any]
) -> dict[str, Sequence[np.ndarray]]:
    """Every method with the samples (M, N, C) of each of its repetitions, the exact posterior first."""
    drawn = fitted.exact.reshape(-1, network.size)
    every = probabilities(network, np.concatenate([drawn, fitted.maps, fitted.anchored]), x)
    exact, maps, anchored = np.split(every, [len(drawn), len(drawn) + MEMBERS])
    rate, common = spec["dropout"], (x, SAMPLES, spec["seed"])
    return {
        EXACT: [exact],
        "map": [maps[[member]] for member in range(0, MEMBERS, FEW)],
        f"ensemble_{FEW}": np.split(maps, REPETITIONS),
        f"ensemble_{MEMBERS}": [maps],
        f"anchored_{FEW}": np.split(anchored, REPETITIONS),
        f"anchored_{MEMBERS}": [anchored],
        "laplace": approximations.linearised(network, fitted.maps[::FEW], fitted.covariances, *common),
        "mc_dropout": approximations.dropout_passes(network, fitted.dropout, rate, *common),
        **{
            method: [probabilities(network, gaussian.draw(SAMPLES, spec["seed"]), x) for gaussian in gaussians]
            for method, gaussians in fitted.gaussians.items()
        },
        **{
            method: [last_layers.draw(layer, network, *common) for layer in layers]
            for method, layers in fitted.last_layers.items()
        },
        f"{EXACT}_{FEW}": _spread(exact, FEW),
        f"{EXACT}_{MEMBERS}": _spread(exact, MEMBERS),
    }


def _predictions(repetitions: Sequence[np.ndarray]) -> Predictions:
    return Predictions(
        np.stack([probs.mean(axis=0) for probs in repetitions]),
        np.stack([mutual_information(probs) for probs in repetitions]),
    )


def _by_part(
    methods: Mapping[str, Predictions], parts: Mapping[str, Part], evals: Sequence[str]
) -> dict[str, dict[str, Predictions]]:
    """Predictions for all evaluation sets, one after the other, split into those for each."""
    ends = np.cumsum([len(parts[part].y) for part in evals])
    rows = {part: slice(end - len(parts[part].y), end) for part, end in zip(evals, ends, strict=True)}
    return {
        part: {method: Predictions(own.probs[:, kept], own.mi[:, kept]) for method, own in methods.items()}
        for part, kept in rows.items()
    }


def _spread(draws: np.ndarray, m: int) -> list[np.ndarray]:
    """`REPETITIONS` disjoint sets of m of the draws (T, N, C), each from all chains and as far apart as can be."""
    chosen = np.linspace(0, len(draws) - 1, REPETITIONS * m).round().astype(int)
    return [draws[chosen[first::REPETITIONS]] for first in range(REPETITIONS)]


def _agreements(methods: Mapping[str, Predictions], label: np.ndarray) -> dict[str, list[dict[str, float | None]]]:
    """Agreement of each method's repetitions with the exact posterior, and their accuracy and NLL."""
    exact = methods[EXACT]
    return {
        method: [
            {
                **agreement(probs, mi, exact.probs[0], exact.mi[0])._asdict(),
                "mi": float(mi.mean()),
                **({"accuracy": accuracy(probs, label), "nll": nll(probs, label)} if labels.are_known(label) else {}),
            }
            for probs, mi in zip(predictions.probs, predictions.mi, strict=True)
        ]
        for method, predictions in methods.items()
    }
