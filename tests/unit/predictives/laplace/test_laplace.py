"""The three predictives read one fitted file, each with its prior and its link."""

import numpy as np
import pytest

from peftuq.predictives.laplace import file, laplace_probit, laplace_valid
from peftuq.predictives.laplace import method as laplace
from peftuq.predictives.laplace.link import monte_carlo, probit


@pytest.fixture
def fitted(tmp_path) -> file.LaplaceFile:
    rng = np.random.default_rng(0)
    parts = {}
    for part in ("valid", "test"):
        half = rng.normal(size=(2, 5, 3, 3))
        sigma = half @ half.transpose(0, 1, 3, 2)
        f_mu = rng.normal(size=(5, 3))
        f_mu[0, 2] = -np.inf
        sigma[:, 0, 2] = sigma[:, 0, :, 2] = 0.0
        f_sigma = dict(zip(file.PRIORS, sigma, strict=True))
        parts[part] = file.GaussianLogits(np.arange(5), np.zeros(5, np.int64), f_mu, f_sigma)
    file.write(tmp_path / "fit.safetensors", parts, {"precision": {"marglik": 2.5, "valid": 10.0}})
    return file.LaplaceFile(tmp_path / "fit.safetensors")


@pytest.mark.parametrize("plugin, prior", [(laplace, "marglik"), (laplace_valid, "valid")])
def test_samples_use_their_prior(fitted, plugin, prior):
    samples, facts = plugin.predict([fitted], ["valid", "test"], {"draws": 1000}, 3, None)
    gaussian = fitted["test"]
    assert np.array_equal(samples["test"].probs, monte_carlo(gaussian.f_mu, gaussian.f_sigma[prior], 1000, 3))
    assert facts == {"precision": repr(fitted.facts["precision"][prior])}
    assert not samples["test"].probs[:, 0, 2].any()


def test_probit_is_one_sample(fitted):
    samples, _ = laplace_probit.predict([fitted], ["test"], {}, 0, None)
    gaussian = fitted["test"]
    assert np.array_equal(samples["test"].probs, probit(gaussian.f_mu, gaussian.f_sigma["marglik"])[None])
