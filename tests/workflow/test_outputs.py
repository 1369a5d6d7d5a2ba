"""The outputs that a run is known to make, against Snakemake's own graph of its jobs."""

import subprocess
import sys
from pathlib import Path

import pytest

from peftuq.config.load import configuration
from peftuq.config.study import Study
from peftuq.jobs import outputs
from peftuq.jobs.jobs import Jobs

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "config" / "config.yaml"  # a job of every rule

pytestmark = pytest.mark.workflow


def test_every_output_of_the_demo_is_known(tmp_path):
    over = {"results": str(tmp_path / "results"), "reports": str(tmp_path / "reports")}
    setting = [f"{key}={value}" for key, value in over.items()]
    command = [sys.executable, "-m", "snakemake", "--profile", "local", "--summary", "--config", *setting]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    _, *rows = run.stdout.splitlines()
    made = {row.split("\t")[0] for row in rows}
    fetched = {path for path in made if path.endswith("/files")}
    known = set(outputs.outputs(Jobs(Study(configuration([DEMO], over), ROOT / "config"))))
    assert known == made - fetched and len(fetched) == 3
