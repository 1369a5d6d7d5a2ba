"""The front door: `snakemake --profile local`, or `--profile slurm -j 64`. What runs: config/."""

import gc
import sys
from functools import partial
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.0")

# A graph of jobs is made of objects that stay: to look for garbage among them takes a third of the planning.
gc.disable()

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "src"))

from peftuq.errors import UserError
from peftuq.jobs import outputs
from peftuq.jobs.environment import check_interpreter, export_environment, software
from peftuq.jobs.jobs import Jobs
from peftuq.jobs.rule import input_flags, output_flags, results_folder
from peftuq.config.load import configuration
from peftuq.config.local import check_local
from peftuq.config.study import Study
from peftuq.jobs.wildcards import PATTERNS, check_names
from peftuq.planning import requests

if not workflow.configfiles:

    configfile: ROOT / "config" / "config.yaml"


try:
    # Snakemake lets the last of two equal keys win and takes 1e-3 for a text: the files are read again, strictly.
    config = configuration(workflow.configfiles, workflow.config_settings.config)
    study = Study(
        config,
        ROOT / "config",
        ", ".join(map(os.path.relpath, workflow.configfiles)) or "config",
    )
    jobs = Jobs(study)
    check_names(study)
    if workflow.is_main_process:
        check_local(study)
        outputs.check_report(jobs)
except UserError as error:
    # A bare WorkflowError is one line on the terminal; the cause would add a traceback.
    raise WorkflowError(str(error)) from None

paths = jobs.paths
environment = partial(software, ROOT)
# Files in a bucket are not looked for: only Snakemake sees them.
in_bucket = workflow.storage_settings.default_storage_provider is not None
missing = outputs.missing(jobs) if workflow.is_main_process and not in_bucket else []

# Wherever the run's jobs run, they find what `precision: auto` means here.
export_environment(ROOT, study.config, planning=workflow.is_main_process)


envvars:
    "PEFTUQ_PRECISION",


wildcard_constraints:
    **PATTERNS,


include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/predict.smk"
include: "workflow/rules/posthoc.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/reference_posterior.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/rehearsal.smk"


onstart:
    gc.freeze()
    gc.enable()
    try:
        if workflow.non_local_exec:
            check_interpreter(sys.executable)
        jobs.start()
    except UserError as error:
        raise WorkflowError(str(error)) from None


rule all:
    default_target: True
    input:
        paths.report,
        paths.html_report,
        paths.metrics_csv,
        missing,
