"""The environments of the jobs carry the pins of the lock."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LOCK = {line.strip() for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line}
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))


def pins(file: Path) -> list[str]:
    (pip,) = (entry["pip"] for entry in yaml.safe_load(file.read_text())["dependencies"] if isinstance(entry, dict))
    return pip


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.stem)
def test_every_pin_is_the_locks(file):
    assert pins(file) and set(pins(file)) <= LOCK


def test_every_rule_with_an_environment_names_one_that_exists():
    named = {
        (rules.parent / line.strip().strip('"')).resolve()
        for rules in (ROOT / "workflow/rules").glob("*.smk")
        for line in rules.read_text().splitlines()
        if line.strip().endswith('.yaml"')
    }
    assert named == set(ENVIRONMENTS)
