"""Plug-ins as their protocols: for the type checker (`make lint`); nothing here runs."""

from peftuq.adapters import blob, dalora, lora, scalabl, swag
from peftuq.adapters.mixlora import method as mixlora
from peftuq.adapters.protocol import AdapterModule, PosteriorModule
from peftuq.artifacts import EpochFile, RecordFile, SampleFile
from peftuq.predictives import (
    checkpoint_ensemble,
    ensemble,
    isotonic,
    matrix_scaling,
    mc_dropout,
    posterior_samples,
    sngp,
    spuq,
    temperature,
    tfb,
    vbll,
    vector_scaling,
)
from peftuq.predictives.laplace import laplace_probit, laplace_valid
from peftuq.predictives.laplace import method as laplace
from peftuq.predictives.laplace.file import LaplaceFile
from peftuq.predictives.protocol import FilePredictive, ModelPredictive
from peftuq.scores import (
    density_softmax,
    energy,
    flu,
    information,
    knn,
    linear_probe,
    mahalanobis,
    mlp_probe,
    rde,
    softmax,
)
from peftuq.scores.adue import method as adue
from peftuq.scores.protocol import ScoreModule

ADAPTERS: list[AdapterModule] = [lora, mixlora]
POSTERIORS: list[PosteriorModule] = [blob, dalora, scalabl, swag]
OF_SAMPLES: list[ScoreModule[SampleFile]] = [softmax, information]
OF_RECORDS: list[ScoreModule[RecordFile]] = [
    adue,
    density_softmax,
    energy,
    flu,
    knn,
    linear_probe,
    mahalanobis,
    mlp_probe,
    rde,
]
FROM_RECORDS: list[FilePredictive[RecordFile]] = [
    ensemble,
    isotonic,
    matrix_scaling,
    sngp,
    temperature,
    vbll,
    vector_scaling,
]
FROM_EPOCHS: list[FilePredictive[EpochFile]] = [checkpoint_ensemble]
FROM_LAPLACE: list[FilePredictive[LaplaceFile]] = [laplace, laplace_probit, laplace_valid]
FROM_MODELS: list[ModelPredictive] = [mc_dropout, posterior_samples, spuq, tfb]
