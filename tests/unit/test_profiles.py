"""Profiles name rules that exist: a rule that is renamed would lose its GPU, and nobody would say so."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "slurm/config.yaml", *sorted(ROOT.glob("profiles/*/config.yaml"))]
PROFILES = {str(file.parent.relative_to(ROOT)): file for file in FILES}
RULE = re.compile(r"^(?:rule|checkpoint|use rule \w+ as) (\w+)", re.MULTILINE)
RULES = {name for file in (ROOT / "workflow/rules").glob("*.smk") for name in RULE.findall(file.read_text())}
OF_RULES = ("set-resources", "set-threads", "groups")


def read(profile: str) -> dict[str, Any]:
    return yaml.safe_load(PROFILES[profile].read_text())


def on_gpu(profile: str) -> set[str]:
    """The rules for which a profile asks for a GPU, or names the one to be: the training rules say how many."""
    asked = read(profile)["set-resources"].items()
    keys = {"gpu", "_gpus", "nvidia_gpu", "gpu_model", "gpu_manufacturer"}
    return {rule for rule, resources in asked if resources.keys() & keys}


def test_the_profiles_are_where_they_are_looked_for():
    assert set(PROFILES) == {"slurm", "profiles/awsbatch", "profiles/googlebatch", "profiles/kubernetes"}


def test_no_profile_is_applied_unasked():
    """Snakemake lays `default` over the profile that is named, and its keys win."""
    assert not [
        folder for folder in ("default", "profiles/default", "workflow/profiles/default") if (ROOT / folder).exists()
    ]


@pytest.mark.parametrize("profile", PROFILES)
def test_every_rule_exists(profile):
    named = {rule for key in OF_RULES for rule in read(profile).get(key, {})}
    assert named and named <= RULES


@pytest.mark.parametrize("profile", PROFILES)
def test_the_same_rules_run_on_a_gpu_everywhere(profile):
    assert on_gpu(profile) == on_gpu("slurm")
