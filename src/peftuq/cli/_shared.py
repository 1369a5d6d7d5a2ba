"""Arguments and steps that several commands share."""

import argparse
from pathlib import Path

from peftuq.config import strict_yaml
from peftuq.config.study import PACKAGE, Study
from peftuq.jobs.jobs import Jobs

ROOT = PACKAGE.parents[1]


def add_configfile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--configfile", type=Path, default=ROOT / "config" / "config.yaml", help="the run's file")


def jobs(configfile: Path) -> Jobs:
    """Jobs of the run that a configuration file describes. Raises `UserError` for one that is not valid."""
    return Jobs(Study(strict_yaml.read(configfile), ROOT / "config", str(configfile)))
