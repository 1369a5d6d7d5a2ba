"""Snakemake's graph of a run's jobs, as it would run them now."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.logging import logger
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness, ResourceSettings

QUIET = OutputSettings(quiet={Quietness.ALL}, dryrun=True)


def opened(api: SnakemakeApi, snakefile: Path, configfile: Path) -> Any:
    """Snakemake's workflow of a configuration, silent."""
    workflow = api.workflow(ResourceSettings(), ConfigSettings(configfiles=[configfile]), snakefile=snakefile)
    logger.disabled = True  # its own account is what the commands replace
    return workflow


def built(workflow: Any, targets: Iterable[str], rerun_incomplete: bool) -> Any:
    """The workflow with the graph of what makes `targets`, by default of all; nothing is run or locked.

    `rerun_incomplete`: jobs whose last run did not end are due, as both profiles have it.
    """
    # All contents are compared, as both profiles do: a file that is only newer changes nothing.
    workflow.dag(DAGSettings(targets=set(targets), max_checksum_file_size=2**62, force_incomplete=rerun_incomplete))
    whole = workflow._workflow
    whole._prepare_dag(forceall=False, ignore_incomplete=not rerun_incomplete, lock_warn_only=True)
    whole._build_dag()
    return whole
