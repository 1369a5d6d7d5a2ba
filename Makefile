# `make demo`: a real report on real weights in minutes. `make test`: everything that can be checked here.
# `make test-slurm`: the cluster's profile on a real Slurm, started on this machine.
# `make test-executors`: the profiles of docs/executors.md, against a local S3 server.
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
SNAKEMAKE := $(BIN)/snakemake
EXECUTORS := $(VENV)/executors

.PHONY: demo test test-slurm test-executors env lint

demo: env
	@date +%s > $(VENV)/.demo-start
	$(SNAKEMAKE) --profile local
	@echo "reports/report.pdf is ready; computing took $$(( $$(date +%s) - $$(cat $(VENV)/.demo-start) )) s"

test: env lint
	$(BIN)/python -m pytest

test-slurm: env
	$(BIN)/python -m pytest tests/slurm

test-executors: env $(EXECUTORS)
	PYTHONPATH=$(CURDIR)/$(EXECUTORS) $(BIN)/python -m pytest tests/executors

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(SNAKEMAKE) --lint

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
