# Everything a fresh machine needs is Python >= 3.10 with pip, git and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# One thread each: two on a busy machine are several times slower than one.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

quickstart: $(VENV)/installed ## Install, train a small Glow on real 8x8 digits (about a minute), score and sample it
	$(BIN)/python train.py

# One process a core, a file to a process: the fixtures of a file are made once.
test: $(VENV)/installed ## Install and run the tests (a few minutes)
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile

test-all: $(VENV)/installed ## Also the slow tests: real data, several processes, killed and resumed runs
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile -m ""

check: $(VENV)/installed ## Lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/installed ## Build docs/ as a site in build/docs, with all keys and classes
	$(BIN)/python -m mkdocs build --strict

install: $(VENV)/installed ## Create .venv with the tested versions and the project in it

# torch first: on its own it resolves to one build, which everything else then accepts.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed, this is %d.%d; set PYTHON=..." % sys.version_info[:2] if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt torch torchvision
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev,docs,fid,report,sweeps,tabular]'
	@touch $@

clean: ## Remove .venv and caches; runs in outputs/ stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache

.PHONY: help quickstart test test-all check format docs install clean
