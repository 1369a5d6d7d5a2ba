"""Components against scikit-learn's."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from peftuq.errors import UserError
from peftuq.reference_posterior.features import principal_components

H = np.random.default_rng(0).normal(size=(60, 8)) @ np.random.default_rng(1).normal(size=(8, 8)) + 3


def test_equals_whitened_principal_components():
    ours = principal_components(H.astype(np.float32), 3)(H)
    theirs = PCA(3, whiten=True).fit_transform(H.astype(np.float32)) * np.sqrt(60 / 59)  # ddof 1 there, 0 here
    signs = np.sign((ours * theirs).sum(axis=0))
    assert ours == pytest.approx(theirs * signs, abs=1e-3)


def test_signs_do_not_depend_on_the_library():
    axes = principal_components(H, 4).axes
    assert (axes[np.abs(axes).argmax(axis=0), range(4)] > 0).all()


def test_more_components_than_there_are_is_a_mistake():
    with pytest.raises(UserError, match=r"gold\.inputs: 5"):
        principal_components(H[:, :1] * np.ones(6), 5)
