"""Specs of the papers' jobs as models: nothing of what a job is given is lost, added or written otherwise."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from pydantic import ValidationError

from peftuq.adapters.mixlora.mixture import Mixture
from peftuq.config.study import Study
from peftuq.jobs import identity, program
from peftuq.jobs.jobs import Jobs
from peftuq.specs.adapted import Extract, FitLaplace, PredictWithModel
from peftuq.specs.train import Train

CONFIG = Path(__file__).parents[3] / "config"


@pytest.fixture(scope="module")
def jobs() -> Jobs:
    return Jobs(Study(yaml.safe_load((CONFIG / "paper.yaml").read_text()), CONFIG))


def specs(jobs: Jobs) -> set[tuple[type, str]]:
    """One adapter of each setting: every kind of spec that a program on a model is given."""
    found = set()
    for adapter in {adapter.setting: adapter for adapter in jobs.study.adapters}.values():
        if jobs.train.rule_of(adapter.recipe):
            found.add((Train, jobs.train.spec(adapter)))
        found.add((Extract, jobs.extract.spec(adapter)))
    found |= {(FitLaplace, jobs.fit_laplace.spec(adapter)) for adapter in jobs.fit_laplace.adapters}
    cells = (cell for cell in jobs.study.cells if jobs.predictives.rule_of(cell.predictive) == "predict_with_model")
    return found | {
        (PredictWithModel, jobs.predict_with_model.spec(SimpleNamespace(**cell._asdict()))) for cell in cells
    }


def test_what_jobs_are_given_comes_back_to_the_byte(jobs):
    found = specs(jobs)
    assert {model for model, _ in found} == {Train, Extract, PredictWithModel, FitLaplace}
    for model, given in found:
        assert identity.spec(**program.plain(model.model_validate_json(given))) == given


def test_a_mixture_has_all_its_parameters(jobs):
    mixed = [Train.model_validate_json(given).recipe for model, given in specs(jobs) if model is Train]
    found = {Mixture.of(recipe.adapter).experts for recipe in mixed if recipe.adapter.sections}
    assert 8 in found


def test_an_unknown_key_is_refused(jobs):
    given = jobs.extract.spec(next(iter(jobs.study.adapters)))
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Extract.model_validate_json(given.replace('"parts":', '"places":[],"parts":'))
