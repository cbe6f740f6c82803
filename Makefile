# wardbeat: `make demo` shows it, `make test` proves it.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: help setup demo test test-slow check clean

help:            ## Show these targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "wardbeat needs Python 3.11 or later: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@

setup: $(VENV)/.ready   ## Make .venv with everything in it

demo: setup      ## A ward of eight beds over MQTT, live in the browser
	$(BIN)/wardbeat demo $(ARGS)

test: setup      ## The default tests (minutes); ARGS="-k name" narrows them
	$(BIN)/python -m pytest $(ARGS)

test-slow: setup ## Full database scores and long property runs
	$(BIN)/python -m pytest -m slow $(ARGS)

check: setup     ## Lint and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:           ## Remove the virtual environment and caches
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
