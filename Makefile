# `make demo`: a real report on real weights in minutes. `make test`: code style and unit tests, in minutes, too.
# `make test-all`: everything that can be checked on any machine, `make test-executors` (the profiles of docs/executors.md,
# against a local S3 server) among it. `make test-slurm`: the cluster's profile on a real Slurm, started on this machine.
# `make test-gpu`: what only a CUDA device shows; its measurements go to results/gpu.md (docs/gpu.md).
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
# By the interpreter: the first line of a console script cannot name a folder with a space.
SNAKEMAKE := $(BIN)/python -m snakemake
EXECUTORS := $(VENV)/executors
PYTEST := $(BIN)/python -m pytest
PARALLEL := --numprocesses logical --maxprocesses 4

.PHONY: demo test test-all test-long test-gpu test-slurm test-executors env lint schema

demo: env
	@date +%s > $(VENV)/.demo-start
	$(SNAKEMAKE) --profile local --logger progress
	@echo "reports/report.pdf and report.html are ready; computing took $$(( $$(date +%s) - $$(cat $(VENV)/.demo-start) )) s"
	@$(BIN)/python -m peftuq.cli findings

test: env lint
	$(PYTEST) $(PARALLEL) -m "not slow" tests/unit tests/mistakes tests/bad_inputs

test-all: env lint
	$(PYTEST) $(PARALLEL) tests/unit tests/mistakes tests/bad_inputs
	$(PYTEST) tests/rehearsal
	$(PYTEST) tests/workflow
	$(MAKE) test-executors

test-gpu: env
	$(PYTEST) --device cuda tests/gpu tests/unit/precision

# Half an hour: the small workflow in both precisions, and tests/gpu whole on a processor.
test-long: env
	$(PYTEST) tests/long

test-slurm: env
	$(PYTEST) tests/slurm

test-executors: env $(EXECUTORS)
	PYTHONPATH="$$PWD/$(EXECUTORS)" $(PYTEST) tests/executors

lint: env
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/python -m snakefmt --check Snakefile workflow
	$(SNAKEMAKE) --lint

# The JSON schemas of config/, by which editors complete its keys.
schema: env
	$(BIN)/python -m peftuq.config.json_schema docs/schema

env: $(VENV)/.installed

# The lock holds exact versions of everything; torch brings its own device libraries, pinned by itself.
$(VENV)/.installed: requirements.lock requirements-peers.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement requirements-peers.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# Beside the environment, not in it: jobs are to run with the same software whoever started them.
$(EXECUTORS): requirements-executors.lock
	rm -rf $@
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $@ --requirement $<
